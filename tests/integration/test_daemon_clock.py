"""A host whose clock is set an hour forth or back: no instant is run twice, and none is without a record."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from specrunner.core.lifecycle import RunState
from specrunner.engine.engine import Engine
from specrunner.engine.records import Run, Task
from tests.integration.daemon_samples import Fast, daemon
from tests.integration.engine_samples import StubEnvironments, add_task, no_api, until

HOUR, BETWEEN = timedelta(hours=1), timedelta(minutes=10)


@pytest.fixture
def clock(tmp_path: Path) -> Fast:
    return Fast(time.time(), 1200, str(tmp_path / "steps"))


@pytest.fixture
def engine(tmp_path: Path, clock: Fast) -> Iterator[Engine]:
    folder = tmp_path / "state"
    with Engine(folder, folder / "cache", no_api, clock, environments=StubEnvironments()) as opened:
        yield opened


@pytest.mark.parametrize("step", [HOUR, -HOUR])
def test_a_clock_that_is_set_an_hour_forth_or_back_makes_nothing_run_twice(
    engine: Engine, clock: Fast, step: timedelta
) -> None:
    schedule = {"cron": "*/10 * * * *", "overlap": "allow", "startingDeadline": 86400}
    task = add_task(engine, "", schedule=schedule, history={"succeeded": 10**6, "failed": 10**6})
    with daemon(engine.folder, clock) as host:
        until(lambda: len(ran(engine, task)) >= 2, "runs before")
        clock.step(step)
        known = newest(engine, task)
        until(lambda: newest(engine, task) > known + 2 * BETWEEN, "instants after all those before")
        engine.tasks.suspend(task)
        until(lambda: not engine.history.active(), "the end of everything")
        assert host.stop() == "True"
    spans = sorted((run.first_at or run.scheduled_at, run.scheduled_at) for run in recorded(engine, task))
    assert all(later[0] - earlier[1] == BETWEEN for earlier, later in pairwise(spans) if later[0] and earlier[1]), spans
    assert {run.status for run in ran(engine, task)} == {RunState.SUCCESS}
    with closing(sqlite3.connect(engine.folder / "state.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def recorded(engine: Engine, task: Task) -> list[Run]:
    """The records of instants, of runs and of skips."""
    return [run for run in engine.history.of_task(task.id) if run.scheduled_at is not None]


def ran(engine: Engine, task: Task) -> list[Run]:
    return [run for run in recorded(engine, task) if run.status is RunState.SUCCESS]


def newest(engine: Engine, task: Task) -> datetime:
    return max(run.scheduled_at for run in recorded(engine, task) if run.scheduled_at is not None)
