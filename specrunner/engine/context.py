"""What the services of one engine share."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import insert
from sqlalchemy.engine import Connection

from specrunner.core.ports import Clock
from specrunner.core.values import Json, JsonObject, utc
from specrunner.engine.artifacts import Artifacts
from specrunner.engine.store import tables
from specrunner.engine.store.database import Database
from specrunner.engine.vault import Vault

_EVENT = insert(tables.events)


@dataclass(frozen=True, slots=True)
class Context:
    """The store, the bytes, the key and the time of one state folder."""

    folder: Path
    database: Database
    artifacts: Artifacts
    vault: Vault
    clock: Clock

    def now(self) -> str:
        """The present instant, as the store writes it: with all digits, so that texts sort as instants do."""
        return stored_instant(self.clock.now())

    def event(self, connection: Connection, subject: str, event: str, **data: Json) -> None:
        """Write a line of history in the caller's transaction."""
        self.events(connection, [(subject, event, data)])

    def events(self, connection: Connection, found: Sequence[tuple[str, str, JsonObject]]) -> None:
        """Write lines of history (subject, event, data) in the caller's transaction."""
        now = self.now()
        if found:
            rows = [
                {"at": now, "subject": subject, "event": event, "data": dict(data)} for subject, event, data in found
            ]
            connection.execute(_EVENT, rows)


def stored_instant(moment: datetime) -> str:
    """An instant as the store writes it: with all digits, so that texts sort and compare as instants do."""
    return utc(moment).isoformat(timespec="microseconds").replace("+00:00", "Z")


def new_id() -> str:
    """A fresh UUID."""
    return str(uuid.uuid4())
