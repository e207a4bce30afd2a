"""The keyed fingerprints of the secrets that are stored, by which it is seen that somebody has exchanged one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import sqlalchemy as sa

from specrunner.core.keys import Key, Kind
from specrunner.engine import sealed
from specrunner.engine.context import Context
from specrunner.engine.records import Ownership
from specrunner.engine.store import tables

_CONNECTIONS = sa.select(tables.connections.c.name, tables.connections.c.details)
_CONNECTION = _CONNECTIONS.where(tables.connections.c.name == sa.bindparam("this_name"))
_TASKS = sa.select(tables.workspaces.c.name, tables.tasks.c.name, tables.tasks.c.secret_env).select_from(
    tables.tasks.join(tables.workspaces)
)
_TASK = _TASKS.where(
    tables.tasks.c.name == sa.bindparam("this_name"), tables.workspaces.c.name == sa.bindparam("in_workspace")
)


class Prints:
    """The service for them; only secrets that somebody has applied have any."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def all(self, owners: Mapping[Key, Ownership]) -> dict[Key, dict[str, str]]:
        """Those of every object that is there, by the paths of its secrets."""
        return sealed.held(self._context.vault, owners, self._rows(_CONNECTIONS), self._rows(_TASKS))

    def of(self, key: Key, record: Ownership) -> dict[str, str]:
        """Those of one object; none where it is gone."""
        if not record.secrets:
            return {}
        here = {"this_name": key.name, "in_workspace": key.workspace}
        is_task = key.kind is Kind.TASK
        connections, tasks = (
            () if is_task else self._rows(_CONNECTION, here),
            self._rows(_TASK, here) if is_task else (),
        )
        return sealed.held(self._context.vault, {key: record}, connections, tasks).get(key, {})

    def _rows(self, query: sa.Select[Any], values: Mapping[str, str] | None = None) -> Iterator[tuple[Any, ...]]:
        """The rows, asked for when the first is wanted."""
        with self._context.database.read() as transaction:
            rows = transaction.execute(query, values or {}).all()
        yield from map(tuple, rows)
