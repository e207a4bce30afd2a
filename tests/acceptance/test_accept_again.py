"""Applying again: what did not change is left alone, what did is done, and nothing else."""

from __future__ import annotations

from pathlib import Path

from tests.acceptance import samples
from tests.acceptance.spec_repo import SpecRepo, lines_of, until


def two_tasks(repo: SpecRepo, side: Path) -> None:
    repo.orchestration("append", samples.APPEND)
    repo.orchestration("other", samples.APPEND)
    repo.task("first", "append", env={"SIDE": str(side), "LINE": "first"}, args={"count": 1})
    repo.task("second", "other", env={"SIDE": str(side), "LINE": "second"}, args={"count": 1})


def test_only_what_changed_is_done_again(repo: SpecRepo, tmp_path: Path) -> None:
    side = tmp_path / "side"
    two_tasks(repo, side)
    repo.run("apply", "--yes")
    assert sorted(lines_of(side)) == ["first", "second"]

    before = repo.snapshot()
    again = repo.run("apply", "--yes")
    assert again.out == "No changes: 5 objects as declared.\n"
    assert repo.snapshot() == before
    assert len(lines_of(side)) == 2

    side.write_text("")
    repo.task("first", "append", env={"SIDE": str(side), "LINE": "first"}, args={"count": 2})
    changed = repo.run("apply", "--yes", "--json").json
    assert [(step["key"], step["action"]) for step in changed["steps"]] == [("Task/lab/first", "run")]
    assert lines_of(side) == ["first"]

    side.write_text("")
    old = repo.status_file("orchestrations/lab/other.yaml")
    repo.write("orchestrations/other/main.py", samples.APPEND + "#")
    changed = repo.run("apply", "--yes", "--json").json
    did = [(step["key"], step["action"]) for step in changed["steps"]]
    assert did == [("Orchestration/lab/other", "upload"), ("Task/lab/second", "run")]
    assert lines_of(side) == ["second"]
    new = repo.status_file("orchestrations/lab/other.yaml")
    assert new["id"] != old["id"]
    assert new["applied"]["sha"] != old["applied"]["sha"]
    assert len(repo.runs()) == 4


def test_a_removed_task_is_killed_and_gone(repo: SpecRepo, tmp_path: Path) -> None:
    side = tmp_path / "side"
    repo.orchestration("wait", samples.WAIT)
    repo.task("long", "wait", env={"SIDE": str(side)})
    with repo.start("apply", "--yes") as process:
        until(lambda: bool(lines_of(side)), "the run's first line")
        process.terminate()
        process.communicate()
    repo.remove("task-long.yaml")
    plan = repo.run("plan").out
    assert "- Task/lab/long" in plan
    repo.run("apply", "--yes")
    assert repo.runs()[0]["status"] == "killed"
    assert not repo.status_files("tasks/*/*")
    (tmp_path / "side.go").touch()  # whatever might still wait would now go on
    assert lines_of(side) == ["ran"]
    assert repo.run("plan").out == "No changes: 2 objects as declared.\n"


def test_protection_and_destroy(repo: SpecRepo) -> None:
    protected = repo.document("Workspace", "kept", {}, protect=True)
    repo.orchestration("idle", "print('hello')")
    repo.run("apply", "--yes")
    protected.unlink()
    refused = repo.run("apply", "--yes", code=3)
    assert "Workspace/kept" in refused.out
    assert "protect: false" in refused.out
    assert repo.run("destroy", "--yes", code=3).out.count("blocked") >= 1
    assert set(repo.objects()) == {"Workspace/kept"}

    repo.document("Workspace", "kept", {}, protect=False)
    repo.remove("orchestration-idle.yaml")
    repo.run("apply", "--yes")
    repo.run("destroy", "--yes")
    assert repo.run("status").out == "Nothing is live.\n"
    again = repo.run("destroy", "--yes")
    assert again.out.startswith("No changes")
