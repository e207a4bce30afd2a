"""Failed log-ins: whoever guesses is made to wait.

Counted by address. Who was let in before with the same token or password is let in again, so that one who guesses
from behind the same proxy locks nobody out.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Final

from specrunner.core.errors import Transient

ALLOWED: Final = 10  # failures of one address within `WINDOW`
WINDOW: Final = 60.0  # seconds
_MOST: Final = 10_000  # addresses, and proofs, that are remembered


class TooManyFailures(Transient):
    """Too many failed log-ins came from this address."""

    http_status = 429


class Guesses:
    """The failures of the last minute. Safe to use from several threads."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()
        self._good: OrderedDict[bytes, None] = OrderedDict()

    def check(self, address: str, proof: str) -> None:
        """Raises TooManyFailures where this address has to wait; `proof` is the token or password that came."""
        with self._lock:
            if _print(address, proof) in self._good:
                return
            failures = self._failures.get(address)
            while failures and self._now() - failures[0] > WINDOW:
                failures.popleft()
            if failures and len(failures) >= ALLOWED:
                left = WINDOW - (self._now() - failures[0])
                raise TooManyFailures(
                    "Too many log-ins have failed from here.",
                    remedy=f"Wait {max(1, round(left))} seconds, then send a token that is valid.",
                    retry_after=max(1.0, left),
                )

    def forget(self) -> None:
        """Let no failure so far count."""
        with self._lock:
            self._failures.clear()

    def failed(self, address: str) -> None:
        """A log-in from there has failed."""
        with self._lock:
            failures = self._failures.setdefault(address, deque(maxlen=ALLOWED))
            failures.append(self._now())
            self._failures.move_to_end(address)
            while len(self._failures) > _MOST:
                self._failures.popitem(last=False)

    def succeeded(self, address: str, proof: str) -> bool:
        """A log-in has succeeded; whether it is the first of this proof from there, as far as is remembered."""
        with self._lock:
            found = _print(address, proof)
            first = found not in self._good
            self._good[found] = None
            self._good.move_to_end(found)
            while len(self._good) > _MOST:
                self._good.popitem(last=False)
        return first


def _print(address: str, proof: str) -> bytes:
    return hashlib.sha256(f"{address}\0{proof}".encode("utf-8", "surrogatepass")).digest()
