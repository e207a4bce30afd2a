"""Records of a run, and what an end is called."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from specrunner.engine.tasks import exitfile

EXITED_1 = 1 << 8
SIGKILLED = 9
LIMIT = 2**20


@pytest.mark.parametrize(
    ("status", "last", "memory", "oom_kill", "state", "reason", "code"),
    [
        (0, "anything", None, False, "success", None, 0),
        (EXITED_1, "ValueError: boom", None, False, "failure", "exit", 1),
        (EXITED_1, "MemoryError", LIMIT, False, "failure", "oom", 1),
        (EXITED_1, "MemoryError", None, False, "failure", "exit", 1),
        (EXITED_1, "ValueError", None, True, "failure", "exit", 1),
        (SIGKILLED, "", None, False, "failure", "signal", 137),
        (SIGKILLED, "", None, True, "failure", "oom", 137),
        (6, "  what():  std::bad_alloc", LIMIT, False, "failure", "oom", 134),
        (40, "", None, False, "failure", "signal", 168),
    ],
)
def test_what_an_end_is_called(
    status: int, last: str, memory: int | None, oom_kill: bool, state: str, reason: str | None, code: int
) -> None:
    outcome = exitfile.by_itself(status, last, memory, oom_kill)
    assert (outcome.state, outcome.reason, outcome.exit_code) == (state, reason, code)


def test_a_record_written_once_stays(tmp_path: Path) -> None:
    path = str(tmp_path / "exit.json")
    assert exitfile.write_once(path, {"state": "success"})
    assert not exitfile.write_once(path, {"state": "lost"})
    assert exitfile.read(path) == {"state": "success"}
    assert [file.name for file in tmp_path.iterdir()] == ["exit.json"]


def test_a_record_is_written_once_also_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError("no hard links here")

    monkeypatch.setattr(os, "link", refuse)
    path = str(tmp_path / "exit.json")
    assert exitfile.write_once(path, {"state": "success"})
    assert not exitfile.write_once(path, {"state": "lost"})
    assert exitfile.read(path) == {"state": "success"}
    assert [file.name for file in tmp_path.iterdir()] == ["exit.json"]


def test_no_record_is_none_and_another_thing_is_an_error(tmp_path: Path) -> None:
    assert exitfile.read(str(tmp_path / "none.json")) is None
    (tmp_path / "list.json").write_text("[]")
    with pytest.raises(ValueError, match=r"list\.json"):
        exitfile.read(str(tmp_path / "list.json"))


def test_a_record_that_could_not_be_written_whole_leaves_nothing(tmp_path: Path) -> None:
    # JSON has no bytes; a disk that is full fails at the same place.
    with pytest.raises(TypeError):
        exitfile.write_once(str(tmp_path / "exit.json"), {"state": b"success"})
    assert list(tmp_path.iterdir()) == []


def test_the_room_for_a_record_is_taken_and_given_back(tmp_path: Path) -> None:
    path = str(tmp_path / "exit.json")
    exitfile.reserve(path)
    [taken] = tmp_path.iterdir()
    assert taken.stat().st_blocks * 512 >= 8192
    assert exitfile.read(path) is None
    exitfile.release(path)
    exitfile.release(path)
    assert list(tmp_path.iterdir()) == []
