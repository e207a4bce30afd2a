"""What specrunner never does: touch files of others, break off because nobody reads, leave an adopted run alone."""

from __future__ import annotations

import signal
import subprocess

import pytest

from tests.acceptance.spec_repo import SpecRepo, finished, stopped, until

ASKS_LATE = """
import pathlib, sys, time
import wallaroo
pathlib.Path(sys.argv[0]).parent.joinpath("../../../../begun").resolve().touch()
deadline = time.monotonic() + 60
while not (go := pathlib.Path(sys.argv[0]).parent.joinpath("../../../../go").resolve()).exists():
    if time.monotonic() > deadline:
        sys.exit("nobody said go")
    time.sleep(0.05)
print([found.name() for found in wallaroo.Client().list_workspaces()])
"""


@pytest.fixture
def applied(repo: SpecRepo) -> SpecRepo:
    repo.orchestration("hello", "print('hello')")
    repo.task("greet", "hello")
    repo.run("apply", "--yes")
    return repo


def test_files_of_others_beside_the_status_files_are_left_alone(applied: SpecRepo) -> None:
    ours = applied.root / "status" / "default"
    notes = [ours / "NOTES.md", ours / "tasks" / "mine.yaml", ours / "other" / "deep.yaml"]
    for note in notes:
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_text("mine\n")
    applied.run("apply", "--yes")
    applied.run("destroy", "--yes")
    assert [note.read_text() for note in notes] == ["mine\n"] * 3
    assert not list(ours.glob("runs/**/*.yaml"))


@pytest.mark.parametrize("folder", [".", "..", "../outside", "/absolute", "specrunner.yaml"])
def test_status_files_go_nowhere_but_to_a_folder_of_their_own(repo: SpecRepo, folder: str) -> None:
    project = repo.root / "specrunner.yaml"
    project.write_text(project.read_text().replace("directory: status", f"directory: {folder}"))
    before = sorted(repo.root.parent.iterdir())
    told = repo.run("apply", "--yes", code=1)
    assert "status" in told.said.lower()
    assert repo.objects() == {}
    assert sorted(repo.root.parent.iterdir()) == before


def test_an_apply_whose_reader_leaves_goes_on_to_its_end(repo: SpecRepo) -> None:
    repo.orchestration("hello", "print('hello')")
    repo.task("greet", "hello")
    with repo.start("apply", "--yes") as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.wait(60) == 0
    assert [run["status"] for run in repo.runs("greet")] == ["success"]
    assert list(repo.root.glob("status/default/applies/*.yaml"))


def test_a_run_whose_host_was_killed_is_answered_by_the_next_host(repo: SpecRepo) -> None:
    repo.orchestration("late", ASKS_LATE)
    repo.task("ask late", "late")
    with repo.start("apply", "--yes") as first:
        until((repo.root / "begun").exists, "the run has begun")
        stopped(first, signal.SIGKILL, -signal.SIGKILL)
    with repo.start("apply", "--yes") as second:
        (repo.root / "go").touch()
        finished(second, 0)
    assert [run["status"] for run in repo.runs("ask late")] == ["success"]


def test_looking_at_a_plan_leaves_no_state_behind(repo: SpecRepo) -> None:
    repo.run("plan")
    assert not (repo.root / ".specrunner" / "state.db").exists()


def test_what_was_uploaded_and_is_lost_is_uploaded_again(applied: SpecRepo) -> None:
    subprocess.run(["rm", "-rf", str(applied.root / ".specrunner" / "artifacts")], check=True)
    assert "sha" in applied.run("plan").out
    applied.run("apply", "--yes")
    applied.run("run", "greet")
