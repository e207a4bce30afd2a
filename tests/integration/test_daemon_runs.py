"""The daemon in a process of its own: it takes up what others ask for, and what a dead one has left."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from specrunner.core.errors import Busy
from specrunner.core.lifecycle import Reason, RunState
from specrunner.engine.clock import SystemClock
from specrunner.engine.engine import Engine
from specrunner.engine.records import Origin, Run
from specrunner.reconcile.lease import this_process
from tests.integration.daemon_samples import Daemon, daemon, ended, running
from tests.integration.engine_samples import (
    FOREVER,
    ONCE,
    PATIENCE,
    Background,
    add_task,
    engine_on,
    said,
    until,
)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with engine_on(tmp_path / "state") as opened:
        yield opened


def gated(gate: Path, rest: str = "") -> str:
    os.mkfifo(gate)
    return f"print('up', flush=True)\nopen({str(gate)!r}).read()\n{rest}"


def test_a_run_that_is_asked_for_is_carried_out_by_the_living_host(engine: Engine) -> None:
    task = add_task(engine, "import os\nprint(os.getppid())")
    with daemon(engine.folder) as host:
        living = engine.hosting.living()
        assert living is not None and living.pid == host.process.pid
        run = engine.runs.carry_out(engine.runs.submit(task, "one").id)
        assert (run.status, run.origin) == (RunState.SUCCESS, Origin.INTENT)
        assert host.stop() == "True"
    assert engine.hosting.living() is None


def test_the_second_host_is_refused_and_told_who_serves(engine: Engine) -> None:
    with daemon(engine.folder) as host:
        with pytest.raises(Busy, match="serves this state folder already") as caught:
            engine.host(1).serve(this_process(SystemClock(), {"GITHUB_ACTOR": "second"}))
        assert f"process {host.process.pid} on " in caught.value.detail
        assert "started by tester" in caught.value.detail
        assert host.process.poll() is None


def test_a_host_whose_lease_somebody_breaks_leaves_and_its_runs_go_on(engine: Engine, tmp_path: Path) -> None:
    run = engine.runs.submit(add_task(engine, gated(tmp_path / "gate")))
    with daemon(engine.folder) as host:
        running(engine, run.id)
        assert engine.leases.release("host", None)
        assert host.process.communicate(timeout=PATIENCE)[0].strip() == "False"
    (tmp_path / "gate").write_text("go")
    assert engine.runs.carry_out(run.id).status is RunState.SUCCESS


def test_after_a_killed_host_the_next_one_serves_at_once(engine: Engine) -> None:
    with daemon(engine.folder) as first:
        first.crash()
        assert engine.hosting.living() is None
        with daemon(engine.folder) as second:
            assert second.stop() == "True"


def test_a_killed_host_costs_its_run_nothing_and_the_next_one_adopts_it(engine: Engine, tmp_path: Path) -> None:
    gate, mark = tmp_path / "gate", tmp_path / "mark"
    task = add_task(engine, gated(gate, ONCE.format(mark=str(mark))))
    run = engine.runs.submit(task)
    with daemon(engine.folder) as first:
        running(engine, run.id)
        until(lambda: "up" in said(engine, run), "its first line")
        first.crash()
    with daemon(engine.folder):
        gate.write_text("go")
        assert ended(engine, run.id).status is RunState.SUCCESS
    assert mark.read_text() == "ran "


def test_a_run_that_ended_while_no_host_was_there_gets_its_record(engine: Engine, tmp_path: Path) -> None:
    run = engine.runs.submit(add_task(engine, gated(tmp_path / "gate", "raise SystemExit(4)")))
    with daemon(engine.folder) as first:
        running(engine, run.id)
        first.crash()
    (tmp_path / "gate").write_text("go")
    until((engine.runs.folder(run) / "exit.json").exists, "its exit record")
    assert engine.history.get(run.id).status is RunState.RUNNING
    with daemon(engine.folder):
        found = ended(engine, run.id)
    assert (found.status, found.reason, found.exit_code) == (RunState.FAILURE, Reason.EXIT, 4)


def test_a_run_of_which_nothing_is_left_is_lost_and_no_other(engine: Engine) -> None:
    lost, waiting = engine.runs.submit(add_task(engine, FOREVER)), engine.runs.submit(add_task(engine, "", "other"))
    engine.history.started(lost)  # as a host did whose disk is gone
    with daemon(engine.folder):
        assert ended(engine, lost.id).status is RunState.LOST
        assert ended(engine, waiting.id).status is RunState.SUCCESS


def test_an_ended_host_lets_go_of_its_runs_at_once(engine: Engine, tmp_path: Path) -> None:
    run = engine.runs.submit(add_task(engine, gated(tmp_path / "gate")))
    with daemon(engine.folder) as host:
        running(engine, run.id)
        assert host.stop() == "True"
    assert engine.history.get(run.id).status is RunState.RUNNING
    work = Background(lambda: engine.runs.carry_out(run.id))  # a foreground command that resumes
    (tmp_path / "gate").write_text("go")
    assert work.result().status is RunState.SUCCESS


def test_who_waits_for_a_run_of_a_host_that_dies_takes_it_over(engine: Engine, tmp_path: Path) -> None:
    run = engine.runs.submit(add_task(engine, gated(tmp_path / "gate")))
    with daemon(engine.folder) as host:
        work = Background(lambda: engine.runs.carry_out(run.id))
        running(engine, run.id)
        host.crash()
        (tmp_path / "gate").write_text("go")
        assert work.result().status is RunState.SUCCESS


def test_a_failed_run_is_tried_again_by_the_host_also_after_its_death(engine: Engine, tmp_path: Path) -> None:
    tries = tmp_path / "tries"
    code = f"{ONCE.format(mark=str(tries))}\nraise SystemExit(open({str(tries)!r}).read().count('ran') < 3)"
    task = add_task(engine, code, retries={"limit": 5, "backoff": 1})
    run = engine.runs.submit(task)
    with daemon(engine.folder) as first:
        until(lambda: engine.history.get(run.id).attempt == 2, "the second attempt")
        first.crash()
    with daemon(engine.folder):
        found = ended(engine, run.id)
    assert (found.status, found.attempt, tries.read_text()) == (RunState.SUCCESS, 3, "ran " * 3)


def test_more_runs_than_slots_wait_in_the_order_in_which_they_were_asked_for(engine: Engine, tmp_path: Path) -> None:
    order = tmp_path / "order"
    runs = []
    for name in "abcd":
        code = f"f = open({str(order)!r}, 'a')\nf.write({name!r})\nf.close()"
        runs.append(engine.runs.submit(add_task(engine, code, name)))
    with daemon(engine.folder, slots=1):
        assert {ended(engine, run.id).status for run in runs} == {RunState.SUCCESS}
    assert order.read_text() == "abcd"


def test_a_task_killed_beside_the_host_is_down_for_good(engine: Engine) -> None:
    task = add_task(engine, FOREVER)
    run = engine.runs.submit(task)
    with daemon(engine.folder):
        running(engine, run.id)
        engine.runs.kill_task(task)
        assert engine.history.get(run.id).status is RunState.KILLED
        again = engine.runs.carry_out(engine.runs.submit(engine.tasks.get(task.id)).id)
        assert (again.status, again.detail) == (RunState.KILLED, "its task was killed")


def ended_of(engine: Engine, runs: list[Run]) -> int:
    return sum(engine.history.get(run.id).status.ended for run in runs)


def more_ended(engine: Engine, runs: list[Run], before: int) -> bool:
    return ended_of(engine, runs) > before


def test_a_host_that_dies_again_and_again_runs_everything_once(engine: Engine, tmp_path: Path) -> None:
    marks = [tmp_path / f"mark{number}" for number in range(12)]
    tasks = [add_task(engine, ONCE.format(mark=str(mark)), mark.name) for mark in marks]
    runs = [engine.runs.submit(task) for task in tasks]
    for _ in range(4):
        host = Daemon(engine.folder, slots=2).ready()
        until(partial(more_ended, engine, runs, ended_of(engine, runs)), "an end")
        host.crash()
        assert host.process.stdout is not None
        host.process.stdout.close()
    with daemon(engine.folder):
        assert {ended(engine, run.id).status for run in runs} == {RunState.SUCCESS}
    assert {mark.read_text() for mark in marks} == {"ran "}
