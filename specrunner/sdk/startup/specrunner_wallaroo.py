"""Run at the start of an interpreter whose environment has the platform's own client: lets that find this run.

The client looks for a token where its log-in keeps one, and for the arguments of a task at a path that is fixed in its
code. Both are put right before it is imported; outside a run nothing happens. Standard library only, Python 3.9.
"""

from __future__ import annotations

import importlib.abc
import importlib.util
import json
import os
import sys
import time
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

_CLIENT = "wallaroo.client"
_LONG = 10 * 365 * 86400  # seconds; the token ends with its run anyway, and must not be refreshed before


def prepare() -> None:
    """Write the token where the client looks, and see to it that it reads this run's arguments."""
    if not os.environ.get("SPECRUNNER_TOKEN") or not os.environ.get("WALLAROO_TASK_ID"):
        return
    try:
        _write_token(_cache() / "wallaroo_sdk" / "auth" / "keycloak.json")
    except OSError as fault:
        sys.stderr.write(f"The client will find no token, because its cache can't be written: {fault}\n")
    sys.meta_path.insert(0, _Finder())


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


def _write_token(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    end = time.time() + _LONG
    told = {
        "access_token": os.environ["SPECRUNNER_TOKEN"],
        "expiry": end,
        "refresh_token": "",
        "refresh_token_expiry": end,
        "user_id": os.environ["WALLAROO_TASK_ID"],
        "user_email": "run@localhost",
    }
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(told, file)
    temporary.replace(path)


class _Finder(importlib.abc.MetaPathFinder):
    """Waits until the client's module is imported, and then is of no more use."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != _CLIENT:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader)
        return spec


class _Loader(importlib.abc.Loader):
    def __init__(self, theirs: Any) -> None:
        self._theirs = theirs

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        found: ModuleType | None = self._theirs.create_module(spec)
        return found

    def exec_module(self, module: ModuleType) -> None:
        self._theirs.exec_module(module)
        _redirect(module.__dict__["Client"])


def _redirect(client: Any) -> None:
    """Have new clients read the arguments of this run."""
    made = client.__init__

    def initialise(self: Any, *arguments: Any, **named: Any) -> None:
        made(self, *arguments, **named)
        self._task_args_filename = os.environ.get("SPECRUNNER_ARGUMENTS", self._task_args_filename)

    client.__init__ = initialise


prepare()
