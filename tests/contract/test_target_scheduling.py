"""What a target knows of schedules, and how runs are followed and ended: the same of every adapter."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from specrunner.core.errors import BadInput, Conflict, NotFound
from specrunner.core.keys import Key, Kind
from specrunner.core.lifecycle import RunState
from specrunner.core.services import ServiceState
from specrunner.targets.base import Target
from tests.contract.target_samples import Applying, Make, SetClock, key, orchestration, resource, task, workspace
from tests.integration.engine_samples import FOREVER

HOURLY = {"cron": "0 * * * *", "timezone": "UTC"}
NIGHTLY = key(Kind.TASK, "nightly")
NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)  # what a SetClock shows


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def timed(make: Make, clock: SetClock, tmp_path: Path) -> Iterator[Target]:
    """A target that stands at noon, with a task that runs every hour and one that runs once."""
    opened = make(tmp_path / "state", clock)
    apply(opened)
    yield opened
    Applying(opened).apply([])
    opened.close()


def apply(target: Target, code: str = "print('ran')", **schedule: Any) -> None:
    source = orchestration(code)
    sha = source.spec["sha"]
    spec = {"orchestration": source.key.name, "orchestrationSha": sha, "schedule": {**HOURLY, **schedule}}
    Applying(target).apply([workspace(), source, resource(Kind.TASK, "nightly", spec)])


def hours(*found: int) -> list[datetime]:
    return [datetime(2026, 3, 1, hour, tzinfo=UTC) for hour in found]


def test_the_next_instants_of_a_schedule_come_in_order(timed: Target) -> None:
    assert [due.instant for due in timed.upcoming(NIGHTLY, NOON, 3)] == hours(13, 14, 15)
    assert list(timed.upcoming(NIGHTLY, NOON, 0)) == []


def test_the_instants_end_where_the_schedule_does(timed: Target) -> None:
    apply(timed, until="2026-03-01T13:30:00Z")
    assert [due.instant for due in timed.upcoming(NIGHTLY, NOON, 3)] == hours(13)


def test_jitter_starts_an_instant_later_and_always_by_as_much(timed: Target) -> None:
    apply(timed, jitter=1800)
    first, again = timed.upcoming(NIGHTLY, NOON, 1), timed.upcoming(NIGHTLY, NOON, 1)
    assert list(first) == list(again)
    assert first[0].instant < first[0].at < first[0].instant + timedelta(minutes=30)


def test_suspending_twice_is_as_good_as_once_and_shows(timed: Target) -> None:
    for _ in range(2):
        timed.suspend(NIGHTLY)
        assert timed.read()[NIGHTLY].state == "suspended"
    assert [due.instant for due in timed.upcoming(NIGHTLY, NOON, 1)] == hours(13)
    for _ in range(2):
        timed.resume(NIGHTLY)
        assert timed.read()[NIGHTLY].state != "suspended"


def test_suspending_is_no_change_of_what_was_planned_for(timed: Target) -> None:
    before = timed.read()[NIGHTLY]
    timed.suspend(NIGHTLY)
    assert timed.read()[NIGHTLY].fingerprint == before.fingerprint
    timed.resume(NIGHTLY)


def test_what_was_missed_is_made_up_for_once(timed: Target) -> None:
    assert list(timed.missed(NIGHTLY, hours(9)[0], hours(11)[0])) == hours(9, 10, 11)
    made = timed.backfill(NIGHTLY, hours(9)[0], hours(11)[0])
    assert [(run.scheduled, run.status) for run in made] == [(hour, RunState.PENDING) for hour in hours(9, 10, 11)]
    assert list(timed.missed(NIGHTLY, hours(8)[0], hours(11)[0])) == hours(8)
    assert list(timed.backfill(NIGHTLY, hours(9)[0], hours(11)[0])) == []
    ended = [timed.attend(run.id) for run in made]
    assert [(run.status, run.log_tail) for run in ended] == [(RunState.SUCCESS, ("ran",))] * 3
    assert [run.id for run in map(timed.attend, [run.id for run in made])] == [run.id for run in made]
    assert len(timed.runs(NIGHTLY)) == 3


def test_what_is_yet_to_come_was_not_missed(timed: Target, clock: SetClock) -> None:
    assert list(timed.missed(NIGHTLY, hours(12)[0], hours(15)[0])) == hours(12)
    clock.move(timedelta(hours=1))
    assert list(timed.missed(NIGHTLY, hours(12)[0], hours(15)[0])) == hours(12, 13)


def test_more_than_a_thousand_and_an_empty_span_are_refused(timed: Target) -> None:
    for begin, end in [(NOON - timedelta(days=60), NOON), (NOON, NOON - timedelta(hours=1))]:
        with pytest.raises(BadInput):
            timed.missed(NIGHTLY, begin, end)
        with pytest.raises(BadInput):
            timed.backfill(NIGHTLY, begin, end)
    assert list(timed.runs()) == []


def test_a_task_that_runs_once_has_no_schedule(project: Applying) -> None:
    source = orchestration("print('ran')")
    job = task(source)
    project.apply([workspace(), source, job])
    assert list(project.target.upcoming(job.key, NOON, 1)) == []
    with pytest.raises(BadInput):
        project.target.missed(job.key, NOON, NOON)
    for hold in (project.target.suspend, project.target.resume):
        with pytest.raises(Conflict):
            hold(job.key)


def test_a_service_that_nobody_keeps_alive_waits_and_a_suspended_one_is_stopped(project: Applying) -> None:
    source = orchestration("print('ran')")
    web = key(Kind.TASK, "web")
    spec = {"orchestration": source.key.name, "orchestrationSha": source.spec["sha"], "service": {"port": 1}}
    project.apply([workspace(), source, resource(Kind.TASK, "web", spec), task(source)])
    assert project.target.service_state(web) is ServiceState.WAITING
    project.target.suspend(web)
    assert project.target.service_state(web) is ServiceState.STOPPED
    project.target.resume(web)
    assert project.target.service_state(web) is ServiceState.WAITING
    assert project.target.service_state(task(source).key) is None


def test_what_is_not_there_is_not_found(target: Target) -> None:
    nobody = Key(Kind.TASK, "lab", "nobody")
    Applying(target).apply([workspace()])
    with pytest.raises(NotFound):
        target.suspend(nobody)
    with pytest.raises(NotFound):
        target.resume(nobody)
    with pytest.raises(NotFound):
        target.upcoming(nobody, NOON, 1)
    with pytest.raises(NotFound):
        target.missed(nobody, NOON, NOON)
    with pytest.raises(NotFound):
        target.kill_run("nobody")
    with pytest.raises(NotFound):
        target.attend("nobody")


def test_a_killed_run_has_ended_and_its_follower_comes_to_the_end(project: Applying) -> None:
    source = orchestration(FOREVER)
    job = task(source)
    project.apply([workspace(), source])
    project.target.put(project.order(job, project.step(job, [workspace(), source])))
    run = project.target.run(job.key, None, wait=False)
    lines = project.target.log(run.id, follow=True)
    assert next(lines)[1] == "up"
    killed = project.target.kill_run(run.id)
    assert (killed.id, killed.status) == (run.id, RunState.KILLED)
    assert list(lines) == []
    assert project.target.kill_run(run.id).status is RunState.KILLED


def test_who_follows_is_let_go_when_nobody_waits_any_more(project: Applying) -> None:
    source = orchestration(FOREVER)
    job = task(source)
    project.apply([workspace(), source])
    project.target.put(project.order(job, project.step(job, [workspace(), source])))
    run = project.target.run(job.key, None, wait=False)
    lines = project.target.log(run.id, follow=True)
    assert next(lines)[1] == "up"
    rest: list[tuple[float, str]] = []
    following = threading.Thread(target=lambda: rest.extend(lines))
    following.start()
    project.target.stop_waiting()
    following.join(60)
    assert not following.is_alive()
    assert rest == []
    assert [found.status for found in project.target.runs()] == [RunState.RUNNING]
    project.target.kill_run(run.id)
