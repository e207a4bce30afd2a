"""Schedules on the real engine, by a host whose minutes are short."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest

from specrunner.core.errors import BadInput, Conflict
from specrunner.core.lifecycle import Reason, RunState
from specrunner.engine.engine import Engine
from specrunner.engine.records import Origin, Run, Task
from tests.integration.daemon_samples import Fast, daemon
from tests.integration.engine_samples import FOREVER, StubEnvironments, add_task, no_api, until

MINUTE = timedelta(minutes=1)
OK, SKIPPED = RunState.SUCCESS, RunState.SKIPPED


@pytest.fixture
def clock() -> Fast:
    return Fast(time.time(), 60)


@pytest.fixture
def engine(tmp_path: Path, clock: Fast) -> Iterator[Engine]:
    folder = tmp_path / "state"
    with Engine(folder, folder / "cache", no_api, clock, environments=StubEnvironments()) as opened:
        try:
            yield opened
        finally:
            for run in opened.history.active():
                opened.runs.kill(run.id, grace=0.0)


def scheduled(engine: Engine, code: str, name: str = "job", cron: str = "* * * * *", **spec: object) -> Task:
    history = {"succeeded": 100, "failed": 100}
    return add_task(engine, code, name, schedule={"cron": cron, **spec}, history=history)


def runs_of(engine: Engine, task: Task, *states: RunState) -> list[Run]:
    """Oldest first."""
    return [run for run in reversed(engine.history.of_task(task.id)) if not states or run.status in states]


def awaited(engine: Engine, task: Task, count: int, *states: RunState) -> list[Run]:
    until(lambda: len(runs_of(engine, task, *states)) >= count, f"{count} runs of {task.name}")
    return runs_of(engine, task, *states)


def overlapping(engine: Engine, task: Task) -> list[Run]:
    """The skips for the run before; what was due before the host came has other reasons."""
    return [run for run in runs_of(engine, task, SKIPPED) if run.reason is Reason.SKIPPED_OVERLAP]


def test_a_schedule_fires_at_its_instants_and_each_run_is_told_its_own(engine: Engine, clock: Fast) -> None:
    task = scheduled(engine, "import os\nprint(os.environ['SPECRUNNER_SCHEDULED_AT'])")
    with daemon(engine.folder, clock):
        found = awaited(engine, task, 3, OK)
    instants = [run.scheduled_at for run in found if run.scheduled_at]
    assert instants == sorted(set(instants)) and len(instants) == len(found)
    assert {(one.second, one.microsecond) for one in instants} == {(0, 0)}
    assert {run.origin for run in found} == {Origin.SCHEDULE}
    lines = [line.text for line in engine.runs.log(found[0])[0]]
    assert lines == [instants[0].isoformat().replace("+00:00", "Z")]


def more_runs(engine: Engine, task: Task, before: int) -> bool:
    return len(runs_of(engine, task)) > before


def test_an_instant_of_a_host_that_is_killed_and_replaced_is_run_once_or_skipped(engine: Engine, clock: Fast) -> None:
    task = scheduled(engine, "", catchUp="all", overlap="buffer-all")
    for _ in range(3):
        with daemon(engine.folder, clock) as host:
            until(partial(more_runs, engine, task, len(runs_of(engine, task))), "another run")
            host.crash()
    with daemon(engine.folder, clock) as host:
        before = len(runs_of(engine, task, OK))
        awaited(engine, task, before + 2, OK)
        host.stop()
    instants = [run.scheduled_at for run in runs_of(engine, task) if run.scheduled_at]
    steps = {later - earlier for earlier, later in pairwise(instants)}
    assert steps == {MINUTE}, "every minute has its one record, in order"


def test_what_is_due_while_the_run_before_lives_is_skipped_with_the_reason(engine: Engine, clock: Fast) -> None:
    task = scheduled(engine, FOREVER)
    with daemon(engine.folder, clock):
        until(lambda: len(overlapping(engine, task)) >= 2, "two skips")
    assert len(runs_of(engine, task, RunState.RUNNING)) == 1


def test_runs_live_side_by_side_where_the_task_allows_it(engine: Engine, clock: Fast) -> None:
    task = scheduled(engine, FOREVER, overlap="allow")
    with daemon(engine.folder, clock):
        awaited(engine, task, 3, RunState.RUNNING)
    assert not overlapping(engine, task)


@pytest.mark.parametrize("overlap", ["cancel-other", "terminate-other"])
def test_a_new_run_takes_the_place_of_the_one_before(engine: Engine, clock: Fast, overlap: str) -> None:
    task = scheduled(engine, FOREVER, overlap=overlap)
    with daemon(engine.folder, clock):
        killed = awaited(engine, task, 2, RunState.KILLED)
        until(lambda: len(runs_of(engine, task, RunState.RUNNING)) == 1, "one that lives")
    assert all(run.reason is Reason.KILLED for run in killed)


def test_one_run_waits_for_the_end_of_the_one_before_and_the_rest_are_skipped(engine: Engine, clock: Fast) -> None:
    task = scheduled(engine, FOREVER, overlap="buffer-one")
    with daemon(engine.folder, clock):
        until(lambda: len(overlapping(engine, task)) >= 2, "two skips")
        (first,), (second,) = (runs_of(engine, task, state) for state in (RunState.RUNNING, RunState.PENDING))
        engine.runs.kill(first.id, grace=0.0)
        until(lambda: engine.history.get(second.id).status is RunState.RUNNING, "the one that waited")


def test_a_suspended_schedule_records_its_instants_as_skipped_until_it_is_resumed(engine: Engine, clock: Fast) -> None:
    task = engine.tasks.suspend(scheduled(engine, ""))
    assert task.suspended and engine.tasks.suspend(task) == task
    with daemon(engine.folder, clock):
        (skip, *_) = awaited(engine, task, 1, SKIPPED)
        assert skip.reason is Reason.SKIPPED_SUSPENDED
        assert not runs_of(engine, task, OK)
        resumed = engine.tasks.resume(task)
        (run, *_) = awaited(engine, task, 1, OK)
    assert run.scheduled_at and run.scheduled_at > resumed.since - MINUTE


def test_a_killed_task_fires_no_more(engine: Engine, clock: Fast) -> None:
    task, other = scheduled(engine, ""), scheduled(engine, "", "other")
    with daemon(engine.folder, clock):
        awaited(engine, task, 1, OK)
        engine.runs.kill_task(engine.tasks.get(task.id))
        count = len(runs_of(engine, task))
        awaited(engine, other, len(runs_of(engine, other, OK)) + 2, OK)
    assert len(runs_of(engine, task)) == count


def test_another_spec_counts_from_now_and_what_was_due_before_has_its_record(engine: Engine, clock: Fast) -> None:
    task = scheduled(engine, "")
    until(lambda: clock.now() - task.since > 3 * MINUTE, "three minutes without a host")
    changed = scheduled(engine, "", cron="*/2 * * * *")
    (skip,) = runs_of(engine, task)
    assert (skip.status, skip.reason) == (SKIPPED, Reason.SKIPPED_DEADLINE)
    assert skip.first_at and skip.scheduled_at and skip.first_at < skip.scheduled_at < changed.since
    with daemon(engine.folder, clock):
        (run, *_) = awaited(engine, task, 1, OK)
    assert run.scheduled_at and run.scheduled_at > skip.scheduled_at


def test_putting_the_same_spec_again_moves_nothing(engine: Engine) -> None:
    task = scheduled(engine, "")
    again = scheduled(engine, "")
    assert (again.since, engine.history.of_task(task.id)) == (task.since, [])


def test_a_task_that_runs_once_has_nothing_to_suspend(engine: Engine) -> None:
    with pytest.raises(Conflict, match="runs once"):
        engine.tasks.suspend(add_task(engine, ""))


def test_missed_instants_are_made_up_for_when_a_person_asks(engine: Engine, clock: Fast) -> None:
    task = scheduled(engine, "import os\nprint(os.environ['SPECRUNNER_SCHEDULED_AT'])")
    end = clock.now()
    begin = end - 5 * MINUTE
    missed = engine.runs.missed(task, begin, end)
    assert len(missed) == 5
    runs = engine.runs.backfill(task, begin, end)
    assert [run.scheduled_at for run in runs] == missed
    assert {(run.origin, run.beside) for run in runs} == {(Origin.BACKFILL, False)}
    assert engine.runs.missed(task, begin, end) == [] == engine.runs.backfill(task, begin, end)
    with daemon(engine.folder, clock):
        until(lambda: all(engine.history.get(run.id).status is OK for run in runs), "all five")
    assert [engine.runs.log(run)[0][0].text[:16] for run in runs] == [one.isoformat()[:16] for one in missed]


def test_a_skipped_instant_can_be_made_up_for_and_keeps_its_skip(engine: Engine, clock: Fast) -> None:
    task = engine.tasks.suspend(scheduled(engine, ""))
    with daemon(engine.folder, clock):
        (skip, *_) = awaited(engine, task, 1, SKIPPED)
    assert skip.scheduled_at
    (run,) = engine.runs.backfill(task, skip.scheduled_at, skip.scheduled_at)
    assert (run.scheduled_at, run.beside, skip.beside) == (skip.scheduled_at, True, False)
    assert engine.history.get(skip.id) == skip
    assert engine.runs.backfill(task, skip.scheduled_at, skip.scheduled_at) == []


def test_more_than_a_thousand_instants_are_refused_with_a_shorter_span(engine: Engine, clock: Fast) -> None:
    task = scheduled(engine, "")
    now = clock.now().replace(second=0, microsecond=0)
    with pytest.raises(BadInput) as caught:
        engine.runs.missed(task, now - 1500 * MINUTE, now)
    assert "more than 1000 instants" in caught.value.summary
    last = now - 501 * MINUTE
    assert last.isoformat().replace("+00:00", "Z") in caught.value.remedy
    assert len(engine.runs.missed(task, now - 1500 * MINUTE, last)) == 1000
    with pytest.raises(BadInput, match="no time between"):
        engine.runs.missed(task, now, now - MINUTE)


def test_only_as_many_records_and_folders_stay_as_the_task_says(engine: Engine, clock: Fast) -> None:
    task = add_task(engine, "", schedule={"cron": "* * * * *"}, history={"succeeded": 2, "failed": 1})
    folders = engine.folder / "runs"

    def is_swept() -> bool:
        here = {path.name for path in folders.iterdir() if path.is_dir()}
        left = {run.id for run in engine.history.of_task(task.id)}
        return seen - left != set() and here <= left and len(left) <= 5

    seen: set[str] = set()
    with daemon(engine.folder, clock):
        seen = {run.id for run in awaited(engine, task, 3, OK)}
        until(is_swept, "the first of them goes, with its folder")
