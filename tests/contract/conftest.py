"""Every test of a target's contract is made for every adapter."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from specrunner.targets.base import Target
from tests.contract.target_samples import ADAPTERS, Applying, Make


@pytest.fixture(params=sorted(ADAPTERS))
def make(request: pytest.FixtureRequest) -> Make:
    return ADAPTERS[request.param]


@pytest.fixture
def target(make: Make, tmp_path: Path) -> Iterator[Target]:
    opened = make(tmp_path / "state")
    yield opened
    for step in Applying(opened).plan([]).work:
        opened.delete(step)  # kills what still runs
    opened.close()


@pytest.fixture
def project(target: Target) -> Applying:
    return Applying(target)
