"""Ticks: machines without memory that run what is due, each instant once among all of them."""

from __future__ import annotations

import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from specrunner.core.values import iso
from tests.acceptance.shared_branch import Machines, daily, make_machines, noting, push, rewritten, settled_until
from tests.acceptance.spec_repo import SpecRepo, finished, lines_of, until

AGO = timedelta(minutes=20)
DAY = timedelta(days=1)


@pytest.fixture
def machines(tmp_path: Path, cache: Path) -> Machines:
    """A daily task that was applied yesterday by a machine that is gone, and was due twenty minutes ago."""
    found, first = make_machines(tmp_path, cache)
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
    assert str(record["scheduled"]).startswith(iso(instant)[:13])


def test_eight_machines_that_wake_at_once_run_an_instant_once(machines: Machines) -> None:
    repos = [machines.machine(f"m{number}") for number in range(8)]
    going = [repo.start("tick", "--json") for repo in repos]
    said = [finished(process, 0).json for process in going]
    assert lines_of(machines.notes) == ["run"]
    assert sum(len(one["ran"]) for one in said) == 1
    assert record_of(machines)["status"] == "success"
    assert [line for line in machines.hub.history() if line.startswith("Claim")] == [machines.hub.history()[1]]


def test_who_may_not_push_runs_nothing_and_says_so(machines: Machines) -> None:
    machines.hub.hook("echo 'you may only read' >&2; exit 1")
    said = machines.machine("reader").run("tick", code=1).err
    assert "does not take what is pushed" in said and "you may only read" in said
    assert lines_of(machines.notes) == []
    machines.hub.hook("")
    machines.machine("writer").run("tick")
    assert lines_of(machines.notes) == ["run"]


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


def test_what_was_missed_for_too_long_is_recorded_as_a_skip(machines: Machines) -> None:
    settled_until(machines, daily(AGO)[1] - 3 * DAY)
    machines.machine("late").run("tick")
    found = [yaml.safe_load(data) for path, data in machines.status().items() if path.startswith("default/runs/")]
    assert sorted(one["status"] for one in found) == ["skipped", "success"]
    assert lines_of(machines.notes) == ["run"]


def test_a_status_file_that_can_not_be_read_stops_a_tick(machines: Machines) -> None:
    rewritten(machines, "default/tasks/lab/noting.yaml", lambda text: text.replace("specHash: ", "specHash: x"))
    said = machines.machine("careful").run("tick", code=1).err
    assert "specrunner-status:default/tasks/lab/noting.yaml" in said
    assert lines_of(machines.notes) == []


def test_a_folder_of_records_does_for_one_machine(repo: SpecRepo, tmp_path: Path) -> None:
    cron, instant = daily(AGO)
    repo.orchestration("hello", f"open({str(tmp_path / 'notes')!r}, 'a').write('run\\n')")
    repo.task("noting", "hello", schedule=cron)
    repo.run("apply", "--yes")
    assert repo.run("tick").out == "Nothing is due.\n"
    file = repo.root / "status/default/tasks/lab/noting.yaml"
    settled = repo.status_file("tasks/lab/noting.yaml")["settled"]
    file.write_text(file.read_text().replace(str(settled), iso(instant - timedelta(hours=1))))
    repo.run("tick")
    repo.run("tick")
    assert lines_of(tmp_path / "notes") == ["run"]


def test_without_records_there_is_no_tick(repo: SpecRepo) -> None:
    project = repo.root / "specrunner.yaml"
    project.write_text(project.read_text().replace("{directory: status}", "none"))
    assert "Without records" in repo.run("tick", code=64).err
