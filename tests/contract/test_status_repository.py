"""What every `StatusRepository` does, a folder as well as a branch with a remote or without."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from specrunner.core.errors import SpecrunnerError
from specrunner.core.ports import StatusRepository
from specrunner.record.folder import FolderStatus
from tests.contract.repository_samples import git, make_hub, status_in

Again = Callable[[], StatusRepository]


@pytest.fixture(params=["folder", "branch", "branch with a remote"])
def again(request: pytest.FixtureRequest, tmp_path: Path) -> Again:
    """Opens one and the same repository, as another process would."""
    if request.param == "folder":
        return lambda: FolderStatus(tmp_path / "status")
    if request.param == "branch":
        git(tmp_path, "init", "-q")
        return lambda: status_in(tmp_path, remote="")
    clone = make_hub(tmp_path).clone("clone")
    return lambda: status_in(clone)


def test_nothing_is_there_at_first(again: Again) -> None:
    assert again().read("") == {}
    assert again().read("live/") == {}


def test_what_was_written_is_read_below_the_prefix_only(again: Again) -> None:
    again().write({"live/a/b.yaml": b"1", "live/README.md": b"2\n", "lively/c.yaml": b"3"}, "message")
    assert again().read("live/") == {"live/a/b.yaml": b"1", "live/README.md": b"2\n"}
    assert again().read("live/a/b") == {"live/a/b.yaml": b"1"}
    assert again().read("liv") == {"live/a/b.yaml": b"1", "live/README.md": b"2\n", "lively/c.yaml": b"3"}
    assert again().read("none/") == {}


def test_none_removes_a_file_and_removing_what_is_not_there_is_fine(again: Again) -> None:
    again().write({"live/a.yaml": b"1", "live/b.yaml": b"2"}, "message")
    again().write({"live/a.yaml": None, "live/c.yaml": None}, "message")
    assert again().read("") == {"live/b.yaml": b"2"}


def test_a_batch_replaces_adds_and_removes_at_once(again: Again) -> None:
    repository = again()
    repository.write({"live/a.yaml": b"1", "live/b.yaml": b"2"}, "message")
    repository.write({"live/a.yaml": b"new", "live/b.yaml": None, "live/d/e.yaml": b""}, "message")
    assert repository.read("") == {"live/a.yaml": b"new", "live/d/e.yaml": b""}


@pytest.mark.parametrize("name", ["a b.yaml", "%2E.yaml", 'quo"te.yaml', "back\\slash.yaml", "'.yaml", "ü.yaml", "-x"])
def test_any_file_name_comes_back_as_it_was(again: Again, name: str) -> None:
    data = bytes(range(256)) + b"\nfrom here\n" * 3
    again().write({f"live/{name}": data}, "message")
    assert again().read("") == {f"live/{name}": data}


def test_a_place_that_can_be_written_to_is_none_to_complain_of(again: Again) -> None:
    repository = again()
    for _ in range(2):
        repository.check("live")
        repository.write({"live/a.yaml": b"1"}, "message")


def test_a_file_where_the_records_belong_is_told_before_anything_is_written(again: Again) -> None:
    again().write({"live": b"a file of somebody else"}, "message")
    with pytest.raises(SpecrunnerError):
        again().check("live")
