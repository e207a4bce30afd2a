"""The book on a real store: what it claims once, what it leaves alone, and what it says has changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from specrunner.core.due import Due, Passed
from specrunner.core.lifecycle import RUN_TRANSITIONS, Reason, RunState, replayed
from specrunner.engine.engine import Engine
from specrunner.engine.records import Origin, Task
from specrunner.engine.store import tables
from specrunner.engine.tasks.book import Settling
from specrunner.engine.tasks.scheduler import Scheduler
from specrunner.engine.tasks.storebook import StoreBook
from tests.integration.engine_samples import StubEnvironments, add_orchestration, add_task, no_api

MINUTE = timedelta(minutes=1)
BEGIN = datetime(2026, 3, 1, 0, 0, 30, tzinfo=UTC)
FIRST = datetime(2026, 3, 1, 0, 1, tzinfo=UTC)


@dataclass
class Stepped:
    moment: datetime = BEGIN

    def now(self) -> datetime:
        return self.moment

    def monotonic(self) -> float:
        return 0.0


@dataclass
class Hands:
    """Carries nothing out; says what it was given."""

    taken: dict[str, str] = field(default_factory=dict)
    ended: list[str] = field(default_factory=list)

    def take(self, run_id: str, task_id: str) -> None:
        self.taken[run_id] = task_id

    def end(self, run_id: str, grace: bool) -> None:
        self.ended.append(run_id)

    def carried(self) -> set[str]:
        return set(self.taken)


@pytest.fixture
def clock() -> Stepped:
    return Stepped()


@pytest.fixture
def engine(tmp_path: Path, clock: Stepped) -> Iterator[Engine]:
    with Engine(tmp_path, tmp_path / "cache", no_api, clock, environments=StubEnvironments()) as opened:
        yield opened


def book_of(engine: Engine) -> tuple[StoreBook, Hands]:
    hands = Hands()
    return StoreBook(engine._context, hands), hands


def scheduled(engine: Engine, name: str = "job", cron: str = "* * * * *") -> Task:
    return add_task(engine, "", name, schedule={"cron": cron})


def settling(task: Task, *instants: datetime) -> Settling:
    claims = tuple(Due(instant, instant) for instant in instants)
    return Settling(task.id, task.since, instants[-1], claims)


def states(engine: Engine, task: Task) -> list[str]:
    return sorted(str(run.status) for run in engine.history.of_task(task.id))


def test_an_instant_is_claimed_once_however_often_it_is_settled(engine: Engine) -> None:
    task, (book, _) = scheduled(engine), book_of(engine)
    found = settling(task, FIRST)
    assert book.settle([found]) == book.settle([found]) == {task.id: FIRST}
    (run,) = engine.history.of_task(task.id)
    assert (run.scheduled_at, run.origin, run.status) == (FIRST, Origin.SCHEDULE, RunState.PENDING)
    # And where a host has settled less far since, because the clock was put back.
    with engine._context.database.write() as connection:
        connection.execute(tables.tasks.update().values(since="2026-02-01T00:00:00.000000Z"))
    book.settle([replace(found, since=engine.tasks.get(task.id).since)])
    assert engine.history.of_task(task.id) == [run]


def test_of_two_hosts_that_look_at_once_one_settles(engine: Engine) -> None:
    task, (one, _), (other, _) = scheduled(engine), book_of(engine), book_of(engine)
    one.settle([settling(task, FIRST)])
    assert other.settle([settling(task, FIRST, FIRST + MINUTE)]) == {task.id: FIRST}
    assert states(engine, task) == ["pending"]


def test_instants_that_come_to_nothing_are_one_record_with_its_reason(engine: Engine) -> None:
    task, (book, _) = scheduled(engine), book_of(engine)
    passed = Passed(FIRST, FIRST + 9 * MINUTE, Reason.SKIPPED_DEADLINE, "too late")
    book.settle([Settling(task.id, task.since, FIRST + 9 * MINUTE, (), (passed,))])
    (skip,) = engine.history.of_task(task.id)
    assert (skip.first_at, skip.scheduled_at) == (passed.first, passed.last)
    assert (skip.status, skip.reason, skip.detail) == (RunState.SKIPPED, Reason.SKIPPED_DEADLINE, "too late")
    assert skip.ended_at is not None


def test_instants_that_come_to_nothing_keep_their_record_where_the_last_of_them_has_one(engine: Engine) -> None:
    task, (book, _) = scheduled(engine), book_of(engine)
    engine.runs.backfill(task, FIRST - 2 * MINUTE, FIRST - MINUTE)  # by a person, before the host was there
    passed = Passed(FIRST - 9 * MINUTE, FIRST - MINUTE, Reason.SKIPPED_DEADLINE)
    book.settle([Settling(task.id, task.since, FIRST - MINUTE, (), (passed,))])
    (skip,) = [run for run in engine.history.of_task(task.id) if run.status is RunState.SKIPPED]
    assert (skip.first_at, skip.scheduled_at) == (passed.first, FIRST - 3 * MINUTE)


def test_a_task_that_is_killed_or_gone_is_left_alone(engine: Engine) -> None:
    killed, gone, (book, _) = scheduled(engine), scheduled(engine, "gone"), book_of(engine)
    engine.runs.kill_task(killed)
    engine.tasks.delete(gone.id)
    assert book.settle([settling(killed, FIRST), settling(gone, FIRST)]) == {}
    assert engine.history.all() == []


def test_what_changed_is_said_once_and_by_whoever_changed_it(engine: Engine) -> None:
    task, other, (book, _) = scheduled(engine), scheduled(engine, "other"), book_of(engine)
    begin = book.changes_since(None)
    assert {found.task_id for found in begin.tasks} == {task.id, other.id}
    assert not book.changes_since(begin.generation).tasks
    engine.tasks.suspend(task)
    run = engine.runs.submit(other)
    changes = book.changes_since(begin.generation)
    (found,) = changes.tasks
    assert (found.task_id, changes.touched) == (task.id, (other.id,))
    assert found.timing and found.timing.rules.suspended
    engine.runs.kill_task(other)
    later = book.changes_since(changes.generation)
    assert (later.tasks, later.gone, later.touched) == ((), (other.id,), (other.id,))
    assert engine.history.get(run.id).status is RunState.KILLED


def test_a_run_of_a_task_that_is_gone_is_handed_over_to_find_its_end(engine: Engine) -> None:
    task, (book, hands) = scheduled(engine), book_of(engine)
    generation = book.changes_since(None).generation
    engine.runs.kill_task(task)
    run = engine.runs.submit(engine.tasks.get(task.id))
    book.changes_since(generation)
    assert hands.taken == {run.id: task.id}
    assert engine.runs.carry_out(run.id).detail == "its task was killed"


def test_what_waits_is_told_from_what_lives_and_what_lives_is_adopted(engine: Engine) -> None:
    task, (book, hands) = scheduled(engine), book_of(engine)
    waiting, live, between = (engine.runs.submit(task) for _ in range(3))
    engine.history.started(live)
    engine.history.retried(engine.history.started(between))
    found = book.open_runs([task.id, "nobody"])
    assert list(found) == [task.id]
    assert [(run.run_id, run.asked) for run in found[task.id].waiting] == [(waiting.id, True)]
    assert set(found[task.id].live) == set(hands.taken) == {live.id, between.id}
    assert book.live() == 2
    assert book.start(waiting.id) and not book.start("nobody")
    assert book.live() == 3
    assert book.open_runs([task.id])[task.id].waiting == ()


def test_a_run_that_was_started_is_not_skipped(engine: Engine) -> None:
    task, (book, hands) = scheduled(engine), book_of(engine)
    waiting, live, taken = (engine.runs.submit(task) for _ in range(3))
    engine.history.started(live)
    hands.take(taken.id, task.id)
    book.skip([(run.id, Reason.SKIPPED_OVERLAP) for run in (waiting, live, taken)])
    found = {run.id: (run.status, run.reason) for run in engine.history.of_task(task.id)}
    assert found[waiting.id] == (RunState.SKIPPED, Reason.SKIPPED_OVERLAP)
    assert (found[live.id][0], found[taken.id][0]) == (RunState.RUNNING, RunState.PENDING)


def test_services_wait_for_their_keeper_and_take_up_no_slot(engine: Engine) -> None:
    task, (book, hands) = add_task(engine, "", service={"port": 1}), book_of(engine)
    version = engine.orchestrations.get(task.orchestration_id)
    run = engine.history.add(task, version, {}, None, Origin.SERVICE)
    assert book.open_runs([task.id]) == {}
    engine.history.started(run)
    assert book.open_runs([task.id])[task.id].live == (run.id,)
    assert (book.live(), set(hands.taken)) == (0, {run.id})


def test_an_instant_that_was_backfilled_before_it_was_settled_gets_no_second_run(
    engine: Engine, clock: Stepped
) -> None:
    task, (book, _) = scheduled(engine), book_of(engine)
    clock.moment = FIRST
    (run,) = engine.runs.backfill(task, FIRST, FIRST)
    book.settle([settling(task, FIRST)])
    assert engine.history.of_task(task.id) == [run]


def test_the_history_of_every_run_replays_to_its_state(engine: Engine, clock: Stepped) -> None:
    (book, _), tasks = book_of(engine), [scheduled(engine, f"t{number}") for number in range(3)]
    host = Scheduler(book, max_runs=2)
    for _ in range(5):
        clock.moment += MINUTE
        host.step(clock.moment)
    assert {state for task in tasks for state in states(engine, task)} >= {"pending", "skipped"}
    with engine._context.database.read() as connection:
        events = connection.execute(tables.events.select().order_by(tables.events.c.seq)).all()
    for run in engine.history.all():
        lived = [RunState(event.event) for event in events if event.subject == f"run:{run.id}"]
        assert replayed(RUN_TRANSITIONS, lived) is run.status


def test_more_tasks_than_fit_into_one_statement_are_settled_in_one_transaction(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("specrunner.engine.tasks.claims.MOST", 3)
    workspace = engine.workspaces.ensure("lab")
    version = add_orchestration(engine, workspace, "")
    spec = {"orchestration": "code", "schedule": {"cron": "* * * * *"}}
    tasks = [engine.tasks.put(workspace.id, f"t{number}", version.id, spec, {}) for number in range(10)]
    book, _ = book_of(engine)
    assert len(book.changes_since(None).tasks) == 10
    known = book.settle([settling(task, FIRST) for task in tasks])
    assert known == {task.id: FIRST for task in tasks}
    assert len(book.open_runs([task.id for task in tasks])) == 10


def test_a_claim_is_no_news_to_the_host_that_made_it_and_is_to_another(engine: Engine) -> None:
    task, (one, _), (other, _) = scheduled(engine), book_of(engine), book_of(engine)
    generation = one.changes_since(None).generation
    by_hand = engine.runs.submit(scheduled(engine, "asked"))
    generation = one.changes_since(generation).generation
    one.settle([settling(task, FIRST)])
    assert other.changes_since(generation).touched == (task.id,)
    again = engine.history.started(by_hand)
    assert one.changes_since(generation).touched == (again.task_id,)
    (claimed,) = engine.history.of_task(task.id)
    engine.runs.kill(claimed.id)
    assert set(one.changes_since(generation).touched) >= {task.id}


def test_a_clock_that_jumps_an_hour_either_way_repeats_no_instant_and_loses_none(
    engine: Engine, clock: Stepped
) -> None:
    task, (book, _) = scheduled(engine), book_of(engine)
    host = Scheduler(book, max_runs=0)

    def stepped(span: timedelta) -> list[tuple[datetime | None, datetime | None]]:
        clock.moment += span
        host.step(clock.moment)
        return sorted((run.first_at or run.scheduled_at, run.scheduled_at) for run in engine.history.of_task(task.id))

    before = stepped(MINUTE)
    assert before == [(FIRST, FIRST)]
    after = stepped(60 * MINUTE)
    assert after == [(FIRST, FIRST), (FIRST + MINUTE, FIRST + 59 * MINUTE), (FIRST + 60 * MINUTE, FIRST + 60 * MINUTE)]
    assert stepped(-60 * MINUTE) == after
    assert stepped(59 * MINUTE) == after
    assert stepped(2 * MINUTE) == [*after, (FIRST + 61 * MINUTE, FIRST + 61 * MINUTE)]
