"""Applies that are interrupted, killed, or two at a time: a run is carried out once."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from tests.acceptance import samples
from tests.acceptance.spec_repo import SpecRepo, finished, lines_of, stopped, until


@pytest.fixture
def side(tmp_path: Path) -> Path:
    """The file in which a run leaves a line; it goes on when `<file>.go` is there."""
    return tmp_path / "side"


@pytest.fixture
def waiting(repo: SpecRepo, side: Path) -> SpecRepo:
    repo.orchestration("wait", samples.WAIT)
    repo.task("long", "wait", env={"SIDE": str(side)})
    return repo


def let_go(side: Path) -> None:
    side.with_name("side.go").touch()


def test_after_sigint_the_run_goes_on_and_the_next_apply_waits_for_it(waiting: SpecRepo, side: Path) -> None:
    with waiting.start("apply", "--yes") as process:
        until(lambda: bool(lines_of(side)), "the run's first line")
        interrupted = stopped(process, signal.SIGINT, 130)
    assert "Interrupted" in interrupted.out
    assert "The run of Task/lab/long goes on without this process" in interrupted.out
    [running] = waiting.runs("long")
    assert running["status"] == "running"
    with waiting.start("apply", "--yes") as process:
        let_go(side)
        finished(process, 0)
    [ended] = waiting.runs("long")
    assert (ended["id"], ended["status"]) == (running["id"], "success")
    assert lines_of(side) == ["ran"]


def test_after_sigint_nothing_further_is_started(waiting: SpecRepo, side: Path) -> None:
    waiting.task("other", "wait", env={"SIDE": str(side)})
    with waiting.start("apply", "--yes", "--json", "--parallelism", "1") as process:
        until(lambda: bool(lines_of(side)), "the run's first line")
        outcome = stopped(process, signal.SIGINT, 130).json
    fates = {step["key"]: (step["fate"], "run" in step) for step in outcome["steps"]}
    assert fates["Task/lab/long"] == ("done", True)
    assert fates["Task/lab/other"] == ("skipped", False)
    with waiting.start("apply", "--yes") as process:
        let_go(side)
        finished(process, 0)
    assert lines_of(side) == ["ran", "ran"]


def test_run_runs_what_has_succeeded_once_more_and_sigint_leaves_it_going(waiting: SpecRepo, side: Path) -> None:
    let_go(side)
    waiting.run("apply", "--yes")
    side.with_name("side.go").unlink()
    with waiting.start("run", "long") as process:
        until(lambda: len(lines_of(side)) == 2, "the second run's first line")
        interrupted = stopped(process, signal.SIGINT, 130)
    assert "The run of Task/lab/long goes on without this process" in interrupted.err
    [command] = [line.split("`")[1] for line in interrupted.err.splitlines() if "specrunner logs" in line]
    assert waiting.run(*command.split()[1:]).out == "waiting\n"
    let_go(side)
    until(lambda: [run["status"] for run in waiting.runs("long")] == ["success", "success"], "the run's end")
    assert waiting.run("plan").out.startswith("No changes")


def test_after_sigkill_the_run_is_adopted(waiting: SpecRepo, side: Path) -> None:
    with waiting.start("apply", "--yes") as process:
        until(lambda: bool(lines_of(side)), "the run's first line")
        process.kill()
        process.communicate()
    with waiting.start("apply", "--yes") as process:
        let_go(side)
        finished(process, 0)
    assert [run["status"] for run in waiting.runs("long")] == ["success"]
    assert lines_of(side) == ["ran"]
    assert waiting.run("plan").out.startswith("No changes")


def test_a_run_that_ended_while_nobody_looked_is_recorded_and_not_repeated(waiting: SpecRepo, side: Path) -> None:
    with waiting.start("apply", "--yes") as process:
        until(lambda: bool(lines_of(side)), "the run's first line")
        process.kill()
        process.communicate()
    let_go(side)
    until(lambda: [run["status"] for run in waiting.runs("long")] == ["success"], "the run's end")
    said = waiting.run("apply", "--yes").out
    assert "was cut off" in said
    assert "No changes" in said
    assert "was cut off" not in waiting.run("plan").out
    assert lines_of(side) == ["ran"]
    [record] = waiting.status_files("runs/*/*/*.yaml").values()
    assert record["status"] == "success"


def test_a_plan_meanwhile_says_that_an_apply_is_under_way_and_after_its_end_by_force_that_it_was_cut_off(
    waiting: SpecRepo, side: Path
) -> None:
    with waiting.start("apply", "--yes") as process:
        until(lambda: bool(lines_of(side)), "the run's first line")
        told = waiting.run("plan").out
        assert f"is under way (process {process.pid} on " in told and "cut off" not in told
        process.kill()
        process.wait()
    assert "was cut off" in waiting.run("plan").out
    side.with_name("side.go").touch()
    waiting.run("apply", "--yes")
    assert "apply" not in waiting.run("plan").out.lower()


def test_a_second_apply_is_told_who_holds_the_first(waiting: SpecRepo, side: Path) -> None:
    with waiting.start("apply", "--yes") as first:
        until(lambda: bool(lines_of(side)), "the run's first line")
        refused = waiting.run("apply", "--yes", code=1)
        assert f"(process {first.pid})" in refused.err
        assert "`specrunner unlock`" in refused.err
        assert "→" in refused.err
        # Looking is never locked out.
        assert [run["status"] for run in waiting.runs("long")] == ["running"]
        assert waiting.run("logs", "long").out == "waiting\n"
        assert json.loads(waiting.run("plan", "--json").out)["steps"][0]["reason"] == "its run has not ended"
        let_go(side)
        finished(first, 0)
