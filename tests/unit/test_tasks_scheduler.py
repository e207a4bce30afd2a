from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from specrunner.core.due import CatchUp, Timing
from specrunner.core.lifecycle import Reason, RunState
from specrunner.core.overlap import Overlap, Rules
from specrunner.engine.tasks.book import Changes, Scheduled
from specrunner.engine.tasks.scheduler import Scheduler, run_scheduler
from tests.property.scheduling_world import BEGIN, SECOND, Life, OutOfReach, Row, World, marks

MINUTE = timedelta(minutes=1)
HOURLY = marks(60, [0])


def life_of(max_runs: int = 2, takes: timedelta = 90 * SECOND, **tasks: Timing) -> Life:
    life = Life(World(max_runs, takes))
    life.restart()
    for name, timing in tasks.items():
        life.world.put(name, timing)
    life.step()
    return life


def timing(overlap: Overlap = Overlap.SKIP, deadline: timedelta = 60 * MINUTE, cycle: int = 1, at: int = 0) -> Timing:
    return Timing("Task/w/t", marks(cycle, [at]), Rules(overlap, deadline))


def ended(life: Life, state: RunState) -> list[Row]:
    return [row for row in life.world.rows.values() if row.status is state]


def test_a_run_starts_at_its_instant_and_the_next_step_is_due_at_the_next() -> None:
    life = life_of(t=timing(cycle=60))
    assert life.world.host
    assert life.world.host.step(BEGIN) == BEGIN + 60 * MINUTE
    life.pass_time(60 * MINUTE)
    assert [process.started for process in life.world.processes.values()] == [BEGIN + 60 * MINUTE]


def test_more_runs_than_slots_start_in_the_order_in_which_they_were_due() -> None:
    tasks: dict[str, Any] = {f"t{number}": timing(Overlap.ALLOW, 600 * MINUTE, 60, 10 - number) for number in range(4)}
    life = life_of(max_runs=1, takes=30 * MINUTE, **tasks)
    life.pass_time(170 * MINUTE)
    assert [task for task, _, _ in sorted(life.world.lived, key=lambda one: one[1])][:4] == ["t3", "t2", "t1", "t0"]


def test_what_waits_for_a_slot_past_its_deadline_is_skipped_at_the_deadline() -> None:
    life = life_of(1, 600 * MINUTE, a=timing(cycle=600), b=timing(cycle=600, at=1, deadline=5 * MINUTE))
    life.pass_time(601 * MINUTE)
    assert not ended(life, RunState.SKIPPED)
    life.pass_time(5 * MINUTE + SECOND)
    assert [(row.task_id, row.reason) for row in ended(life, RunState.SKIPPED)] == [("b", Reason.SKIPPED_DEADLINE)]


def test_a_buffered_run_follows_as_soon_as_the_one_before_has_ended() -> None:
    life = life_of(takes=90 * SECOND, t=timing(Overlap.BUFFER_ONE))
    life.pass_time(4 * MINUTE)
    starts = sorted(started for _, started, _ in life.world.lived)
    assert starts[:2] == [BEGIN + MINUTE, BEGIN + MINUTE + 90 * SECOND]


def test_cancelling_starts_the_new_run_after_the_grace_and_terminating_at_once() -> None:
    for overlap, pause in ((Overlap.CANCEL_OTHER, 10 * SECOND), (Overlap.TERMINATE_OTHER, 0 * SECOND)):
        life = life_of(takes=90 * MINUTE, t=timing(overlap))
        life.pass_time(2 * MINUTE + 20 * SECOND)
        assert [process.started for process in life.world.processes.values()] == [BEGIN + 2 * MINUTE + pause]


def test_a_task_without_schedule_runs_when_it_is_asked_to() -> None:
    life = life_of()
    life.world.changed["t"] = life.world.generation = 1
    life.world.tasks["t"] = Scheduled("t", None, BEGIN)
    life.step()
    life.world.by_hand("t")
    life.step()
    assert len(life.world.processes) == 1


def test_a_run_that_waits_for_a_slot_loses_its_turn_when_the_rules_change() -> None:
    life = life_of(max_runs=1, takes=60 * MINUTE, other=timing(cycle=600), t=timing(Overlap.ALLOW, cycle=600, at=300))
    life.pass_time(600 * MINUTE)
    life.world.by_hand("t")
    life.world.by_hand("t")
    life.step()
    life.world.put("t", timing(Overlap.SKIP, cycle=600, at=300))
    assert life.world.host
    life.world.max_runs = life.world.host.max_runs = 3
    life.pass_time(MINUTE)
    assert [life.world.rows[run_id].task_id for run_id in life.world.processes] == ["other", "t"]


def test_what_the_scheduler_remembers_does_not_grow_with_time() -> None:
    life = life_of(t=timing(Overlap.CANCEL_OTHER, 60 * MINUTE), u=timing(Overlap.BUFFER_ONE, 60 * MINUTE))
    life.pass_time(600 * MINUTE)
    host = life.world.host
    assert host
    sizes = [len(part) for part in (host._heap, host._in_heap, host._ready, host._noted, host._heard, host._startable)]
    assert max(sizes) < 140  # the deadlines of an hour's runs


def test_a_clock_put_back_an_hour_neither_repeats_an_instant_nor_stops_the_schedule() -> None:
    life = life_of(t=timing(cycle=10))
    life.pass_time(125 * MINUTE)
    before = len(life.world.rows)
    life.world.offset -= 60 * MINUTE
    life.pass_time(60 * MINUTE)
    assert len(life.world.rows) == before
    life.pass_time(10 * MINUTE)
    assert len(life.world.rows) == before + 1


