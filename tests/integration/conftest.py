"""Fixtures of the integration tests: where programs of npm are installed, once for all sessions of a checkout."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def npm_folder(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    kept = getattr(pytestconfig, "cache", None)
    return Path(kept.mkdir("npm")) if kept is not None else tmp_path_factory.mktemp("npm")


@pytest.fixture(scope="session")
def environment_cache(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cache of environments: one for all tests and, with pytest's own cache, for all sessions of a checkout."""
    kept = getattr(pytestconfig, "cache", None)
    return Path(kept.mkdir("specrunner")) if kept is not None else tmp_path_factory.mktemp("cache")
