"""What a host does beside its work, again and again: records, and news."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def repeated(name: str, work: Callable[[], object], every: float, patience: float | None = None) -> Iterator[None]:
    """While inside, a thread of that name does `work` every so many seconds; at the end once more.

    That last time is waited for, at most for `patience` seconds. `work` raises nothing.
    """
    leaving = threading.Event()

    def loop() -> None:
        while not leaving.wait(every):
            work()
        work()

    thread = threading.Thread(target=loop, name=name, daemon=True)
    thread.start()
    try:
        yield
    finally:
        leaving.set()
        thread.join(patience)
