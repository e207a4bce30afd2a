"""Fixtures of the acceptance tests: one cache for all environments, spec repositories, golden files."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.acceptance.normalise import normalised
from tests.acceptance.spec_repo import PROJECT, WORKSPACE, Result, SpecRepo

GOLDEN = Path(__file__).parent / "golden"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--regenerate", action="store_true", help="Write the golden files anew from what was printed.")


@pytest.fixture(scope="session")
def cache(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cache of environments: one for all tests and, with pytest's own cache, for all sessions of a checkout."""
    given = os.environ.get("SPECRUNNER_CACHE")
    if given:
        return Path(given)
    kept = getattr(pytestconfig, "cache", None)
    return Path(kept.mkdir("specrunner")) if kept is not None else tmp_path_factory.mktemp("cache")


@pytest.fixture
def repo(tmp_path: Path, cache: Path) -> SpecRepo:
    """A spec repository with a project and a workspace."""
    return make_repo(tmp_path / "specs", cache)


def make_repo(root: Path, cache: Path) -> SpecRepo:
    made = SpecRepo(root, {"SPECRUNNER_CACHE": str(cache)})
    made.write("specrunner.yaml", PROJECT)
    made.write("workspace.yaml", WORKSPACE)
    return made


@pytest.fixture
def golden(pytestconfig: pytest.Config, repo: SpecRepo) -> Callable[[str, Result], None]:
    """Compare what a command said with `golden/NAME.txt`; `--regenerate` writes the file instead."""

    def compare(name: str, result: Result) -> None:
        file = GOLDEN / f"{name}.txt"
        found = normalised(result.said, repo.root)
        if pytestconfig.getoption("--regenerate", default=False):
            file.write_text(found, encoding="utf-8")
        assert found == file.read_text(encoding="utf-8")

    return compare
