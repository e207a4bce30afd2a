"""A host that is killed again and again, beside a clock whose minutes are seconds: nothing twice, nothing lost.

It dies at random moments, and at those where something could be half done: between claiming an instant and starting
its run, between the exit of a run and the record of it. `--soak full` plays 200 rounds, the suite a few. The seed is
printed.
"""

from __future__ import annotations

import random
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from specrunner.core.lifecycle import RUN_TRANSITIONS, RunState, replayed
from specrunner.engine.engine import Engine
from specrunner.engine.records import Run, Task
from specrunner.engine.store import tables
from specrunner.engine.tasks.processes import RUN_MARK
from tests.conftest import Soak
from tests.integration.daemon_samples import Daemon, Fast, daemon
from tests.integration.dying import POINTS
from tests.integration.engine_samples import StubEnvironments, add_task, no_api, until

MINUTE = timedelta(minutes=1)
SHORT, FULL = (2, 6), (100, 20)  # rounds with a random death, tasks
POINTED = 10  # rounds for each chosen death, where it is to be full
MAIN_POINTS = (
    "an instant is claimed",
    "a run is handed to its supervisor",
    "a run's exit is seen",
    "a run's end is to be committed",
)
COMES_WITHIN = 40.0  # seconds; instants and exits come every second, once a host is up
# Leaves a line for each attempt, and its log is complete only if it ended as it should.
CODE = """\
import os, sys, time
with open({mark!r}, "a") as file:
    file.write(os.environ["SPECRUNNER_RUN_ID"] + "\\n")
print("begin", flush=True)
time.sleep({takes})
print("end", flush=True)
sys.exit({status})
"""


@pytest.fixture
def clock() -> Fast:
    return Fast(time.time(), 60)


@pytest.fixture
def engine(tmp_path: Path, clock: Fast) -> Iterator[Engine]:
    folder = tmp_path / "state"
    with Engine(folder, folder / "cache", no_api, clock, environments=StubEnvironments()) as opened:
        yield opened


def put_tasks(engine: Engine, mark: Path, count: int, dice: random.Random) -> list[Task]:
    found = []
    for number in range(count):
        status = dice.choice([0, 0, 1]) if number else 1  # of the first one there are always further attempts
        code = CODE.format(mark=str(mark), takes=dice.choice([0, 0.2, 1.5]), status=status)
        schedule = {
            "cron": "* * * * *",
            "overlap": dice.choice(["skip", "allow", "buffer-one", "buffer-all"]),
            "catchUp": dice.choice(["all", "latest"]),
        }
        more: dict[str, Any] = {"retries": {"limit": 1, "backoff": 1}} if number % 4 == 0 else {}
        history = {"succeeded": 10**6, "failed": 10**6}
        found.append(add_task(engine, code, f"t{number}", schedule=schedule, history=history, **more))
    return found


def deaths(soak: Soak, rounds: int, dice: random.Random) -> list[str]:
    """Where the host of each round dies; empty for a random moment."""
    points = [*POINTS] * POINTED if soak.is_full else [*MAIN_POINTS]
    found = points + [""] * rounds
    dice.shuffle(found)
    return found


def lived(host: Daemon, dice: random.Random) -> None:
    """Let a host live until some moment."""
    try:
        if dice.random() < 0.8:
            host.ready()
        time.sleep(dice.uniform(0, 2.5))  # the moment of its death is what is random here
    finally:
        host.crash()


def test_hosts_that_are_killed_again_and_again_lose_nothing_and_repeat_nothing(
    engine: Engine, clock: Fast, tmp_path: Path, soak: Soak
) -> None:
    rounds, count = FULL if soak.is_full else SHORT
    dice, mark = random.Random(soak.seed), tmp_path / "mark"
    tasks = put_tasks(engine, mark, count, dice)
    reached = set()
    for point in (planned := deaths(soak, rounds, dice)):
        passes = dice.randint(1, 4) if soak.is_full else 1
        host = Daemon(engine.folder, clock, slots=6, dies=(point, passes) if point else None)
        assert host.process.stdout is not None
        with host.process.stdout:
            if point:
                reached |= {point} if host.died(COMES_WITHIN) else set()
            else:
                lived(host, dice)
    for task in tasks:
        engine.tasks.suspend(task)
    with daemon(engine.folder, clock, slots=6) as last:
        until(lambda: not engine.history.active(), "the end of everything")
        last.stop()
    for task in tasks:
        check_instants(engine, task)
    check_runs(engine, mark)
    check_store(engine)
    assert reached == {*planned} - {""}


def check_instants(engine: Engine, task: Task) -> None:
    """Every minute from the first to the last is in one record, a run's or a skip's."""
    spans = sorted(
        (run.first_at or run.scheduled_at, run.scheduled_at)
        for run in engine.history.of_task(task.id)
        if run.scheduled_at is not None
    )
    assert spans and all(later[0] - earlier[1] == MINUTE for earlier, later in pairwise(spans)), (task.name, spans)


def check_runs(engine: Engine, mark: Path) -> None:
    """Each attempt ran once, with its whole log, and nothing of any run lives."""
    attempts = Counter(mark.read_text().split())
    runs = [run for run in engine.history.all() if run.status is not RunState.SKIPPED]
    assert {run.status for run in runs} <= {RunState.SUCCESS, RunState.FAILURE}
    assert attempts == Counter({run.id: run.attempt for run in runs})
    assert not [run for run in runs if said_last(engine, run) != "end"]
    assert not living_processes({run.id for run in runs})


def said_last(engine: Engine, run: Run) -> str:
    return engine.runs.log(run)[0][-1].text


def living_processes(run_ids: set[str]) -> list[str]:
    """The processes that carry the mark of one of these runs."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            environ = (folder / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        marks = {word.partition(b"=")[2].decode() for word in environ if word.startswith(f"{RUN_MARK}=".encode())}
        found += [folder.name] if marks & run_ids else []
    return found


def check_store(engine: Engine) -> None:
    with closing(sqlite3.connect(engine.folder / "state.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    with engine._context.database.read() as connection:
        lived: dict[str, list[RunState]] = {}
        for event in connection.execute(tables.events.select().order_by(tables.events.c.seq)):
            if event.subject.startswith("run:"):
                lived.setdefault(event.subject.removeprefix("run:"), []).append(RunState(event.event))
    for run in engine.history.all():
        assert replayed(RUN_TRANSITIONS, lived[run.id]) is run.status
