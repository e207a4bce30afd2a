"""The audit log: who did what, and when. Appended to, never changed; the oldest entries go when there are very many."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from specrunner.core.values import parse_iso
from specrunner.engine.context import Context
from specrunner.engine.store import tables

MOST: Final = 100_000  # entries that are kept
_SWEPT_EVERY: Final = 256  # entries; counting at each would cost more than keeping some too many
_T = tables.audit


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the audit log. `action` is a word such as `apply`, `subject` the key or id it was done to.

    `address` is where the caller was, `outcome` `done`, or why not.
    """

    seq: int
    at: datetime
    who: str
    action: str
    subject: str
    address: str
    outcome: str


class Audit:
    """The service for the audit log."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def add(self, who: str, action: str, subject: str = "", *, address: str = "", outcome: str = "done") -> None:
        """Write a line; within a transaction it is part of that."""
        row = {
            "at": self._context.now(),
            "who": who,
            "action": action,
            "subject": subject,
            "address": address,
            "outcome": outcome,
        }
        with self._context.database.write() as connection:
            seq = connection.execute(sa.insert(_T).values(row).returning(_T.c.seq)).scalar_one()
            if seq % _SWEPT_EVERY == 0:
                connection.execute(sa.delete(_T).where(_T.c.seq <= seq - MOST))

    def latest(self, limit: int = 100, before: int | None = None) -> list[Entry]:
        """The newest entries first, only those with a smaller `seq` than `before` where that is given."""
        query = sa.select(_T).order_by(_T.c.seq.desc()).limit(limit)
        if before is not None:
            query = query.where(_T.c.seq < before)
        with self._context.database.read() as connection:
            return [_record(row) for row in connection.execute(query)]


def _record(row: Any) -> Entry:
    return Entry(row.seq, parse_iso(row.at), row.who, row.action, row.subject, row.address, row.outcome)
