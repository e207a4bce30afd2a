"""Answers that were given: what a request with an idempotency key came to, told again when it is sent again.

Doing and remembering are one transaction, so that a caller who lost the answer finds out what was done.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import timedelta
from typing import Final

import sqlalchemy as sa

from specrunner.core.values import Json
from specrunner.engine.context import Context, stored_instant
from specrunner.engine.store import tables

KEPT: Final = timedelta(days=1)
_T = tables.answers


class Answers:
    """The service that remembers answers."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def once(self, who: str, key: str, work: Callable[[], Json]) -> Json:
        """What `work` gives, done in one transaction with remembering it; for a key known already, what it gave then.

        Without a key it is done each time. `work` is quick, and gives JSON. Keys of different callers are different.
        """
        if not key:
            return work()
        name = hashlib.sha256(f"{who}\0{key}".encode("utf-8", "surrogatepass")).hexdigest()
        with self._context.database.transaction(), self._context.database.write() as connection:
            known = connection.execute(sa.select(_T.c.answer).where(_T.c.key == name)).first()
            if known is not None:
                return known.answer
            found = work()
            old = stored_instant(self._context.clock.now() - KEPT)
            connection.execute(sa.delete(_T).where(_T.c.at < old))
            connection.execute(sa.insert(_T).values(key=name, at=self._context.now(), answer=found))
        return found
