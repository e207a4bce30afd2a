"""What this machine can and cannot do, in plain words: what `specrunner doctor` shows.

Each module looks at one side of it, and each function at one thing. They write nothing that stays, and none raises for
what it looks for: what is missing is what they are there to tell.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from specrunner.core.health import Check
from specrunner.engine.health import isolation, network, software, storage, times


def checks(folder: Path, cache: Path, *, ask_index: bool = True) -> Iterator[Check]:
    """Every check, one by one as they are done. `folder` holds the state, `cache` the environments.

    Unless `ask_index`, nobody is asked over the network.
    """
    yield software.python()
    yield software.sqlite()
    yield software.uv()
    yield software.git()
    yield storage.writable("state folder", folder)
    yield storage.writable("cache", cache)
    yield from storage.space(folder, cache)
    yield storage.kind_of("file system of the state", folder)
    yield storage.links(cache)
    yield times.clock()
    yield times.zones()
    yield isolation.processes()
    yield isolation.subreaper()
    yield isolation.groups()
    yield isolation.memory()
    yield isolation.limits()
    yield isolation.start_method()
    yield network.loopback()
    if ask_index:
        yield network.index()
