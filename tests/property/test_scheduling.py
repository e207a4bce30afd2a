"""Whatever crashes, and however the clock is stepped: what was due once is in the record once.

A world is simulated (clock, store, processes) and led through random sequences of deaths of the host, restarts, steps
of the clock, changed specs, suspensions and kills; then what is left in it is compared with what was due, counted
minute by minute.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from specrunner.core import due
from specrunner.core.cron import Schedule, next_fire
from specrunner.core.due import CatchUp, Timing, arrivals, last_fire
from specrunner.core.lifecycle import RUN_TRANSITIONS, RunState, replayed
from specrunner.core.overlap import Overlap, Rules
from tests.conftest import Soak
from tests.property.scheduling_world import BEGIN, SECOND, Epoch, HostDied, Life, OutOfReach, World, marks

UNCHECKED = list(HealthCheck)  # a world takes its time, and nothing changes the fixtures
NAMES = ("a", "b", "c")
MINUTE = timedelta(minutes=1)
MAX_CAUGHT_UP = 20  # so that the bound is met often
SPANS = st.sampled_from([SECOND, 7 * SECOND, 40 * SECOND, MINUTE, 3 * MINUTE, 20 * MINUTE, 90 * MINUTE])
CRONS = st.sampled_from(["0 * * * *", "30 2 * * *", "7,8,50 3-5 * * *"])
FIRES = st.builds(marks, st.sampled_from([3, 10, 61]), st.sets(st.integers(0, 60), min_size=1, max_size=4)) | CRONS.map(
    lambda cron: partial(next_fire, Schedule(cron))
)
RULES = st.builds(
    Rules,
    overlap=st.sampled_from(Overlap),
    deadline=st.sampled_from([5 * SECOND, 4 * MINUTE, 60 * MINUTE, timedelta(days=30)]),
    suspended=st.sampled_from([False, False, False, True]),
)
TIMINGS = st.builds(
    Timing,
    key=st.just("Task/w/t"),
    fire=FIRES,
    rules=RULES,
    catch_up=st.sampled_from(CatchUp),
    jitter=st.sampled_from([timedelta(0), timedelta(0), 30 * SECOND, 50 * MINUTE]),
)


@dataclass(frozen=True)
class Act:
    """Something that happens; its words are what a counterexample shows."""

    name: str
    do: Callable[[Life], None]
    what: object = None

    def __repr__(self) -> str:
        return f"{self.name}({self.what})"


def act(name: str, do: Callable[..., None], what: st.SearchStrategy[object]) -> st.SearchStrategy[Act]:
    return what.map(lambda value: Act(name, lambda life: do(life, value), value))


def put(life: Life, task: tuple[str, Timing]) -> None:
    life.world.put(*task)


def suspended(life: Life, how: tuple[str, bool]) -> None:
    name, is_suspended = how
    task = life.world.tasks.get(name)
    if task and task.timing and task.timing.rules.suspended is not is_suspended:
        life.world.put(name, replace(task.timing, rules=replace(task.timing.rules, suspended=is_suspended)))


def step_clock(life: Life, span: timedelta) -> None:
    life.world.offset += span


def trouble(life: Life, what: tuple[type[Exception], int, timedelta]) -> None:
    """Something happens at one of the next points, which come as time passes."""
    if life.world.host is None:
        life.restart()
    life.world.trouble, life.world.points_left, span = what
    life.pass_time(span)


def kill_one(life: Life, index: int) -> None:
    alive = sorted(life.world.open)
    if alive:
        life.world.kill_run(alive[index % len(alive)])


NAME = st.sampled_from(NAMES)
STEPS = st.sampled_from([-3, -1, 1, 3]).flatmap(lambda sign: SPANS.map(lambda span: sign * span))
FAR = st.sampled_from([timedelta(days=days) for days in (-9, -2, 2, 9)])
ACTS = st.one_of(
    act("pass", Life.pass_time, SPANS),
    act("pass", Life.pass_time, SPANS),
    act("put", put, st.tuples(NAME, TIMINGS)),
    act("die", lambda life, _: life.world.die(), st.none()),
    act("trouble", trouble, st.tuples(st.sampled_from([HostDied, OutOfReach]), st.integers(0, 12), SPANS)),
    act("trouble", trouble, st.tuples(st.sampled_from([HostDied, OutOfReach]), st.integers(0, 12), SPANS)),
    act("restart", lambda life, _: life.restart(), st.none()),
    act("restart", lambda life, _: life.restart(), st.none()),
    act("step_clock", step_clock, STEPS),
    act("step_clock_far", step_clock, FAR),
    act("suspended", suspended, st.tuples(NAME, st.booleans())),
    act("kill_run", kill_one, st.integers(0, 5)),
    act("kill_task", lambda life, name: life.world.kill_task(str(name)), NAME),
    act("by_hand", lambda life, name: life.world.by_hand(str(name)), NAME),
)


def settled(life: Life) -> None:
    """Let the host, or a new one, come to everything that is due or waits; then nothing further becomes due."""
    world = life.world
    world.points_left = None
    if world.host is None:
        life.restart()
    life.pass_time(SECOND)
    check_instants(world)  # before the changes below say of what is missing that it was passed over
    rewound = set(world.rewound)
    for name, task in list(world.tasks.items()):
        if task.timing:
            world.put(name, replace(task.timing, fire=never))
    world.rewound = rewound
    world.takes = SECOND
    for _ in range(60):
        if not world.open:
            return
        life.pass_time(MINUTE)


def never(_after: datetime) -> datetime | None:
    return None


def due_in(epoch: Epoch) -> Iterator[datetime]:
    instant = epoch.timing.fire(epoch.since)
    while instant is not None and epoch.timing.due(instant).at <= epoch.seen:
        yield instant
        instant = epoch.timing.fire(instant)


def check_instants(world: World) -> None:
    """(1) at most one run per task and instant; (2) every due instant ends in one run or one skip with a reason."""
    for name, epochs in world.epochs.items():
        rows = [row for row in world.rows.values() if row.task_id == name and row.instant is not None]
        single = {row.instant: row for row in rows if row.first is None}
        spans = [row for row in rows if row.first is not None]
        assert len(single) + len(spans) == len(rows)
        for instant in {instant for epoch in epochs for instant in due_in(epoch)}:
            found = [row for row in spans if row.instant and row.first and row.first <= instant <= row.instant]
            found += [single[instant]] if instant in single else []
            assert found, f"{name} at {instant} is in no record"
            # A clock that was put back makes instants that were passed over come again.
            assert len(found) == 1 or name in world.rewound, f"{name} at {instant}: {found}"
    for row in world.rows.values():
        assert (row.status is RunState.SKIPPED) == str(row.reason).startswith("skipped_")


def check_states(world: World) -> None:
    """(4) terminal states never change; (6) replaying the journal gives the live state."""
    told: dict[str, list[RunState]] = {}
    for run_id, state in world.journal:
        told.setdefault(run_id, []).append(state)
    assert told.keys() == world.rows.keys()
    for run_id, row in world.rows.items():
        history = told[run_id]
        assert replayed(RUN_TRANSITIONS, history) is row.status
        assert [state.ended for state in history].index(True) == len(history) - 1


def check_one_at_a_time(world: World) -> None:
    """(5) with `skip`, runs never overlap."""
    for name in NAMES:
        lives = sorted((started, ended) for task, started, ended in world.lived if task == name)
        assert all(before[1] <= after[0] for before, after in pairwise(lives)), lives


@pytest.fixture(autouse=True)
def _few_are_caught_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(due, "MAX_CAUGHT_UP", MAX_CAUGHT_UP)


def led_through(tasks: dict[str, Timing], acts: list[Act], max_runs: int, takes: timedelta) -> World:
    life = Life(World(max_runs, takes))
    life.restart()
    for name, timing in tasks.items():
        life.world.put(name, timing)
    for one in acts:
        one.do(life)
        life.step()
    settled(life)
    return life.world


TAKES = st.sampled_from([SECOND, 90 * SECOND, 30 * MINUTE])


def test_whatever_happens_every_instant_that_was_due_is_in_the_record_once(soak: Soak) -> None:
    @seed(soak.seed)
    @settings(max_examples=4_000 if soak.is_full else 80, deadline=None, suppress_health_check=UNCHECKED)
    @given(
        st.dictionaries(NAME, TIMINGS, min_size=1), st.lists(ACTS, min_size=20, max_size=40), st.integers(1, 3), TAKES
    )
    def holds(tasks: dict[str, Timing], acts: list[Act], max_runs: int, takes: timedelta) -> None:
        world = led_through(tasks, acts, max_runs, takes)
        check_instants(world)
        check_states(world)

    holds()


def test_with_skip_the_runs_of_a_task_never_overlap(soak: Soak) -> None:
    skipping = TIMINGS.map(lambda timing: replace(timing, rules=replace(timing.rules, overlap=Overlap.SKIP)))
    acts = ACTS.filter(lambda one: one.name != "put") | act("put", put, st.tuples(NAME, skipping))

    @seed(soak.seed)
    @settings(max_examples=4_000 if soak.is_full else 80, deadline=None, suppress_health_check=UNCHECKED)
    @given(st.dictionaries(NAME, skipping, min_size=1), st.lists(acts, min_size=20, max_size=40), TAKES)
    def holds(tasks: dict[str, Timing], acts: list[Act], takes: timedelta) -> None:
        check_one_at_a_time(led_through(tasks, acts, 3, takes))

    holds()


MOMENTS = st.integers(0, 36 * 3600).map(lambda seconds: BEGIN + seconds * SECOND)


def all_due(timing: Timing, since: datetime, now: datetime) -> list[datetime]:
    return list(due_in(Epoch(timing, since, now)))


@settings(max_examples=150, deadline=None, suppress_health_check=UNCHECKED)
@given(TIMINGS, MOMENTS, MOMENTS)
def test_a_look_finds_just_what_counting_finds(timing: Timing, since: datetime, now: datetime) -> None:
    expected = all_due(timing, since, now)
    found = arrivals(timing, since, now)
    runs = [one.instant for one in found.due]
    cut = len(expected) - len(runs)
    assert runs == expected[cut:]
    assert [(passed.first, passed.last) for passed in found.passed] == (
        [(expected[0], expected[cut - 1])] if cut else []
    )
    assert found.settled == (expected[-1] if expected else None)
    assert found.next == timing.next(expected[-1] if expected else since)


@settings(max_examples=150, deadline=None, suppress_health_check=UNCHECKED)
@given(TIMINGS, MOMENTS, MOMENTS)
def test_the_catch_up_policy_says_which_instants_run(timing: Timing, since: datetime, now: datetime) -> None:
    expected = [timing.due(instant) for instant in all_due(timing, since, now)]
    in_time = [one for one in expected if now - one.at <= timing.rules.deadline]
    current = [one for one in expected[-1:] if now - one.at <= min(MINUTE, timing.rules.deadline)]
    wanted = {
        CatchUp.LATEST: [one for one in expected[-1:] if one in in_time],
        CatchUp.ALL: in_time[-MAX_CAUGHT_UP:],
        CatchUp.NONE: current,
    }[timing.catch_up]
    found = arrivals(timing, since, now)
    assert list(found.due) == ([] if timing.rules.suspended else wanted)


@settings(max_examples=150, deadline=None, suppress_health_check=UNCHECKED)
@given(TIMINGS, MOMENTS, MOMENTS)
def test_what_comes_next_lies_strictly_after_and_never_comes_earlier(
    timing: Timing, one: datetime, other: datetime
) -> None:
    before, after = sorted([one, other])
    first, second = timing.next(before), timing.next(after)
    assert first is not None
    assert second is not None
    assert before < first.instant <= second.instant
    assert after < second.instant
    assert first.instant <= first.at < (timing.fire(first.instant) or first.at)
    assert first.at <= second.at


@settings(max_examples=150, deadline=None, suppress_health_check=UNCHECKED)
@given(FIRES, MOMENTS, MOMENTS)
def test_the_last_instant_is_found_as_by_counting(
    fire: Callable[[datetime], datetime | None], after: datetime, until: datetime
) -> None:
    expected, instant = None, fire(after)
    while instant is not None and instant <= until:
        expected, instant = instant, fire(instant)
    assert last_fire(fire, after, until) == expected
