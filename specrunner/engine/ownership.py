"""Ownership: whose an object is and what was last applied to it, kept beside the objects of every kind."""

from __future__ import annotations

import sqlalchemy as sa

from specrunner.core.keys import Key
from specrunner.core.resources import Owner
from specrunner.engine.context import Context
from specrunner.engine.records import Ownership
from specrunner.engine.store import tables

_T = tables.ownership


class Ownerships:
    """The service for ownership records."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def all(self) -> dict[Key, Ownership]:
        """Every record, by key."""
        with self._context.database.read() as connection:
            rows = connection.execute(sa.select(_T)).all()
        return {
            Key.parse(row.key): Ownership(
                owner=Owner(row.project, row.environment),
                applied=row.applied,
                secrets=row.secrets,
                labels=row.labels,
                description=row.description,
                protect=row.protect,
            )
            for row in rows
        }

    def put(self, key: Key, record: Ownership) -> None:
        """Write the record of one object, in place of what was there."""
        values = {
            "project": record.owner.project,
            "environment": record.owner.environment,
            "applied": dict(record.applied),
            "secrets": dict(record.secrets),
            "labels": dict(record.labels),
            "description": record.description,
            "protect": record.protect,
            "updated_at": self._context.now(),
        }
        with self._context.database.write() as connection:
            changed = connection.execute(sa.update(_T).where(_T.c.key == str(key)).values(values))
            if not changed.rowcount:
                connection.execute(sa.insert(_T).values(key=str(key), **values))

    def delete(self, key: Key) -> None:
        """Forget whose an object was."""
        with self._context.database.write() as connection:
            connection.execute(sa.delete(_T).where(_T.c.key == str(key)))
