"""Two applies at once on one state folder: the second is refused, and told who holds it.

The lock is the operating system's, so it ends with the process that holds it, however that ends; the file
beside it only says who that is.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from specrunner.core.errors import Busy, SpecrunnerError
from specrunner.core.ports import Clock
from specrunner.core.values import iso


@contextmanager
def lease(folder: Path, clock: Clock) -> Iterator[None]:
    """Hold the apply lock of a state folder. Raises Busy, naming the holder."""
    who = folder / "apply.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / "apply.lock")
        lock.acquire(timeout=0)
    except Timeout as problem:
        raise _busy(who) from problem
    except OSError as problem:
        raise SpecrunnerError(
            f"The state folder {folder} can't be written: {problem.strerror}.",
            remedy="Run specrunner where you may write, or give the folder to your user.",
        ) from problem
    try:
        me = {"pid": os.getpid(), "host": socket.gethostname(), "since": iso(clock.now().replace(microsecond=0))}
        who.write_text(json.dumps(me), encoding="utf-8")
        yield
    finally:
        who.unlink(missing_ok=True)
        lock.release()


def _busy(who: Path) -> Busy:
    try:
        holder = json.loads(who.read_text(encoding="utf-8"))
        words = f"process {holder['pid']} on {holder['host']}, since {holder['since']}"
        command = f"end it with `kill {holder['pid']}` on {holder['host']}"
    except (OSError, ValueError, KeyError):  # it has just taken the lock, or is just giving it back
        words, command = "another process", "end that process"
    return Busy(
        "Another apply is under way on this state folder.",
        detail=f"It is {words}.",
        remedy=f"Wait until it has ended; if it hangs, {command} and apply again. Its runs go on meanwhile.",
    )
