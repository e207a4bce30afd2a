"""Leases: who may write to a target now, told so that the next one knows whom to ask.

A lease is held by a process that renews it; it ends when it is given back, when it was not renewed in time, or when
its holder is known to be dead. Deciding is done here, storing by each target.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

EVERYTHING: Final = "*"  # the name of the lease that excludes every other
DURATION: Final = timedelta(seconds=30)
HEARTBEAT: Final = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that holds a lease. `started` and `boot` make its pid unmistakable on its own host.

    `who` is a person or a bot, `url` the page of the CI run it works in, empty where there is none; `token` is
    known to the holder alone.
    """

    who: str
    host: str
    pid: int
    since: datetime
    token: str
    started: float = 0.0
    boot: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class Lease:
    """One held lease, by its name: `project/environment`, or `*`."""

    name: str
    holder: Holder
    heartbeat: datetime
    expires: datetime

    def excludes(self, name: str) -> bool:
        """Whether the lease of that name can't be had beside this one."""
        return self.name == name or EVERYTHING in {self.name, name}

    def expired(self, now: datetime) -> bool:
        """Whether it was not renewed in time."""
        return now >= self.expires
