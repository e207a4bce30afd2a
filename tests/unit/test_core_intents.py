"""Orders of run-once tasks: none is repeated by itself, and what depends on a bad one waits for a person."""

from __future__ import annotations

from dataclasses import replace

import pytest

from specrunner.core.fields import Action
from specrunner.core.lifecycle import RunState
from specrunner.core.plan import Notice
from specrunner.core.resources import Presence, Resource, intent_of
from tests.unit.core_samples import RUN_ONCE, SCHEDULED, live, live_of, plan_for, task, workspace

FIRST = task(name="first one")
BAD = [state for state in RunState if state.ended and state is not RunState.SUCCESS]


def after(first: Resource, **more: object) -> Resource:
    declared = task({**RUN_ONCE, **more}, name="second")
    return replace(declared, references=(*declared.references, first.key))


def ended(state: RunState | str, declared: Resource = FIRST) -> dict[str, str]:
    return {intent_of(declared.spec): str(state)}


@pytest.mark.parametrize("state", BAD)
def test_what_depends_on_a_task_that_ended_badly_is_blocked_and_says_what_to_type(state: RunState) -> None:
    found = live(live_of(workspace()), live_of(FIRST, intents=ended(state)))
    plan = plan_for([workspace(), FIRST, after(FIRST)], found)
    (step,) = plan.steps
    assert (step.action, plan.work) == (Action.CREATE, ())
    assert step.blocked_by == (
        f"it depends on Task/w/first one, whose last run ended as {state}; "
        "repeat that one with `specrunner run 'first one'`"
    )
    assert [notice.key for notice in plan.notices] == [FIRST.key]


def test_what_depends_on_it_is_free_again_after_a_success_or_a_new_order() -> None:
    good = live(live_of(workspace()), live_of(FIRST, intents=ended(RunState.SUCCESS)))
    assert [step.blocked_by for step in plan_for([workspace(), FIRST, after(FIRST)], good).steps] == [""]
    bad = live(live_of(workspace()), live_of(FIRST, intents=ended(RunState.FAILURE)))
    anew = task({**RUN_ONCE, "args": {"rows": 11}}, name="first one")
    steps = plan_for([workspace(), anew, after(anew)], bad).steps
    assert [(step.key.name, step.blocked_by) for step in steps] == [("first one", ""), ("second", "")]


def test_a_change_of_what_depends_on_it_waits_too_and_its_removal_does_not() -> None:
    found = live(live_of(workspace()), live_of(FIRST, intents=ended(RunState.FAILURE)), live_of(after(FIRST)))
    (step,) = plan_for([workspace(), FIRST, after(FIRST, schedule=SCHEDULED["schedule"])], found).steps
    assert step.blocked_by
    (step,) = plan_for([workspace(), FIRST], found).steps
    assert (step.action, step.blocked_by) == (Action.DELETE, "")


def test_a_run_that_was_recorded_as_under_way_is_not_started_a_second_time_on_a_fresh_target() -> None:
    recorded = live_of(FIRST, intents=ended(RunState.RUNNING), presence=Presence.RECORDED)
    plan = plan_for([workspace(), FIRST, after(FIRST)], live(live_of(workspace()), recorded))
    assert [(step.key.name, bool(step.blocked_by)) for step in plan.steps] == [("second", True)]
    words = (
        "its last run had not ended when it was recorded, and may go on elsewhere; apply does not repeat a run",
        "specrunner run 'first one'",
    )
    assert plan.notices == (Notice(FIRST.key, *words),)


def test_a_run_that_is_under_way_on_this_target_is_waited_for() -> None:
    (step,) = plan_for([FIRST], live(live_of(FIRST, intents=ended(RunState.RUNNING)))).steps
    assert (step.action, step.reason) == (Action.RUN, "its run has not ended")