def test_a_clock_that_was_a_year_ahead_and_is_put_right_leaves_the_schedule_in_force() -> None:
    life = life_of(9, 600 * MINUTE, t=timing(Overlap.ALLOW, cycle=60))
    life.world.offset += timedelta(days=365)
    life.pass_time(60 * MINUTE)
    life.world.offset -= timedelta(days=365)
    life.pass_time(60 * MINUTE)
    assert BEGIN + 120 * MINUTE in {row.instant for row in ended(life, RunState.RUNNING)}


def test_a_schedule_that_cannot_be_read_stops_no_other() -> None:
    def broken(_after: datetime) -> datetime | None:
        raise LookupError("no time zone data")

    life = life_of(bad=timing(), good=timing())
    life.looks_itself = False
    bad = life.world.tasks["bad"]
    life.world.tasks["bad"] = replace(bad, timing=replace(timing(), fire=broken))
    life.world.generation += 1
    life.world.changed["bad"] = life.world.generation
    life.pass_time(MINUTE)
    assert {row.task_id for row in life.world.rows.values()} == {"good"}


def test_a_host_that_died_between_claim_and_start_leaves_the_run_to_the_next() -> None:
    for points in range(8):
        life = life_of(t=timing(cycle=60))
        life.world.points_left = points
        life.pass_time(60 * MINUTE)
        life.restart()
        life.pass_time(SECOND)
        assert [row.instant for row in life.world.rows.values()] == [BEGIN + 60 * MINUTE]
        assert len(life.world.processes) == 1


def test_what_the_store_could_not_take_is_done_as_soon_as_it_can() -> None:
    for points in range(12):
        life = life_of(t=timing(deadline=7 * MINUTE, cycle=60))
        life.pass_time(60 * MINUTE)
        life.world.points_left, life.world.trouble = points, OutOfReach
        for hour in (2, 3):
            life.pass_time(60 * MINUTE)
            life.pass_time(2 * SECOND)
            assert [row.instant for row in ended(life, RunState.RUNNING)] == [BEGIN + hour * 60 * MINUTE], points


def test_a_schedule_that_another_host_has_settled_goes_on_from_there() -> None:
    life = life_of(t=timing(cycle=10))
    theirs = life.world.tasks["t"]
    life.world.tasks["t"] = replace(theirs, since=BEGIN + 10 * MINUTE)
    life.pass_time(20 * MINUTE)
    assert [row.instant for row in life.world.rows.values()] == [BEGIN + 20 * MINUTE]


def test_catching_up_starts_all_that_was_missed_where_overlap_allows_it() -> None:
    everything = replace(timing(Overlap.ALLOW, cycle=10), catch_up=CatchUp.ALL)
    life = life_of(max_runs=10, takes=90 * MINUTE, t=everything)
    life.world.die()
    life.pass_time(61 * MINUTE)
    life.restart()
    life.pass_time(SECOND)
    assert len(life.world.processes) == 6


def test_only_tasks_whose_moment_has_come_are_looked_at() -> None:
    asked: list[str] = []

    def noted(name: str) -> Timing:
        def fire(after: datetime) -> datetime | None:
            asked.append(name)
            return marks(60, [int(name[1:])])(after)

        return replace(timing(), fire=fire)

    tasks: dict[str, Any] = {f"t{number}": noted(f"t{number}") for number in range(1, 30)}
    life = life_of(**tasks)
    life.looks_itself = False
    asked.clear()
    life.pass_time(2 * MINUTE)
    assert set(asked) == {"t1", "t2"}


class Loop(World):
    """A world that is its own bell, and writes down what the loop does with it."""

    def __init__(self, steps: int) -> None:
        super().__init__(1)
        self.put("t", timing(cycle=60, at=59))
        self.said: list[str] = []
        self.left = steps
        self.leaving = threading.Event()

    def changes_since(self, generation: int | None) -> Changes:
        self.said.append("step")
        if len(self.said) == 2:
            raise OSError("no space left on device")
        return World.changes_since(self, generation)

    def clear(self) -> None:
        self.said.append("clear")

    def wait(self, timeout: float | None = None) -> bool:
        self.said.append(f"wait {timeout}")
        self.true = BEGIN + 59 * MINUTE - SECOND / 4
        self.left -= 1
        if not self.left:
            self.leaving.set()
        return False


@dataclass
class Reading:
    """The clock of a world."""

    world: World

    def now(self) -> datetime:
        return self.world.now

    def monotonic(self) -> float:
        return 0.0


def test_the_loop_sleeps_until_the_next_instant_and_no_longer_than_a_second_also_after_a_failure(
    caplog: pytest.LogCaptureFixture,
) -> None:
    loop = Loop(steps=2)
    run_scheduler(Scheduler(loop, 1), Reading(loop), loop, loop.leaving)
    assert loop.said == ["clear", "step", "wait 1.0", "clear", "step", "wait 0.25"]
    assert "no space left on device" in caplog.text


def test_a_loop_that_is_told_to_leave_does_no_more() -> None:
    loop = Loop(steps=1)
    loop.leaving.set()
    run_scheduler(Scheduler(loop, 1), Reading(loop), loop, loop.leaving)
    assert not loop.said
