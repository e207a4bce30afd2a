from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from specrunner.core.errors import Diagnostic
from specrunner.core.fields import Action
from specrunner.core.keys import Key, Kind
from specrunner.core.lifecycle import RunState
from specrunner.core.outcome import Fate, Outcome, RunView, StepOutcome
from specrunner.core.plan import Plan, Step

THEN = datetime(2026, 7, 1, tzinfo=UTC)
TASK = Key(Kind.TASK, "w", "x")
STEP = Step(TASK, Action.RUN, "")
PLAN = Plan("p", "e", "local", (STEP,))
DONE, FAILED, SKIPPED, BLOCKED = Fate.DONE, Fate.FAILED, Fate.SKIPPED, Fate.BLOCKED


def run(state: RunState) -> RunView:
    return RunView("id", TASK, state, THEN)


def outcome(fates: list[Fate | RunState], interrupted: bool = False) -> Outcome:
    """Steps of these fates; a state of a run stands for a step that was done and started it."""
    steps = tuple(
        StepOutcome(STEP, DONE, run=run(fate)) if isinstance(fate, RunState) else StepOutcome(STEP, fate)
        for fate in fates
    )
    return Outcome(Plan("p", "e", "local", tuple(one.step for one in steps)), steps, THEN, THEN, interrupted)


@pytest.mark.parametrize(
    ("fates", "code"),
    [
        ([], 0),
        ([DONE, DONE], 0),
        ([DONE, RunState.SUCCESS], 0),
        ([BLOCKED], 3),
        ([DONE, BLOCKED], 3),
        ([DONE, BLOCKED, SKIPPED], 3),
        ([FAILED], 1),
        ([FAILED, SKIPPED], 1),
        ([FAILED, BLOCKED], 1),
        ([DONE, FAILED], 5),
        ([DONE, FAILED, SKIPPED, BLOCKED], 5),
        ([RunState.FAILURE, FAILED], 5),
        ([RunState.FAILURE], 6),
        ([RunState.TIMED_OUT, DONE], 6),
        ([RunState.KILLED], 6),
        ([RunState.LOST], 6),
        ([RunState.SKIPPED], 6),
        ([RunState.FAILURE, BLOCKED], 6),
        ([RunState.RUNNING, DONE], 0),
        ([RunState.PENDING, BLOCKED], 3),
    ],
)
def test_the_gravest_thing_that_happened_is_the_exit_code(fates: list[Fate | RunState], code: int) -> None:
    assert outcome(fates).exit_code == code
    assert outcome(list(reversed(fates))).exit_code == code
    assert outcome(fates, interrupted=True).exit_code == 130


def test_runs_that_did_not_succeed_are_those_that_ended_otherwise() -> None:
    found = outcome([RunState.SUCCESS, RunState.FAILURE, RunState.RUNNING, RunState.LOST, DONE]).unsuccessful_runs
    assert [one.status for one in found] == [RunState.FAILURE, RunState.LOST]


def test_how_a_run_ends_that_was_left_to_itself_is_not_the_matter_of_the_apply() -> None:
    ended = replace(run(RunState.FAILURE), started=THEN)
    left, waited = (StepOutcome(STEP, Fate.DONE, run=ended, waited=waits) for waits in (False, True))
    assert (left.failed_run, waited.failed_run) == (None, ended)
    assert Outcome(PLAN, (left,), THEN, THEN).exit_code == 0
    assert Outcome(PLAN, (waited,), THEN, THEN).exit_code == 6


def test_a_run_that_could_not_even_be_started_is() -> None:
    never_began = StepOutcome(STEP, Fate.DONE, run=run(RunState.FAILURE), waited=False)
    assert never_began.failed_run == never_began.run


def test_steps_are_found_by_their_fate() -> None:
    found = outcome([DONE, SKIPPED, DONE])
    assert [len(found.with_fate(fate)) for fate in Fate] == [2, 0, 1, 0]


def test_a_run_lasted_from_its_start_to_its_end() -> None:
    ended = RunView("id", TASK, RunState.SUCCESS, THEN, started=THEN, ended=THEN + timedelta(seconds=1.5))
    assert (ended.seconds, ended.succeeded) == (1.5, True)
    assert run(RunState.RUNNING).seconds is None


def test_an_apply_that_did_nothing_because_its_plan_was_stale_says_so_by_its_code() -> None:
    def with_stale(*others: StepOutcome) -> Outcome:
        step = Step(TASK, Action.RUN, "")
        return replace(outcome([]), steps=(StepOutcome(step, FAILED, stale=True), *others))

    step = Step(TASK, Action.RUN, "")
    assert with_stale().exit_code == 4
    assert with_stale(StepOutcome(step, SKIPPED, because=TASK), StepOutcome(step, BLOCKED)).exit_code == 4
    assert with_stale(StepOutcome(step, DONE)).exit_code == 5
    assert with_stale(StepOutcome(step, FAILED)).exit_code == 1
    assert replace(with_stale(), problems=(Diagnostic("the lease was lost"),)).exit_code == 1


def test_a_problem_outside_of_the_steps_is_a_failure() -> None:
    problems = (Diagnostic("the lease was lost"),)
    assert replace(outcome([]), problems=problems).exit_code == 1


def test_what_was_brought_back_counts_as_done_where_something_else_failed() -> None:
    problems = (Diagnostic("it could not be brought back"),)
    back, not_back = replace(outcome([]), restored=(TASK,)), replace(outcome([]), unrestored=(TASK,))
    assert replace(back, problems=problems).exit_code == 5
    assert replace(not_back, problems=problems).exit_code == 1
    assert replace(outcome([FAILED]), restored=(TASK,)).exit_code == 5
    assert back.exit_code == 0
    assert replace(outcome([SKIPPED]), problems=problems).exit_code == 1
    assert replace(outcome([DONE, SKIPPED]), problems=problems).exit_code == 5
    assert replace(outcome([DONE], interrupted=True), problems=problems).exit_code == 130


def test_what_is_left_is_what_no_other_step_held_back() -> None:
    step = Step(TASK, Action.RUN, "")
    left, held = StepOutcome(step, SKIPPED), StepOutcome(step, SKIPPED, because=TASK)
    assert replace(outcome([]), steps=(left, held, StepOutcome(step, DONE))).left == (left,)
