"""Trying again, and waiting for something to become so: one growing pause for both."""

from __future__ import annotations

import time
from collections.abc import Callable


class Patience:
    """Pauses that double from `first` to `longest` seconds, until `total` seconds have passed since it was made.

    `clock` and `sleep` are monotonic seconds, as in the module `time`.
    """

    def __init__(
        self,
        total: float,
        first: float = 0.05,
        longest: float = 1.0,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._pause = first
        self._longest = longest
        self._deadline = clock() + total

    def pause(self) -> bool:
        """Sleep once and return True, or return False at once when the time is over."""
        left = self._deadline - self._clock()
        if left <= 0:
            return False
        self._sleep(min(self._pause, left))
        self._pause = min(self._pause * 2, self._longest)
        return True
