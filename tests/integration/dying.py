"""Chosen moments at which a host dies: the way into or out of a call, where something may be half done.

`arm` has this process kill itself with SIGKILL the n-th time that it comes to such a point.
"""

from __future__ import annotations

import functools
import os
import signal
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from specrunner.engine.tasks.carrier import Carrier
from specrunner.engine.tasks.executors.local import LocalExecutor
from specrunner.engine.tasks.history import History
from specrunner.engine.tasks.launch import Claim, Launch
from specrunner.engine.tasks.runs import Runs
from specrunner.engine.tasks.storebook import StoreBook


@dataclass(frozen=True)
class Point:
    """Before or after a call of a method of this class; after one that gave nothing, it is not reached."""

    owner: type
    method: str
    is_after: bool = True


POINTS: Mapping[str, Point] = {
    "an instant is claimed": Point(StoreBook, "settle"),
    "a claimed run is to be started": Point(Carrier, "take", is_after=False),
    "a run's folder is claimed": Point(Claim, "__init__"),
    "a run's supervisor is spawned": Point(Launch, "__init__"),
    "a run is handed to its supervisor": Point(LocalExecutor, "start"),
    "a run's start is written down": Point(History, "started"),
    "a run's exit is seen": Point(LocalExecutor, "wait"),
    "a run's end is to be committed": Point(History, "ended"),
    "a run's end is committed": Point(Runs, "_record_end"),
    "another attempt is committed": Point(History, "retried"),
}
_SILENT = {"__init__", "start"}  # these give nothing, ever


def arm(name: str, passes: int) -> None:
    """Have this process die at the point of that name, when it comes there for the n-th time."""
    point, lock, passed = POINTS[name], threading.Lock(), 0

    def reached() -> None:
        nonlocal passed
        with lock:  # a thread that comes second waits here for its death
            passed += 1
            if passed == passes:
                os.kill(os.getpid(), signal.SIGKILL)

    real: Callable[..., Any] = getattr(point.owner, point.method)

    @functools.wraps(real)
    def watched(*args: Any, **more: Any) -> Any:
        if not point.is_after:
            reached()
        found = real(*args, **more)
        if point.is_after and (found is not None or point.method in _SILENT):
            reached()
        return found

    setattr(point.owner, point.method, watched)
