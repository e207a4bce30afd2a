"""One answer for many who ask the same at once: dashboards and waiting clients all look at the same things."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Final

_OLDEST: Final = 0.2  # seconds; beside what the store says, an answer tells what became of processes
_MOST: Final = 256  # answers; with more, all are forgotten


@dataclass(slots=True)
class Shared:
    """Answers by what was asked for. `generation` gives a number that changes with every write to the store.

    An answer was made after the last write before it was asked for, and is not older than `_OLDEST`. Who asks while
    another makes the same waits for that.
    """

    generation: Callable[[], int]
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _making: dict[Hashable, threading.Lock] = field(default_factory=dict)
    _known: dict[Hashable, tuple[int, float, bytes]] = field(default_factory=dict)

    def get(self, asked: Hashable, make: Callable[[], bytes]) -> bytes:
        """The answer to what was asked. Raises what `make` raises, which is not kept."""
        with self._lock:
            if len(self._making) > _MOST:
                self._making.clear()
                self._known.clear()
            making = self._making.setdefault(asked, threading.Lock())
        now = self.generation()
        with making:
            found = self._known.get(asked)
            if found is not None and found[0] >= now and time.monotonic() - found[1] < _OLDEST:
                return found[2]
            at, began = self.generation(), time.monotonic()
            answer = make()
            self._known[asked] = (at, began, answer)
        return answer
