"""The command line, killed at a chosen moment: `python -m tests.acceptance.crashing kill|lose POINT LOG WORD…`.

Each moment at which a crash could leave something half done is a *point*, counted from 1: before and after each call of
the target that may write, each transaction of the store, each fsync and each file that is put in place by a rename
(the journal, artifacts, environments, status files). At point number POINT the process kills itself with SIGKILL; told
to `lose`, it lives, and the answer of the target's call is lost if the point lies after one. LOG holds the name of
every point that was passed, a line each.
"""

from __future__ import annotations

import functools
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from specrunner.cli.main import run
from specrunner.core.errors import Transient
from specrunner.engine.store.database import Database
from specrunner.targets.local.target import LocalTarget

WRITING = ("put", "delete", "run", "restore", "remember", "take_lease", "renew_lease", "release_lease")


class Points:
    """Counts the points of this process, and kills it at one, or loses an answer there."""

    def __init__(self, how: str, chosen: int, log: Path) -> None:
        self._kills = how == "kill"
        self._chosen = chosen
        self._log = log
        self._passed = 0
        self._lock = threading.Lock()

    def reached(self, name: str) -> None:
        with self._lock:
            self._passed += 1
            chosen = self._passed == self._chosen
            if chosen and self._kills:
                os.kill(os.getpid(), signal.SIGKILL)
            with self._log.open("a", encoding="utf-8") as log:
                log.write(f"{name}\n")
        if chosen and name.startswith("after target."):
            raise Transient("The answer was lost.")

    def around(self, owner: Any, name: str, words: str) -> None:
        """Make a point before and after each call of a function that is an attribute of `owner`."""
        real: Callable[..., Any] = getattr(owner, name)

        @functools.wraps(real)
        def watched(*args: Any, **more: Any) -> Any:
            self.reached(f"before {words}")
            found = real(*args, **more)
            self.reached(f"after {words}")
            return found

        setattr(owner, name, watched)

    def around_transactions(self) -> None:
        real = Database.write

        @contextmanager
        def write(database: Database) -> Iterator[Any]:
            with real(database) as connection:
                yield connection
                self.reached("before a commit")
            self.reached("after a commit")

        Database.write = write  # type: ignore[method-assign, assignment]


def main(how: str, point: str, log: str, *words: str) -> None:
    points = Points(how, int(point), Path(log))
    for name in WRITING:
        points.around(LocalTarget, name, f"target.{name}")
    points.around(os, "fsync", "an fsync")
    points.around(os, "rename", "a rename")
    points.around(os, "replace", "a replace")
    points.around_transactions()
    run(list(words))


if __name__ == "__main__":
    main(*sys.argv[1:])
