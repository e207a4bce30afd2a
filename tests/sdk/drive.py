"""One session of the platform's client, and the steps taken in it; run by the interpreter that has the client."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import wallaroo

from tests.sdk import versions
from tests.sdk.known import LACKING

URL, FOLDER = sys.argv[1], Path(sys.argv[2])
VERSION = wallaroo.__version__
OURS = "specrunner" in VERSION
OLD = VERSION == versions.OLD
PATIENCE = 300.0  # seconds; an environment may have to be built, with a cold cache on a busy machine
AGO = datetime.now(tz=UTC)


class Session:
    """What the calls leave for those that follow."""

    def __init__(self) -> None:
        self.wl: Any = None
        self.workspace: Any = None
        self.model: Any = None
        self.pipeline: Any = None
        self.orchestration: Any = None
        self.task: Any = None
        self.scheduled: Any = None
        self.tag: Any = None


S = Session()
STEPS: list[tuple[str, Callable[[], object]]] = []


def call(name: str) -> Callable[[Callable[[], object]], None]:
    """Register a step, if this client has the call."""

    def register(step: Callable[[], object]) -> None:
        if name not in LACKING[versions.OURS if OURS else VERSION]:
            STEPS.append((name, step))

    return register


def until(condition: Callable[[], Any], what: str) -> Any:
    limit = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < limit, f"never came: {what}"
        time.sleep(0.2)
    return found


def raises(kind: type[BaseException], work: Callable[[], object]) -> BaseException:
    try:
        found = work()
    except kind as problem:
        return problem
    raise AssertionError(f"no {kind.__name__}: {found!r}")


def html(thing: Any) -> str:
    return str(thing._repr_html_())


def framework(name: str = "ONNX") -> dict[str, Any]:
    """The argument that tells an upload what it is; the older client tells that by the file's name."""
    if OLD:
        return {}
    from wallaroo.framework import Framework

    return {"framework": Framework[name]}


def status_of(model: Any) -> str:
    """The status of a model, which is an enumeration in some clients."""
    found = model.status()
    return str(getattr(found, "value", found))
