"""What becomes of an apply whose records can't be written, and of its journal."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from specrunner.cli import work
from specrunner.core.errors import SpecrunnerError
from specrunner.reconcile.journal import journal_path
from specrunner.record.folder import FolderStatus
from specrunner.targets.memory import Ended, Hooks, MemoryTarget
from tests.acceptance.in_memory import InMemory, memory

__all__ = ["memory"]

ROWS, GREET = "Connection/rows", "Task/lab/greet"


@pytest.fixture
def specs(memory: InMemory) -> InMemory:
    memory.repo.document("Connection", "rows", {"type": "HTTP", "details": {"host": "a"}})
    memory.repo.orchestration("hello", "print('hello')")
    memory.repo.task("greet", "hello")
    return memory


def journal_of(memory: InMemory) -> Path:
    return journal_path(memory.repo.root / ".specrunner", "default")


def status_of(memory: InMemory) -> Path:
    return memory.repo.root / "status" / "default"


def full(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_self: FolderStatus, *_words: Any) -> None:
        raise SpecrunnerError("The status files can't be written: No space left on device.")

    monkeypatch.setattr(FolderStatus, "write", refuse)


def test_a_place_of_status_files_that_is_none_is_told_before_the_first_write(specs: InMemory) -> None:
    status_of(specs).parent.mkdir()
    status_of(specs).touch()
    said = specs.run("apply", "--yes", code=1).err
    assert "status/default is no folder" in said
    assert specs.live() == {}


def test_where_nothing_is_to_be_done_status_files_need_not_be_writable(
    specs: InMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    specs.run("apply", "--yes")
    monkeypatch.setattr(os, "access", lambda *_words: False)
    specs.run("apply", "--yes")
    specs.repo.document("Connection", "rows", {"type": "HTTP", "details": {"host": "b"}})
    assert "may not be written" in specs.run("apply", "--yes", code=1).err


def test_without_its_records_an_apply_tells_its_outcome_and_the_next_one_records_it(
    specs: InMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        full(patch)
        said = specs.run("apply", "--yes", "--json", code=5)
        assert {step["fate"] for step in said.json["steps"]} == {"done"}
        assert "No space left" in said.json["problems"][0]["summary"]
        assert "No space left" in specs.run("apply", "--yes", code=1).out  # nothing was to be done, nor recorded
    assert "is not recorded" in specs.run("plan").out
    specs.run("apply", "--yes")
    assert len(list((status_of(specs) / "applies").iterdir())) >= 1
    assert not journal_of(specs).exists()
    assert specs.run("plan").out.startswith("No changes")


def test_the_record_of_a_run_that_went_wrong_lacks_and_the_run_is_told_all_the_same(
    specs: InMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    specs.target = specs.target.__class__(MemoryTarget(specs.state, Hooks(run=lambda _job: Ended(exit_code=3))))
    full(monkeypatch)
    said = specs.run("apply", "--yes", code=5).out
    assert GREET in said and "No space left" in said


def test_an_apply_that_lost_its_lease_leaves_status_and_journal_to_its_successor(
    specs: InMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, successor = work._execute, b'{"event":"apply"}\n'

    def broken(*words: Any) -> Any:
        outcome = real(*words)
        specs.state.leases.clear()
        journal_of(specs).unlink()
        journal_of(specs).write_bytes(successor)
        return outcome

    monkeypatch.setattr(work, "_execute", broken)
    said = specs.run("apply", "--yes", code=5).out
    assert "its lease was lost" in said
    assert journal_of(specs).read_bytes() == successor
    assert not status_of(specs).exists()


@pytest.mark.parametrize("is_folder", [False, True])
def test_a_damaged_journal_is_told_once_and_moved_away(specs: InMemory, is_folder: bool) -> None:
    specs.run("apply", "--yes")
    if is_folder:
        journal_of(specs).mkdir()
    else:
        journal_of(specs).write_bytes(b"{}\n")
    assert "is not used" in specs.run("plan").err
    said = specs.run("apply", "--yes").err  # nothing is to be done
    assert "is not used" in said and ".journal.damaged" in said
    assert "is not used" not in specs.run("plan").err
    specs.repo.document("Connection", "rows", {"type": "HTTP", "details": {"host": "b"}})
    specs.run("apply", "--yes")


def test_destroy_leaves_no_empty_folders(specs: InMemory) -> None:
    specs.run("apply", "--yes")
    specs.run("destroy", "--yes")
    folders = [path for path in status_of(specs).rglob("*") if path.is_dir()]
    assert [path.name for path in folders] == ["applies"]
