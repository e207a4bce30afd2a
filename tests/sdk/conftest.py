"""Tests with the platform's own client, which take minutes and the package index: only where they are asked for."""

from __future__ import annotations

import pytest

_WHY = "it needs the platform's own client from the package index: `make test-sdk` runs it"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--sdk"):
        return
    for item in items:
        if "tests/sdk/" in item.nodeid:
            item.add_marker(pytest.mark.skip(reason=_WHY))
