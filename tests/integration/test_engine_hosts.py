"""What it costs a run that its host goes away, or that there are several: nothing."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from specrunner.core.errors import SpecrunnerError
from specrunner.core.lifecycle import Reason, RunState
from specrunner.engine.engine import Engine
from specrunner.engine.tasks.executors.local import LocalExecutor
from tests.integration.engine_samples import (
    FOREVER,
    ONCE,
    PATIENCE,
    Background,
    add_task,
    engine_on,
    open_engine,
    run_task,
    started,
)

SENTINEL = "swordfish-7c1f2a90"


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with engine_on(tmp_path / "state") as opened:
        yield opened


def test_a_run_goes_on_without_its_host_and_the_next_host_adopts_it(tmp_path: Path) -> None:
    gate, mark = tmp_path / "gate", tmp_path / "mark"
    code = f"import os\nprint('up', flush=True)\nopen({str(gate)!r}).read()\n" + ONCE.format(mark=str(mark))
    gate_made = subprocess.run(["mkfifo", str(gate)], check=True)
    assert gate_made.returncode == 0
    with open_engine(tmp_path / "state") as first:
        run = first.runs.submit(add_task(first, code), "one")
        work = started(first, run)
        first.runs.stop_waiting()
        left = work.result()
        assert left.status is RunState.RUNNING
    with engine_on(tmp_path / "state") as second:
        assert second.history.active() == [left]
        again = Background(lambda: run_task(second, second.tasks.get(run.task_id), "one"))
        gate.write_text("go")  # waits until the run opens the other end
        ended = again.result()
    assert (ended.id, ended.status) == (run.id, RunState.SUCCESS)
    assert mark.read_text() == "ran "


def test_a_run_that_ended_while_no_host_was_there_is_recorded(tmp_path: Path) -> None:
    with open_engine(tmp_path / "state") as first:
        task = add_task(first, "raise SystemExit(4)")
        run = first.runs.submit(task)
        order = first.runs._order(task, run)
        order.folder.mkdir(parents=True)
        LocalExecutor().start(order)  # and the host dies before it writes that down
        LocalExecutor().wait(order.folder, PATIENCE)
    with engine_on(tmp_path / "state") as second:
        found = second.history.get(run.id)
        assert found.status is RunState.PENDING
        ended = second.runs.recovered(found)
        assert (ended.status, ended.exit_code, ended.code_started) == (RunState.FAILURE, 4, True)
        assert second.runs.recovered(ended) == second.history.get(run.id) == ended


@pytest.mark.parametrize("left", ["nothing", "an empty folder", "a folder that was put down"])
def test_a_run_that_was_recorded_and_never_started_is_started(tmp_path: Path, left: str) -> None:
    with open_engine(tmp_path / "state") as first:
        run = first.runs.submit(add_task(first, ONCE.format(mark=str(tmp_path / "mark"))))
        if left != "nothing":
            first.runs.folder(run).mkdir(parents=True)
        if left == "a folder that was put down":
            found = LocalExecutor().exit(first.runs.folder(run))
            assert found is not None and not found.code_started
    with engine_on(tmp_path / "state") as second:
        assert second.runs.observed(run) is RunState.PENDING
        assert second.runs.carry_out(run.id).status is RunState.SUCCESS
    assert (tmp_path / "mark").read_text() == "ran "


def test_looking_at_a_run_while_it_is_being_started_does_not_spoil_the_start(engine: Engine) -> None:
    """Whoever lists runs may fall between the making of the folder and its claim."""
    task, stop, failed = add_task(engine, ""), threading.Event(), []

    def look() -> None:
        while not stop.is_set():
            try:
                for run in engine.history.all():
                    engine.runs.observed(run)
                    engine.runs.recovered(run)
            except SpecrunnerError as problem:
                failed.append(problem)

    looker = threading.Thread(target=look)
    looker.start()
    try:
        ended = [run_task(engine, task) for _ in range(8)]
    finally:
        stop.set()
        looker.join()
    assert failed == []
    assert [(run.status, run.detail) for run in ended] == [(RunState.SUCCESS, "")] * 8


def test_a_run_of_which_nothing_is_left_is_lost(engine: Engine) -> None:
    run = engine.runs.submit(add_task(engine, FOREVER), "one")
    engine.history.started(run)  # as a host did whose disk is gone
    lost = engine.runs.recovered(engine.history.get(run.id))
    assert (lost.status, lost.reason, lost.detail) == (RunState.LOST, Reason.LOST, "its folder is gone")
    assert engine.runs.carry_out(run.id) == lost


HOST = """\
import sys
from pathlib import Path
from tests.integration.engine_samples import open_engine
with open_engine(Path(sys.argv[1])) as engine:
    print(engine.runs.carry_out(sys.argv[2]).status, flush=True)
"""


def test_hosts_that_carry_out_the_same_run_at_once_start_it_once(tmp_path: Path) -> None:
    with engine_on(tmp_path / "state") as engine:
        run = engine.runs.submit(add_task(engine, ONCE.format(mark=str(tmp_path / "mark"))))
        command = [sys.executable, "-c", HOST, str(tmp_path / "state"), run.id]
        root = Path(__file__).resolve().parents[2]
        hosts = [subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) for _ in range(2)]
        assert [host.communicate(timeout=60)[0].strip() for host in hosts] == ["success"] * 2
    assert (tmp_path / "mark").read_text() == "ran "


def test_an_outdated_host_cannot_change_what_is_recorded(engine: Engine) -> None:
    task = add_task(engine, "")
    pending = engine.runs.submit(task)
    running = engine.history.started(pending)
    assert engine.history.started(pending) == running  # two hosts saw the start
    second = engine.history.retried(running)
    assert engine.history.retried(running) == second and second.attempt == 2
    again = engine.history.started(second)
    assert engine.history.ended(running, RunState.FAILURE, Reason.EXIT) == again  # of the first attempt
    ended = engine.history.ended(again, RunState.SUCCESS, None)
    assert engine.history.ended(again, RunState.LOST, Reason.LOST) == ended
