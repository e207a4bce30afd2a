"""Ticks: machines without memory that run what is due, each instant once among all of them."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from specrunner.cli import ticking
from specrunner.core.errors import SpecrunnerError
from specrunner.core.values import iso, parse_iso
from specrunner.record.ticks import StatusBook
from tests.acceptance.shared_branch import (
    Machines,
    daily,
    make_quick,
    noting,
    push,
    rewritten,
    settled_until,
)
from tests.acceptance.spec_repo import SpecRepo, finished, lines_of, until

AGO = timedelta(minutes=20)
DAY = timedelta(days=1)


@pytest.fixture
def quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machines:
    """A daily task that was applied yesterday by a machine that is gone, and was due twenty minutes ago."""
    return due(*make_quick(tmp_path, monkeypatch))


@pytest.fixture
def machines(quick: Machines, cache: Path) -> Machines:
    """The same; from now on, machines have processes and state folders."""
    return replace(quick, cache=cache, quick=False)


def due(found: Machines, first: SpecRepo) -> Machines:
    cron, instant = daily(AGO)
    noting(found, first, schedule=cron, timeout="10m")
    push(first, "a schedule")
    first.run("apply", "--yes")
    settled_until(found, instant - timedelta(hours=1))
    return found


def record_of(machines: Machines) -> dict[str, object]:
    """The only record of a run that there is."""
    (found,) = [yaml.safe_load(data) for path, data in machines.status().items() if path.startswith("default/runs/")]
    assert isinstance(found, dict)
    return found


def task_of(machines: Machines) -> dict[str, object]:
    found = yaml.safe_load(machines.status()["default/tasks/lab/noting.yaml"])
    assert isinstance(found, dict)
    return found


def test_a_machine_that_knows_nothing_runs_what_is_due_and_the_next_one_repeats_nothing(machines: Machines) -> None:
    _, instant = daily(AGO)
    said = machines.machine("second").run("tick").out
    assert "Task/lab/noting for " in said
    assert lines_of(machines.notes) == ["run"]
    record, task = record_of(machines), task_of(machines)
    assert (record["status"], record["scheduled"]) == ("success", task["settled"])
    assert "claim" not in record
    assert [run["id"] for run in task["lastRuns"]] == [record["id"]]  # type: ignore[attr-defined]
    commits = machines.hub.history()
    third = machines.machine("third")
    assert third.run("tick").out == "Nothing is due.\n"
    assert third.run("plan", "--json").json["steps"] == []
    assert lines_of(machines.notes) == ["run"]
    assert machines.hub.history() == commits
    assert timedelta() <= instant - parse_iso(str(record["scheduled"])) < AGO / 2  # the instant moves on with the clock


def test_eight_machines_that_wake_at_once_run_an_instant_once(machines: Machines) -> None:
    repos = [machines.machine(f"m{number}") for number in range(8)]
    going = [repo.start("tick", "--json") for repo in repos]
    said = [finished(process, 0).json for process in going]
    assert lines_of(machines.notes) == ["run"]
    assert sum(len(one["ran"]) for one in said) == 1
    assert record_of(machines)["status"] == "success"
    assert [line for line in machines.hub.history() if line.startswith("Claim")] == [machines.hub.history()[1]]


def test_who_may_not_push_runs_nothing_and_says_so(quick: Machines) -> None:
    quick.hub.hook("echo 'you may only read' >&2; exit 1")
    said = quick.machine("reader").run("tick", code=1).err
    assert "does not take what is pushed" in said and "you may only read" in said
    assert lines_of(quick.notes) == []
    quick.hub.hook("")
    quick.machine("writer").run("tick")
    assert lines_of(quick.notes) == ["run"]


def test_a_claimant_that_died_is_lost_after_its_time_and_the_next_instant_runs(machines: Machines) -> None:
    """Killed with its run: what it claimed stays claimed until its time is over, and is never run again."""
    repo = machines.machine("doomed")
    repo.write("orchestrations/note/main.py", "import time\ntime.sleep(600)\n")
    push(repo, "a longer run")
    repo.run("apply", "--yes")
    settled_until(machines, daily(AGO)[1] - timedelta(hours=1))
    fresh = machines.machine("dying")
    with fresh.start("tick") as process:
        until(lambda: any("claim:" in data.decode() for data in machines.status().values() if data), "a claim")
        until(lambda: any((fresh.root / ".specrunner" / "runs").glob("*/work")), "its run")
        process.send_signal(signal.SIGKILL)
        process.communicate()
    fresh.run("kill", "noting")
    assert machines.machine("next").run("tick").out == "Nothing is due.\n"
    (path,) = [path for path in machines.status() if path.startswith("default/runs/")]
    gone = iso(datetime.now(UTC) - timedelta(minutes=1))
    rewritten(machines, path, lambda text: text[: text.index("  until:")] + f"  until: '{gone}'\n")
    said = machines.machine("later").run("tick").out
    assert "lost" in said
    assert record_of(machines)["status"] == "lost"
    assert task_of(machines)["lastRuns"][0]["status"] == "lost"  # type: ignore[index]
    assert lines_of(machines.notes) == []


def test_what_was_missed_for_too_long_is_recorded_as_a_skip(quick: Machines) -> None:
    settled_until(quick, daily(AGO)[1] - 3 * DAY)
    quick.machine("late").run("tick")
    found = [yaml.safe_load(data) for path, data in quick.status().items() if path.startswith("default/runs/")]
    assert sorted(one["status"] for one in found) == ["skipped", "success"]
    assert lines_of(quick.notes) == ["run"]


def test_a_status_file_that_can_not_be_read_stops_a_tick(quick: Machines) -> None:
    rewritten(quick, "default/tasks/lab/noting.yaml", lambda text: text.replace("specHash: ", "specHash: x"))
    said = quick.machine("careful").run("tick", code=1).err
    assert "specrunner-status:default/tasks/lab/noting.yaml" in said
    assert lines_of(quick.notes) == []


def test_a_folder_of_records_does_for_one_machine(quick: Machines) -> None:
    repo = quick.machine("alone")
    project = repo.root / "specrunner.yaml"
    project.write_text(project.read_text().replace("branch: specrunner-status", "directory: status"))
    repo.run("apply", "--yes")
    assert repo.run("tick").out == "Nothing is due.\n"
    file = repo.root / "status/default/tasks/lab/noting.yaml"
    settled = repo.status_file("tasks/lab/noting.yaml")["settled"]
    file.write_text(file.read_text().replace(str(settled), iso(daily(AGO)[1] - timedelta(hours=1))))
    repo.run("tick")
    repo.run("tick")
    assert lines_of(quick.notes) == ["run"]


def test_without_records_there_is_no_tick(quick: Machines) -> None:
    repo = quick.machine("without")
    project = repo.root / "specrunner.yaml"
    project.write_text(project.read_text().replace("{branch: specrunner-status}", "none"))
    assert "Without records" in repo.run("tick", code=64).err


@pytest.mark.parametrize("file", ["workspace.yaml", "specrunner.yaml"])
def test_what_was_applied_runs_on_while_the_newest_commit_is_wrong(quick: Machines, file: str) -> None:
    editor = quick.machine("author")
    editor.write(file, (editor.root / file).read_text().replace("metadata: {name:", "metadata: {nome:"))
    push(editor, "a slip of the pen")
    fresh = quick.machine("fresh")
    said = fresh.run("tick").err
    assert "what was applied before goes on" in said and "nome" in said
    assert ("as it was at commit" in said) == (file == "specrunner.yaml")
    assert lines_of(quick.notes) == ["run"]
    assert record_of(quick)["status"] == "success"
    assert "noting" in fresh.run("status", "--recorded").out


@pytest.mark.parametrize("moment", ["before its run", "after its run"])
def test_who_claims_and_is_gone_before_telling_the_end_leaves_a_claim_that_nobody_repeats(
    quick: Machines, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    def killed(*_words: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        if moment == "before its run":
            patch.setattr(ticking, "_restorer", lambda *_words: killed)
        else:
            patch.setattr(StatusBook, "record", killed)
        quick.machine("dying").run("tick", code=130)
    ran = lines_of(quick.notes)
    assert len(ran) == (moment == "after its run")
    assert record_of(quick)["status"] == "running"
    assert quick.machine("next").run("tick").out == "Nothing is due.\n"
    (path,) = [path for path in quick.status() if path.startswith("default/runs/")]
    gone = iso(datetime.now(UTC) - timedelta(minutes=1))
    rewritten(quick, path, lambda text: text[: text.index("  until:")] + f"  until: '{gone}'\n")
    assert "lost" in quick.machine("later").run("tick").out
    assert record_of(quick)["status"] == "lost"
    assert lines_of(quick.notes) == ran


@pytest.mark.parametrize("command", [("tick",), ("apply", "--yes")])
def test_what_is_claimed_is_renewed_as_long_as_its_run_lives(
    quick: Machines, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    @contextmanager
    def renewing(_book: StatusBook, _now: object) -> Iterator[None]:
        with quick.notes.open("a") as notes:
            notes.write("renewed from now on\n")
        yield
        with quick.notes.open("a") as notes:
            notes.write("no longer\n")

    monkeypatch.setattr(StatusBook, "renewing", renewing)
    repo = quick.machine("renewing")
    if command[0] == "apply":
        noting(quick, repo)  # now it runs once
        push(repo, "once")
    repo.run(*command)
    assert lines_of(quick.notes) == ["renewed from now on", "run", "no longer"]


def test_what_is_claimed_and_can_not_be_started_has_failed_at_once(
    quick: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    def impossible(*_words: object) -> None:
        raise SpecrunnerError("The bytes are not to be had.", remedy="Fetch the whole history.")

    monkeypatch.setattr(ticking, "_restorer", lambda *_words: impossible)
    said = quick.machine("without-history").run("tick", code=6).out
    assert "The bytes are not to be had." in str(record_of(quick)["detail"])
    assert record_of(quick)["status"] == "failure" and "failure" in said
