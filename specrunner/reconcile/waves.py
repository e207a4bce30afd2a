"""Doing what waits for one another in parallel: each thing starts as soon as all that it waits for has ended."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from typing import Final, Generic, TypeVar

from specrunner.core.keys import Key

Result = TypeVar("Result")

_AHEAD: Final = 4  # things handed to a pool per worker, so that none is idle and few are left when we are stopped


class Waves(Generic[Result]):
    """One pass over a graph of keys, each once (Kahn's algorithm).

    `hold` gives, in the caller's thread, what became of something that is not to be done, or None; `work` does it in
    a thread of the pool; `ended` is told of each, in the caller's thread, before what waits for it is looked at.
    """

    def __init__(
        self,
        waits: Mapping[Key, Collection[Key]],
        hold: Callable[[Key], Result | None],
        work: Callable[[Key], Result],
        ended: Callable[[Key, Result], None],
    ) -> None:
        self._hold, self._work, self._told = hold, work, ended
        self._waits = {key: {other for other in others if other in waits} for key, others in waits.items()}
        self._waiting_for: dict[Key, list[Key]] = {}
        for key, others in self._waits.items():
            for other in others:
                self._waiting_for.setdefault(other, []).append(key)
        self._ready = deque(key for key, others in self._waits.items() if not others)

    def run(self, pool: Executor, parallelism: int) -> None:
        """Return when everything has ended, however."""
        running: dict[Future[Result], Key] = {}
        while self._ready or running:
            while self._ready and len(running) < _AHEAD * parallelism:
                key = self._ready.popleft()
                result = self._hold(key)
                if result is None:
                    running[pool.submit(self._work, key)] = key
                else:
                    self._end(key, result)
            if running:
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    self._end(running.pop(future), future.result())

    def _end(self, key: Key, result: Result) -> None:
        self._told(key, result)
        for other in self._waiting_for.get(key, ()):
            self._waits[other].discard(key)
            if not self._waits[other]:
                self._ready.append(other)
