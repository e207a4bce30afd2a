"""Fixtures of the integration tests: where programs of npm are installed, once for all sessions of a checkout."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.spec_repo import SpecRepo
from tests.integration import github_runner
from tests.integration.github_api import Api, serving_api
from tests.integration.github_runner import Runner
from tests.integration.github_world import PROJECT, WORKSPACE, World


@pytest.fixture(scope="session")
def npm_folder(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    kept = getattr(pytestconfig, "cache", None)
    return Path(kept.mkdir("npm")) if kept is not None else tmp_path_factory.mktemp("npm")


@pytest.fixture(scope="session")
def environment_cache(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cache of environments: one for all tests and, with pytest's own cache, for all sessions of a checkout."""
    kept = getattr(pytestconfig, "cache", None)
    return Path(kept.mkdir("specrunner")) if kept is not None else tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def venv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the action's install step makes, from this checkout."""
    return github_runner.install(tmp_path_factory.mktemp("installed"))


@pytest.fixture
def api() -> Iterator[Api]:
    with serving_api() as serving:
        yield serving


@pytest.fixture
def world(tmp_path: Path, api: Api, venv: Path, environment_cache: Path) -> World:
    remote = tmp_path / "remote.git"
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(remote)], check=True)
    specs = SpecRepo(tmp_path / "clone")
    specs.write("specrunner.yaml", PROJECT)
    specs.write("workspace.yaml", WORKSPACE)
    subprocess.run(["git", "init", "-q", "-b", "main", str(specs.root)], check=True)
    made = World(specs, remote, api, Runner(tmp_path, remote, api, environment_cache, venv))
    made.git("remote", "add", "origin", str(remote))
    made.push("main", "Begin")
    return made
