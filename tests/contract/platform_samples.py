"""A platform that speaks the MLOps API, for the contract of targets: a real server over an engine, with its host.

All who open the same folder reach the same platform; the last of them to close ends it.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx

from specrunner.core.ports import Clock
from specrunner.engine.engine import Engine
from specrunner.targets.base import Target
from specrunner.targets.memory import MemoryState, MemoryTarget
from specrunner.targets.wallaroo import WallarooTarget
from specrunner.targets.wallaroo.http import Platform
from specrunner.targets.wallaroo.memory import Memory
from tests.integration.mlops_face import platform_on


@dataclass
class _Running:
    """One platform that runs, and how many have it open."""

    engine: Engine
    url: str
    stack: ExitStack
    users: int = 0


_RUNNING: dict[Path, _Running] = {}


class _Way(httpx.HTTPTransport):
    """The way to a platform of this process."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        _RUNNING[folder].users += 1

    def close(self) -> None:
        super().close()
        found = _RUNNING[self.folder]
        found.users -= 1
        if not found.users:
            del _RUNNING[self.folder]
            found.stack.close()


def wallaroo(folder: Path, clock: Clock | None = None) -> Target:
    """A client of the platform of this folder; the clock is that of leases, which the platform does not have."""
    if folder not in _RUNNING:
        stack = ExitStack()
        platform = stack.enter_context(platform_on(folder))
        _RUNNING[folder] = _Running(platform.engine, platform.url, stack)
    client = httpx.Client(transport=_Way(folder), timeout=30)
    leases = MemoryTarget(MemoryState(folder / "wallaroo-leases.json"), clock=clock)
    memory = Memory(folder / "wallaroo.json")
    return WallarooTarget(Platform(_RUNNING[folder].url, client=client), memory, leases)


def engine_behind(target: WallarooTarget) -> Engine:
    """The engine of the platform behind a target."""
    client = target._platform.client
    assert client is not None and isinstance(client._transport, _Way)
    return _RUNNING[client._transport.folder].engine
