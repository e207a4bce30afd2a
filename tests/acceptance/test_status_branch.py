"""The status branch from the command line: recorded by one machine, known to all others."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
import yaml

from tests.acceptance.shared_branch import Machines, make_machines, make_quick, noting, push
from tests.acceptance.spec_repo import SpecRepo, lines_of, stopped, until
from tests.contract.repository_samples import git, surroundings

BRANCH = "specrunner-status"


@pytest.fixture
def quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Machines, SpecRepo]:
    return make_quick(tmp_path, monkeypatch)


@pytest.fixture
def world(tmp_path: Path, cache: Path) -> tuple[Machines, SpecRepo]:
    return make_machines(tmp_path, cache)


def test_a_branch_is_planned_merged_and_applied_and_another_machine_knows_all_of_it(
    world: tuple[Machines, SpecRepo],
) -> None:
    machines, repo = world
    git(repo.root, "checkout", "-q", "-b", "change")
    noting(machines, repo)
    assert "Task/lab/noting" in repo.run("plan", "--markdown").out
    push(repo, "a task")
    git(repo.root, "checkout", "-q", "main")
    git(repo.root, "merge", "-q", "--ff-only", "change")
    git(repo.root, "push", "-q", "origin", "main")
    before = surroundings(repo.root)
    said = repo.run("apply", "--yes").out
    assert "default/README.md on branch specrunner-status, pushed to origin" in said
    assert surroundings(repo.root) == before
    files = machines.status()
    runs = [path for path in files if path.startswith("default/runs/")]
    applies = [path for path in files if path.startswith("default/applies/")]
    assert len(runs) == len(applies) == 1
    assert sorted(set(files) - {*runs, *applies}) == [
        "default/README.md",
        "default/badge.svg",
        "default/badges/lab/noting.svg",
        "default/orchestrations/lab/note.yaml",
        "default/tasks/lab/noting.yaml",
        "default/workspaces/lab.yaml",
    ]
    assert yaml.safe_load(files[applies[0]])["revision"] == {
        "commit": git(repo.root, "rev-parse", "HEAD"),
        "author": "Ada <ada@example.com>",
        "dirty": False,
    }
    other = machines.machine("other")
    assert other.run("plan", "--json").json["steps"] == []
    other.write(
        "connection.yaml", "apiVersion: specrunner/v1\nkind: Connection\nmetadata: {name: rows}\nspec: {type: HTTP}\n"
    )
    assert [step["key"] for step in other.run("plan", "--json").json["steps"]] == ["Connection/rows"]
    other.run("apply", "--yes")
    assert lines_of(machines.notes) == ["run"]
    # On a machine without memory the order was claimed; that commit and one for each apply are all.
    assert [line.split(" of ")[0] for line in machines.hub.history()] == ["Status", "Status", "Claim 1 order"]


def test_a_second_apply_makes_no_commit_and_no_record_can_be_left_out(quick: tuple[Machines, SpecRepo]) -> None:
    machines, repo = quick
    repo.run("apply", "--yes", "--no-record")
    assert git(machines.hub.bare, "for-each-ref", f"refs/heads/{BRANCH}") == ""
    repo.run("record")
    commits = machines.hub.history()
    repo.run("apply", "--yes")
    repo.run("record")
    assert machines.hub.history() == commits


def test_a_remote_that_refuses_costs_no_fact(quick: tuple[Machines, SpecRepo]) -> None:
    machines, repo = quick
    machines.hub.hook("echo 'status is frozen' >&2; exit 1")
    refused = repo.run("apply", "--yes", code=5)
    assert "does not take what is pushed" in refused.out and "status is frozen" in refused.out
    assert "permissions: contents: write" in refused.out
    machines.hub.hook("")
    assert "pushed to origin" in repo.run("record").out
    assert "default/workspaces/lab.yaml" in machines.status()
    assert "cut off" not in repo.run("plan").said


def test_no_push_records_here_alone_and_the_next_one_brings_it_along(quick: tuple[Machines, SpecRepo]) -> None:
    machines, repo = quick
    assert "pushed" not in repo.run("apply", "--yes", "--no-push").out
    assert git(machines.hub.bare, "for-each-ref", f"refs/heads/{BRANCH}") == ""
    repo.run("apply", "--yes")
    assert "default/workspaces/lab.yaml" in machines.status()


def test_a_branch_that_holds_other_things_is_left_alone(quick: tuple[Machines, SpecRepo]) -> None:
    _, repo = quick
    git(repo.root, "branch", "specs")
    project = repo.root / "specrunner.yaml"
    project.write_text(project.read_text().replace("branch: specrunner-status", "branch: specs"))
    assert "holds other things than status" in repo.run("apply", "--yes", code=1).err
    project.write_text(project.read_text().replace("branch: specs", "branch: main"))
    assert "is checked out" in repo.run("apply", "--yes", code=1).err


def test_outside_git_a_branch_is_told_to_be_impossible(quick: tuple[Machines, SpecRepo]) -> None:
    _, repo = quick
    (repo.root / ".git").rename(repo.root.parent / "no-git")
    assert "in no git repository" in repo.run("apply", "--yes", code=1).err


def test_a_run_by_hand_is_recorded_and_status_tells_what_others_have_recorded(
    world: tuple[Machines, SpecRepo],
) -> None:
    machines, repo = world
    noting(machines, repo, schedule="0 2 * * *")
    push(repo, "a schedule")
    repo.run("apply", "--yes")
    repo.run("run", "noting")
    task = yaml.safe_load(machines.status()["default/tasks/lab/noting.yaml"])
    assert [run["status"] for run in task["lastRuns"]] == ["success"]
    assert machines.status()["default/badges/lab/noting.svg"].count(b"success") == 3
    other = machines.machine("other")
    shown = other.run("status", "--recorded").out
    assert "noting" in shown and "success" in shown and "in " in shown
    told = other.run("status", "--recorded", "--json").json
    assert {found["key"] for found in told["objects"]} == {"Workspace/lab", "Orchestration/lab/note", "Task/lab/noting"}
    assert told["last_runs"][0]["status"] == "success"
    with other.start("status", "--recorded", "--watch") as process:
        assert process.stdout is not None
        until(lambda: "noting" in (process.stdout.readline() if process.stdout else ""), "a table")
        stopped(process, signal.SIGINT, 0)


def test_a_host_records_what_it_runs_without_being_asked(world: tuple[Machines, SpecRepo]) -> None:
    machines, repo = world
    noting(machines, repo, schedule="* * * * *", history={"succeeded": 1, "failed": 1})
    push(repo, "a schedule")
    repo.run("apply", "--yes")
    with repo.start("serve") as process:
        repo.run("run", "noting")
        until(lambda: any("/runs/" in path for path in machines.status()), "a record on the remote")
        stopped(process, signal.SIGTERM, 0)
    assert machines.hub.history()[0] == "Status of acceptance/default"
