"""What the services of one engine share."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import insert
from sqlalchemy.engine import Connection

from specrunner.core.ports import Clock
from specrunner.core.values import Json, utc
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
        return utc(self.clock.now()).isoformat(timespec="microseconds").replace("+00:00", "Z")

    def event(self, connection: Connection, subject: str, event: str, **data: Json) -> None:
        """Write a line of history in the caller's transaction."""
        row = {"at": self.now(), "subject": subject, "event": event, "data": data}
        connection.execute(_EVENT, row)


def new_id() -> str:
    """A fresh UUID."""
    return str(uuid.uuid4())
