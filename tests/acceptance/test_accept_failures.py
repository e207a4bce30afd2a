"""Runs that end badly, and how that is told."""

from __future__ import annotations

import shlex
import subprocess
from datetime import datetime
from pathlib import Path

from tests.acceptance.spec_repo import SCRIPT, SpecRepo, lines_of

RAISES = """\
    import os
    with open(os.environ["SIDE"], "a") as side:
        side.write("ran\\n")
    print("about to fail")
    raise RuntimeError("the price is wrong")
    """

# Leaves behind a grandchild in a session of its own, as a daemon would be.
SLEEPS = """\
    import os, sys, time

    def in_a_session_of_its_own(work):
        if os.fork() == 0:
            os.setsid()
            work()
            time.sleep(600)

    def write_pid():
        with open(os.environ["SIDE"], "a") as side:
            side.write(f"{os.getpid()}\\n")

    def child():
        write_pid()
        in_a_session_of_its_own(write_pid)

    in_a_session_of_its_own(child)
    print("sleeping", flush=True)
    time.sleep(600)
    """


def test_a_run_that_raises_is_shown_once_and_repeated_only_on_demand(repo: SpecRepo, tmp_path: Path) -> None:
    side = tmp_path / "side"
    repo.orchestration("raises", RAISES)
    repo.task("it's wrong", "raises", env={"SIDE": str(side)})
    failed = repo.run("apply", "--yes", code=6)
    assert "The run of Task/lab/it's wrong ended as failure (exit, code 1)." in failed.out
    assert "RuntimeError: the price is wrong" in failed.out

    [run] = repo.runs()
    assert (run["status"], run["reason"], run["exit_code"]) == ("failure", "exit", 1)
    log = repo.run("logs", "it's wrong").out.splitlines()
    assert "about to fail" in log
    assert log[-1] == "RuntimeError: the price is wrong"
    [record] = repo.status_files("runs/*/*/*.yaml").values()
    assert (record["status"], record["reason"], record["exitCode"]) == ("failure", "exit", 1)
    assert record["logTail"][-1] == "RuntimeError: the price is wrong"

    again = repo.run("apply", "--yes")
    assert len(lines_of(side)) == 1
    assert "its last run ended as failure" in again.out
    [command] = [line.partition("→ ")[2] for line in again.out.splitlines() if "specrunner run " in line]
    pasted = command.replace("specrunner", shlex.quote(str(SCRIPT)), 1)
    shell = subprocess.run(
        ["/bin/sh", "-c", pasted], cwd=repo.root, env=dict(repo.environ), capture_output=True, text=True, check=False
    )
    assert shell.returncode == 6, shell.stderr
    assert len(lines_of(side)) == 2


def test_a_run_past_its_timeout_ends_with_all_it_started(repo: SpecRepo, tmp_path: Path) -> None:
    side = tmp_path / "side"
    repo.orchestration("sleeps", SLEEPS)
    repo.task("slow", "sleeps", env={"SIDE": str(side)}, timeout="2s")
    failed = repo.run("apply", "--yes", code=6)
    assert "The run of Task/lab/slow ended as timed_out" in failed.out
    [run] = repo.runs("slow")
    assert (run["status"], run["reason"]) == ("timed_out", "timeout")
    took = datetime.fromisoformat(run["ended"]) - datetime.fromisoformat(run["started"])
    assert 2 <= took.total_seconds() < 3
    child, grandchild = lines_of(side)
    assert not Path("/proc", child).exists()
    assert not Path("/proc", grandchild).exists()


def test_requirements_that_cannot_be_installed_hold_back_their_task_only(repo: SpecRepo) -> None:
    repo.orchestration("bad", "print('never')", requirements="requests==99999\n")
    repo.orchestration("good", "print('hello')")
    repo.task("held back", "bad")
    repo.task("goes on", "good")
    failed = repo.run("apply", "--yes", code=5)
    assert "Orchestration/lab/bad failed" in failed.out
    assert "requests==99999" in failed.out
    assert "Task/lab/held back: skipped, because Orchestration/lab/bad was not done" in failed.out
    assert [run["task"] for run in repo.runs()] == ["Task/lab/goes on"]
    bad = repo.objects()["Orchestration/lab/bad"]
    assert bad["state"] == "error"
    assert "requests==99999" in bad["detail"]

    repo.orchestration("bad", "print('mended')")
    repo.run("apply", "--yes")
    assert repo.run("logs", "held back").out == "mended\n"
