"""Facts about a state folder itself: the port its API listens on, and the like."""

from __future__ import annotations

import sqlalchemy as sa

from specrunner.core.resources import Owner
from specrunner.engine.context import Context
from specrunner.engine.store import tables

_T = tables.facts
_REMEMBERED = "remembered:"


class Facts:
    """Named texts, stored with the state."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def get(self, name: str) -> str | None:
        """The text of that name, or None."""
        with self._context.database.read() as connection:
            found = connection.execute(sa.select(_T.c.value).where(_T.c.name == name)).scalar()
        return None if found is None else str(found)

    def last_event(self) -> int:
        """The number of the newest event of the history: it grows with every change of an object or a run."""
        with self._context.database.read() as connection:
            return int(connection.execute(sa.select(sa.func.max(tables.events.c.seq))).scalar() or 0)

    def remembers(self, owner: Owner) -> bool:
        """Whether all that was applied for this owner is here."""
        return self.get(f"{_REMEMBERED}{owner}") is not None

    def remember(self, owner: Owner) -> None:
        """All that was applied for this owner is here from now on."""
        self.put(f"{_REMEMBERED}{owner}", "yes")

    def put(self, name: str, value: str) -> None:
        """Remember a text in place of what was there."""
        with self._context.database.write() as connection:
            if not connection.execute(sa.update(_T).where(_T.c.name == name).values(value=value)).rowcount:
                connection.execute(sa.insert(_T).values(name=name, value=value))
