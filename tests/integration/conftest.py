"""Fixtures of the integration tests: where programs of npm are installed, once for all sessions of a checkout."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def npm_folder(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    kept = getattr(pytestconfig, "cache", None)
    return Path(kept.mkdir("npm")) if kept is not None else tmp_path_factory.mktemp("npm")
