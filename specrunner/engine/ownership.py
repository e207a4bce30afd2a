"""Ownership: whose an object is and what was last applied to it, kept beside the objects of every kind."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from specrunner.core.keys import Key
from specrunner.core.resources import Owner
from specrunner.engine.context import Context
from specrunner.engine.records import Ownership
from specrunner.engine.store import tables
from specrunner.engine.store.columns import decoded, text_of

_T = tables.ownership
_BY_KEY = _T.c.key == sa.bindparam("this_key")
# Statements are made once: to make one costs more than to carry it out.
_ALL = sa.select(
    *(_T.c.key, _T.c.project, _T.c.environment, _T.c.description, _T.c.protect),
    *(text_of(_T.c.applied), text_of(_T.c.secrets), text_of(_T.c.labels)),
)
_GET = sa.select(_T).where(_BY_KEY)
_DELETE = sa.delete(_T).where(_BY_KEY)
_INSERT = insert(_T)
_PUT = _INSERT.on_conflict_do_update(
    index_elements=[_T.c.key], set_={column: _INSERT.excluded[column.name] for column in _T.c if column is not _T.c.key}
)


class Ownerships:
    """The service for ownership records."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def all(self) -> dict[Key, Ownership]:
        """Every record, by key."""
        with self._context.database.read() as connection:
            rows = connection.execute(_ALL).all()
        if not rows:
            return {}
        keys, projects, environments, descriptions, protected, *columns = zip(*rows, strict=True)
        owners = {pair: Owner(*pair) for pair in set(zip(projects, environments, strict=True))}
        whose = [owners[pair] for pair in zip(projects, environments, strict=True)]
        applied, secrets, labels = map(decoded, columns)
        records = map(Ownership, whose, applied, secrets, labels, descriptions, protected)
        return dict(zip(map(Key.parse, keys), records, strict=True))

    def get(self, key: Key) -> Ownership | None:
        """The record of one object, or None where nobody owns it."""
        with self._context.database.read() as connection:
            row = connection.execute(_GET, {"this_key": str(key)}).first()
        return None if row is None else _record(row)

    def put(self, key: Key, record: Ownership) -> None:
        """Write the record of one object, in place of what was there."""
        values = {
            "key": str(key),
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
            connection.execute(_PUT, values)

    def delete(self, key: Key) -> None:
        """Forget whose an object was."""
        with self._context.database.write() as connection:
            connection.execute(_DELETE, {"this_key": str(key)})


def _record(row: Any) -> Ownership:
    return Ownership(
        owner=Owner(row.project, row.environment),
        applied=row.applied,
        secrets=row.secrets,
        labels=row.labels,
        description=row.description,
        protect=row.protect,
    )
