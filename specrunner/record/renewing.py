"""Claims that this machine holds: renewed while their runs live, so that a long run is not taken for a lost one.

A claim names the time after which others may take its holder for dead. For a run that may take as long as it likes,
that time must be short, or a machine that died would block its task for a day; and so the living tell that they live.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from specrunner.core.errors import SpecrunnerError
from specrunner.core.outcome import RunView
from specrunner.core.ports import Look
from specrunner.core.ticks import claimed_until, is_worn
from specrunner.core.values import JsonObject
from specrunner.record.recorded import run_of

PERIOD: Final = 60.0  # seconds between looks at what we hold
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A run that is to be ours, the spec that says for how long, and from when on that counts."""

    run: RunView
    spec: JsonObject
    since: datetime

    @property
    def until(self) -> datetime:
        """After this it counts as lost."""
        return claimed_until(self.spec, self.since)


@dataclass(slots=True)
class Held:
    """What is claimed by this process and not ended yet, by its path. May be asked from any thread."""

    _claims: dict[str, Wanted] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, wanted: Mapping[str, Wanted], won: frozenset[str]) -> list[Wanted]:
        """Hold those of the claims that were won; these."""
        found = {path: one for path, one in wanted.items() if path in won}
        with self._lock:
            self._claims |= found
        return list(found.values())

    def drop(self, paths: Iterable[str]) -> None:
        """Hold these no longer."""
        with self._lock:
            for path in paths:
                self._claims.pop(path, None)

    def worn(self, now: datetime) -> dict[str, Wanted]:
        """Those whose time is half over."""
        with self._lock:
            return {path: one for path, one in self._claims.items() if is_worn(one.since, one.until, now)}


def renewed(wanted: Mapping[str, Wanted]) -> Callable[[str, Look], bool]:
    """Says whether a claim may be written anew: where it stands there yet, as ours and without an end."""

    def ours(path: str, look: Look) -> bool:
        run = wanted[path].run
        there = run_of(run.task, look(path) or b"")
        return there is not None and there.id == run.id and not there.status.ended

    return ours


@contextmanager
def renewing(renew: Callable[[], None], period: float = PERIOD) -> Iterator[None]:
    """Call `renew` now and then, in a thread of its own, until this ends; what goes wrong is tried again."""
    ended = threading.Event()

    def loop() -> None:
        while not ended.wait(period):
            try:
                renew()
            except SpecrunnerError as problem:
                _logger.warning("action=renew it is tried again: %s", problem.diagnostics[0].summary)

    thread = threading.Thread(target=loop, name="claims", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
