"""Workspaces: the groups that models, pipelines, orchestrations and tasks belong to."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from specrunner.core.errors import Conflict, NotFound
from specrunner.core.values import parse_iso
from specrunner.engine.context import Context
from specrunner.engine.records import Workspace
from specrunner.engine.store import tables

_T = tables.workspaces
_HOLDING = {
    "model": tables.models,
    "pipeline": tables.pipelines,
    "orchestration": tables.orchestrations,
    "task": tables.tasks,
}


_NAMED = sa.select(_T).where(_T.c.name == sa.bindparam("this"))
_WITH_ID = sa.select(_T).where(_T.c.id == sa.bindparam("this"))
_INSERT = sa.insert(_T).returning(_T)


class Workspaces:
    """The service for workspaces."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def all(self) -> list[Workspace]:
        """Every workspace, oldest first."""
        with self._context.database.read() as connection:
            return [_record(row) for row in connection.execute(sa.select(_T).order_by(_T.c.id))]

    def named(self, name: str) -> Workspace:
        """The workspace of that name. Raises NotFound."""
        return self._one(_NAMED, name)

    def get(self, workspace_id: int) -> Workspace:
        """The workspace of that id. Raises NotFound."""
        return self._one(_WITH_ID, workspace_id)

    def create(self, name: str) -> Workspace:
        """A new workspace. Raises Conflict if the name is taken."""
        with self._context.database.write() as connection:
            if connection.execute(sa.select(_T.c.id).where(_T.c.name == name)).first():
                raise Conflict(f"A workspace {name!r} exists already.")
            return self._insert(connection, name)

    def ensure(self, name: str) -> Workspace:
        """The workspace of that name, made if it isn't there."""
        with self._context.database.write() as connection:
            row = connection.execute(_NAMED, {"this": name}).first()
            return _record(row) if row else self._insert(connection, name)

    def delete(self, name: str) -> None:
        """Remove an empty workspace; one that isn't there is fine.

        Raises Conflict, naming what it still holds.
        """
        with self._context.database.write() as connection:
            row = connection.execute(sa.select(_T.c.id).where(_T.c.name == name)).first()
            if row is None:
                return
            held = _held(connection, row.id)
            if held:
                raise Conflict(
                    f"The workspace {name!r} still holds {', '.join(held)}.",
                    detail="They are not of this project, or code in a run made them.",
                    remedy="Declare them and `specrunner apply --adopt` them, or leave the workspace in the files.",
                )
            connection.execute(sa.delete(_T).where(_T.c.id == row.id))

    def _one(self, query: sa.Select[Any], asked: object) -> Workspace:
        with self._context.database.read() as connection:
            row = connection.execute(query, {"this": asked}).first()
        if row is None:
            raise NotFound(f"There is no workspace {asked!r}.")
        return _record(row)

    def _insert(self, connection: Connection, name: str) -> Workspace:
        row = connection.execute(_INSERT, {"name": name, "created_at": self._context.now()}).one()
        return _record(row)


def _held(connection: Connection, workspace_id: int) -> list[str]:
    found = []
    for noun, table in _HOLDING.items():
        names = connection.execute(sa.select(table.c.name).where(table.c.workspace_id == workspace_id).distinct())
        found += [f"the {noun} {name!r}" for (name,) in names]
    return found


def _record(row: Any) -> Workspace:
    return Workspace(row.id, row.name, parse_iso(row.created_at))
