"""Leases: rows that say who may write now. What excludes what is decided in `core.leases`."""

from __future__ import annotations

import socket
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from specrunner.core.leases import DURATION, Holder, Lease
from specrunner.core.values import iso, parse_iso, utc
from specrunner.engine.context import Context
from specrunner.engine.store import tables
from specrunner.engine.tasks.processes import Identity, is_alive

_T = tables.leases


class Leases:
    """The service for leases."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def all(self) -> list[Lease]:
        """Every lease, expired ones too, by name."""
        with self._context.database.read() as connection:
            return [_record(row) for row in connection.execute(sa.select(_T).order_by(_T.c.name))]

    def named(self, name: str) -> Lease | None:
        """The lease of that name, expired or not; None where there is none."""
        with self._context.database.read() as connection:
            row = connection.execute(sa.select(_T).where(_T.c.name == name)).first()
        return None if row is None else _record(row)

    def take(self, name: str, holder: Holder) -> Lease | None:
        """Take a lease, or renew one of the same token; None then, else the lease that excludes it.

        What is expired or held by a dead process of this host excludes nothing, and its holder has lost it.
        """
        now = utc(self._context.clock.now())
        with self._context.database.transaction():
            for lease in self.all():
                if not lease.excludes(name) or lease.holder.token == holder.token:
                    continue
                if not lease.expired(now) and not _is_dead(lease.holder):
                    return lease
                self.release(lease.name, lease.holder.token)
            self.release(name, holder.token)
            with self._context.database.write() as connection:
                connection.execute(sa.insert(_T).values(_row(name, holder, now)))
        return None

    def renew(self, name: str, token: str) -> bool:
        """Hold it for another `DURATION`; False where it is gone, or somebody else's by now."""
        now = utc(self._context.clock.now())
        ours = (_T.c.name == name) & (_T.c.token == token)
        with self._context.database.write() as connection:
            return bool(connection.execute(sa.update(_T).where(ours).values(_times(now))).rowcount)

    def release(self, name: str, token: str | None) -> bool:
        """Give it back; without a token, take it from whoever holds it. False where there was none."""
        theirs = sa.true() if token is None else _T.c.token == token
        with self._context.database.write() as connection:
            return bool(connection.execute(sa.delete(_T).where(_T.c.name == name, theirs)).rowcount)


def knows_process(holder: Holder) -> bool:
    """Whether it can be told from here if the holder's process lives: of this host, with its start time."""
    return holder.host == socket.gethostname() and bool(holder.boot and holder.started)


def process_lives(holder: Holder) -> bool:
    """Whether that very process runs; see `knows_process`."""
    return is_alive(Identity(holder.pid, int(holder.started), holder.boot))


def _is_dead(holder: Holder) -> bool:
    return knows_process(holder) and not process_lives(holder)


def _times(now: datetime) -> dict[str, str]:
    return {"heartbeat": iso(now), "expires": iso(now + DURATION)}


def _row(name: str, holder: Holder, now: datetime) -> dict[str, Any]:
    return {
        "name": name,
        "who": holder.who,
        "host": holder.host,
        "pid": holder.pid,
        "since": iso(holder.since),
        "token": holder.token,
        "started": holder.started,
        "boot": holder.boot,
        "url": holder.url,
        **_times(now),
    }


def _record(row: Any) -> Lease:
    holder = Holder(
        who=row.who,
        host=row.host,
        pid=row.pid,
        since=parse_iso(row.since),
        token=row.token,
        started=row.started,
        boot=row.boot,
        url=row.url,
    )
    return Lease(row.name, holder, parse_iso(row.heartbeat), parse_iso(row.expires))
