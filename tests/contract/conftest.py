"""Every test of a target's contract is made for every adapter."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from specrunner.targets.base import Target
from tests.contract.platform_samples import WITHOUT
from tests.contract.target_samples import ADAPTERS, Applying, Make


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out, by name and with its reason, what a target has no way to keep."""
    for item in items:
        call = getattr(item, "callspec", None)
        if call is not None and call.params.get("make") in WITHOUT:
            reasons = WITHOUT[call.params["make"]]
            words = reasons.get(item.originalname) or reasons.get(item.name)  # type: ignore[attr-defined]
            if words:
                item.add_marker(pytest.mark.skip(reason=words))


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
