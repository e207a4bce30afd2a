"""What can be followed at all: addresses, branches and intervals that can't be are refused before anything begins."""

from __future__ import annotations

from pathlib import Path

import pytest

from specrunner.cli.controlling import Following, controller_of
from specrunner.core.errors import UsageError


def following(repo: str = "https://git.example.com/x", branch: str = "main", interval: float = 60.0) -> Following:
    return Following(repo, branch, ".", None, interval)


def refused(tmp_path: Path, wanted: Following) -> str:
    with pytest.raises(UsageError) as told:
        controller_of(wanted.repo or "", wanted, tmp_path / ".specrunner")
    assert told.value.remedy and not (tmp_path / ".specrunner").exists()
    return told.value.summary


@pytest.mark.parametrize(
    "repo", ["", "--upload-pack=touch x", "https://a:b@git.example.com/x", "https://a@git.example.com"]
)
def test_what_is_no_address_or_holds_a_password_is_refused(tmp_path: Path, repo: str) -> None:
    assert "--repo" in refused(tmp_path, following(repo)) or "no address" in refused(tmp_path, following(repo))


NAMES = [
    "",
    "-x",
    "main*",
    "a:b",
    "a b",
    "a..b",
    "/a",
    "a/",
    "a//b",
    ".a",
    "a/.b",
    "a.lock",
    "a.",
    "a~1",
    "a@{1}",
    "a\n",
]


@pytest.mark.parametrize("branch", NAMES)
def test_what_can_be_no_branch_is_refused(tmp_path: Path, branch: str) -> None:
    assert repr(branch) in refused(tmp_path, following(branch=branch))


@pytest.mark.parametrize("branch", ["main", "release/2.1", "a-b_c", "übung", "a@b"])
def test_other_branches_are_taken(tmp_path: Path, branch: str) -> None:
    assert controller_of("/nowhere", following(branch=branch), tmp_path).mirror.remote.branch == branch


def test_an_interval_that_is_none_is_refused(tmp_path: Path) -> None:
    assert "--interval" in refused(tmp_path, following(interval=0.0))
