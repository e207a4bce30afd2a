"""The command line with a clock at its landmarks: `python benchmarks/marked_cli.py MARKS.json ARGUMENTS...`.

Does what `specrunner ARGUMENTS...` does, and writes to MARKS.json when each landmark was first reached, in seconds
since the epoch. Modules still load when the command line asks for them: an import hook puts the clocks in as they
come, so that the time of loading stays where it is spent.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from types import ModuleType
from typing import Any

# Module -> what is timed in it. `before` and `after` a call are the landmarks, and the begin of the import itself.
LANDMARKS: Mapping[str, Sequence[str]] = {
    "specrunner.cli.main": ("status_of",),
    "specrunner.spec.desired": ("load",),
    "specrunner.engine.engine": ("Engine.__init__",),
    "specrunner.targets.local.target": ("LocalTarget.read", "LocalTarget.put", "LocalTarget.run", "LocalTarget.close"),
    "specrunner.server.host": ("LoopbackApi.address",),
    "specrunner.engine.tasks.executors.local": ("LocalExecutor.start",),
}

marks: dict[str, float] = {}


def mark(name: str) -> None:
    marks.setdefault(name, time.time())


def clocked(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, marking when it is first called and when it first returns."""

    @wraps(function)
    def wrapper(*positional: Any, **named: Any) -> Any:
        mark(f"before {name}")
        try:
            return function(*positional, **named)
        finally:
            mark(f"after {name}")

    return wrapper


class ClockedLoader(importlib.abc.Loader):
    """Loads a module as its own loader does, then puts the clocks in."""

    def __init__(self, loader: importlib.abc.Loader, names: Sequence[str]) -> None:
        self._loader = loader
        self._names = names

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        for dotted in self._names:
            *owners, name = dotted.split(".")
            owner: Any = module
            for part in owners:
                owner = getattr(owner, part)
            setattr(owner, name, clocked(dotted, getattr(owner, name)))


class ClockedFinder(importlib.abc.MetaPathFinder):
    """Finds the modules with landmarks."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        names = LANDMARKS.get(fullname)
        if names is None:
            return None
        mark(f"import {fullname}")
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = ClockedLoader(spec.loader, names)
        return spec


def main() -> None:
    file, *arguments = sys.argv[1:]
    sys.meta_path.insert(0, ClockedFinder())
    from specrunner.cli import main as command_line

    try:
        status = command_line.status_of(arguments)
    finally:
        Path(file).write_text(json.dumps(marks), encoding="utf-8")
    sys.exit(status)


if __name__ == "__main__":
    main()
