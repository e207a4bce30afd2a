"""Remarks: what callers of the platform API said of an object that the engine has no use for.

The name that a task was given (the engine's own are unique in a workspace), who made it, how a model was configured.
They belong to an object by its id, which is never given to another, so one that outlives its object harms nobody.
"""

from __future__ import annotations

import sqlalchemy as sa

from specrunner.core.values import Json
from specrunner.engine.context import Context
from specrunner.engine.store import tables

_T = tables.remarks


class Remarks:
    """The service for remarks. A subject is `<kind>:<id>`."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def of(self, subject: str) -> dict[str, Json]:
        """Everything that was said of a subject, by name."""
        query = sa.select(_T.c.name, _T.c.value).where(_T.c.subject == subject)
        with self._context.database.read() as connection:
            return {row.name: row.value for row in connection.execute(query)}

    def put(self, subject: str, **values: Json) -> None:
        """Say these things of a subject, in place of what was said under the same names."""
        with self._context.database.write() as connection:
            for name, value in values.items():
                here = (_T.c.subject == subject) & (_T.c.name == name)
                connection.execute(sa.delete(_T).where(here))
                connection.execute(sa.insert(_T).values(subject=subject, name=name, value=value))

    def all_of(self, name: str, prefix: str) -> dict[str, Json]:
        """What was said under a name, by the subjects that begin with `prefix`."""
        here = (_T.c.name == name) & _T.c.subject.startswith(prefix, autoescape=True)
        with self._context.database.read() as connection:
            rows = connection.execute(sa.select(_T.c.subject, _T.c.value).where(here))
            return {row.subject: row.value for row in rows}
