"""Trying again what did not work now and may work soon: exponential backoff with jitter."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from specrunner.core.errors import Transient

Result = TypeVar("Result")

# Waits that many seconds, less where it is called off: then it says True, and nothing is tried again.
Pause = Callable[[float], bool]

_LONGEST_ASKED: Final = 300.0  # seconds; the other side may ask for more, and nobody sits through it


@dataclass(frozen=True, slots=True)
class Patience:
    """How often something is tried, and the pauses between, in seconds: the first, and the longest."""

    tries: int = 5
    first: float = 0.5
    longest: float = 15.0

    def pause(self, tried: int, problem: Transient) -> float:
        """The pause after so many tries: jittered, so that many who failed at once do not come back at once.

        What the other side asked for is the least.
        """
        import random  # nobody waits for it but who waits anyway

        most: float = min(self.longest, self.first * 2 ** (tried - 1))
        jittered = most * random.uniform(0.5, 1)  # noqa: S311 (nothing is guarded by it)
        return max(jittered, min(problem.retry_after or 0.0, _LONGEST_ASKED))


PATIENT: Final = Patience()


def asleep(seconds: float) -> bool:
    """A `Pause` that nobody calls off."""
    time.sleep(seconds)
    return False


@dataclass(slots=True)
class Trying:
    """Does one thing until it works, and counts: `tries` is how often it was begun.

    `again` is told of each failure that is not the last, with the seconds until the next try.
    """

    patience: Patience = PATIENT
    pause: Pause = asleep
    again: Callable[[Transient, float], None] | None = None
    tries: int = 0

    def __call__(self, work: Callable[[], Result]) -> Result:
        """What `work` gives. Raises the last Transient where every try failed or waiting was called off."""
        begun = 0
        while True:
            begun += 1
            self.tries = max(self.tries, begun)
            try:
                return work()
            except Transient as problem:
                if begun >= self.patience.tries or self._called_off(problem, begun):
                    raise

    def _called_off(self, problem: Transient, begun: int) -> bool:
        seconds = self.patience.pause(begun, problem)
        if self.again is not None:
            self.again(problem, seconds)
        return self.pause(seconds)
