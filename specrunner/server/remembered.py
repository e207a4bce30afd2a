"""What the store has said, kept until anybody writes to it: a request that comes again asks the store one number."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

_MOST = 4096  # answers; with more, all are forgotten

_Key = TypeVar("_Key", bound=Hashable)
_Value = TypeVar("_Value")


class Remembered(Generic[_Key, _Value]):
    """The answers of `ask`, by its arguments. `generation` gives a number that changes with every write.

    An answer is never older than the last write before it was asked for: the generation is read first, so a
    write meanwhile makes the next question ask anew. What is raised is not kept. Safe to use from several threads.
    """

    def __init__(self, generation: Callable[[], int], ask: Callable[..., _Value]) -> None:
        self._generation = generation
        self._ask = ask
        self._lock = threading.Lock()
        self._known_at: int | None = None
        self._known: dict[tuple[_Key, ...], _Value] = {}

    def known(self, *key: _Key) -> _Value | None:
        """The answer, if it is remembered and still holds; asks the store one number."""
        with self._lock:
            return self._known.get(key) if self._generation() == self._known_at else None

    def __call__(self, *key: _Key) -> _Value:
        """The answer for these arguments. Raises what `ask` raises."""
        with self._lock:
            # Under the lock, or a thread that was held up would bring back an older generation.
            now = self._generation()
            if now != self._known_at or len(self._known) >= _MOST:
                self._known, self._known_at = {}, now
            if key in self._known:
                return self._known[key]
        found = self._ask(*key)
        with self._lock:
            if self._known_at == now:
                self._known[key] = found
        return found
