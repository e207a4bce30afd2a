"""Services: tasks that are to run always. When one that ended is started again, and what is said of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import takewhile
from typing import Final

from specrunner.core.lifecycle import RunState

FIRST_PAUSE: Final = timedelta(seconds=1)
LONGEST_PAUSE: Final = timedelta(minutes=5)
STABLE: Final = timedelta(minutes=1)  # what lived so long did not fail for having been started
CRASHES: Final = 3  # short lives in a row that make a crash loop
REMEMBERED: Final = 12  # lives that are looked at: with as many, the pause is the longest


class ServiceState(StrEnum):
    """How a service is."""

    STARTING = "starting"  # its process lives, its port does not answer yet
    RUNNING = "running"  # its port answers
    WAITING = "waiting"  # it ended, or was never started, and will be started
    CRASH_LOOP = "crash_loop"  # the same, and it ended several times shortly after its start
    STOPPED = "stopped"  # suspended, or killed


@dataclass(frozen=True, slots=True)
class Life:
    """One run of a service that has ended; `began` is None where it never came to a start."""

    state: RunState
    began: datetime | None
    ended: datetime

    @property
    def is_crash(self) -> bool:
        """Whether it ended by itself, shortly after its start."""
        return self.state is not RunState.KILLED and (self.began is None or self.ended - self.began < STABLE)


def crashes(newest_first: Iterable[Life]) -> int:
    """How many lives in a row, up to the last, were crashes."""
    return sum(1 for _ in takewhile(lambda life: life.is_crash, newest_first))


def next_start(newest_first: list[Life]) -> datetime | None:
    """When a service that does not run is to be started; None: at once.

    What somebody killed comes again at once; what ended by itself after a pause that doubles with every crash.
    """
    if not newest_first or newest_first[0].state is RunState.KILLED:
        return None
    doublings = max(crashes(newest_first) - 1, 0)
    return newest_first[0].ended + min(FIRST_PAUSE * (1 << doublings), LONGEST_PAUSE)
