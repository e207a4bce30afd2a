"""A control group in which runs may make theirs, where this machine lets us have one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def place_for_groups() -> Iterator[Path]:
    """A group (cgroup v2) of this test. Skips it where none can be made. What is in it must have ended by the end."""
    mounts = [line.split()[4] for line in _lines("/proc/self/mountinfo") if " - cgroup2 " in line]
    own = [line[3:] for line in _lines("/proc/self/cgroup") if line.startswith("0::")]
    if not mounts or not own:
        pytest.skip("there is no cgroup v2 here")
    place = Path(mounts[0]) / own[0].strip("/") / f"specrunner-test-{os.getpid()}"
    try:
        place.mkdir()
    except OSError as error:
        pytest.skip(f"no control group can be made here: {error}")
    try:
        yield place
    finally:
        left = [entry.name for entry in place.iterdir() if entry.is_dir()]
        for name in left:
            (place / name).rmdir()
        place.rmdir()
    assert left == [], "control groups of runs that have ended stay"


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []
