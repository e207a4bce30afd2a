"""Sessions with a client, side by side: they wait for schedules and packaging most of the time.

A test is told of its session by the parameter `session`; the sessions of all selected tests begin with the first of
them, the longest first, and each test waits for its own.
"""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

AT_ONCE = 8  # with four that wait for minutes of the clock, two processors are busy
LIMIT = 1200.0  # seconds that one may take, on a machine with much else to do


@dataclass(frozen=True, slots=True)
class Session:
    """What is done in one, in a folder of its own; `minutes` is how long it takes, about."""

    name: str
    work: Callable[..., Any]
    arguments: tuple[str, ...]
    minutes: float


@dataclass(slots=True)
class Driver:
    """Starts the interpreters of one session, and ends them if nobody wants them any more."""

    folder: Path
    given_up: threading.Event = field(default_factory=threading.Event)

    def run(self, words: list[str], environment: Mapping[str, str], cwd: Path) -> str:
        """What it prints; it must end well and in time."""
        with (self.folder / "stderr.txt").open("w+b") as errors:
            with subprocess.Popen(words, env=environment, cwd=cwd, stdout=subprocess.PIPE, stderr=errors) as process:
                watch = threading.Thread(target=self._watch, args=(process,), daemon=True)
                watch.start()
                assert process.stdout is not None
                out = process.stdout.read().decode()
            errors.seek(0)
            assert process.returncode == 0, errors.read().decode()[-4000:] + out[-2000:]
        return out

    def _watch(self, process: subprocess.Popen[bytes]) -> None:
        limit = time.monotonic() + LIMIT
        while process.poll() is None:
            if self.given_up.wait(1.0) or time.monotonic() > limit:
                process.kill()


class Sessions:
    """The sessions that were asked for; how long each took is in `seconds` when it has ended."""

    def __init__(self, folder: Path, wanted: Iterable[Session]) -> None:
        self._folder = folder
        self._given_up = threading.Event()
        self._pool = ThreadPoolExecutor(AT_ONCE)
        self.seconds: dict[str, float] = {}
        longest_first = sorted(wanted, key=lambda one: -one.minutes)
        self._outcomes: dict[Session, Future[Any]] = {one: self._pool.submit(self._take, one) for one in longest_first}

    def outcome(self, session: Session) -> Any:
        """What came of it, once it has ended; raises what went wrong in it."""
        return self._outcomes[session].result()

    def close(self) -> None:
        """Give up those that are under way."""
        self._given_up.set()
        self._pool.shutdown(cancel_futures=True)

    def _take(self, session: Session) -> Any:
        folder = self._folder / session.name.replace(" ", "-")
        folder.mkdir()
        began = time.monotonic()
        try:
            return session.work(Driver(folder, self._given_up), *session.arguments)
        finally:
            self.seconds[session.name] = time.monotonic() - began
