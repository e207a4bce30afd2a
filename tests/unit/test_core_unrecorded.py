"""What is live as declared and was never recorded as applied: a crash or somebody else came between."""

from __future__ import annotations

from dataclasses import replace

from specrunner.core.diff import ALREADY_SO, drift
from specrunner.core.fields import Action
from specrunner.core.keys import Kind
from specrunner.core.lifecycle import RunState
from specrunner.core.resources import intent_of
from tests.unit.core_samples import (
    ORCHESTRATION_SHA,
    RUN_ONCE,
    SCHEDULED,
    carried_out,
    live,
    live_of,
    plan_for,
    resource,
    task,
    workspace,
)

DECLARED = (workspace(), resource(Kind.ORCHESTRATION, "code", {"source": "code", "sha": ORCHESTRATION_SHA}))
AROUND = tuple(map(live_of, DECLARED))


def test_what_is_so_already_is_recorded_as_applied_without_a_run() -> None:
    before = task({**RUN_ONCE, "history": {"succeeded": 5, "failed": 10}})
    declared = task(RUN_ONCE)
    intents = {intent_of(RUN_ONCE): str(RunState.SUCCESS)}
    behind = replace(live_of(declared), applied=before.spec, intents=intents)
    assert [(found.path, found.drift) for found in drift(behind)] == [("history.succeeded", True)]
    state = live(behind, *AROUND)
    [step] = plan_for([declared, *DECLARED], state).steps
    assert [(found.path, found.action, found.reason) for found in step.changes] == [
        ("history.succeeded", Action.UPDATE, ALREADY_SO)
    ]
    assert (step.action, step.intent) == (Action.UPDATE, "")
    after = carried_out(plan_for([declared, *DECLARED], state), [declared, *DECLARED], state)
    assert drift(after[declared.key]) == ()
    assert plan_for([declared, *DECLARED], after).steps == ()


def test_what_was_made_so_by_somebody_else_goes_once_the_files_no_longer_say_it() -> None:
    declared = task({**SCHEDULED, "resources": {"cpus": 2}})
    state = live(replace(live_of(declared), applied=SCHEDULED), *AROUND)
    state = carried_out(plan_for([declared, *DECLARED], state), [declared, *DECLARED], state)
    [step] = plan_for([task(SCHEDULED), *DECLARED], state).steps
    assert [(found.path, found.new) for found in step.changes] == [("resources.cpus", None)]


def test_an_object_of_which_nothing_was_applied_yet_gets_a_step_although_it_is_as_declared() -> None:
    declared = task(SCHEDULED)
    [step] = plan_for([declared], live(replace(live_of(declared), applied={}))).steps
    assert step.action is Action.UPDATE
    assert {found.reason for found in step.changes} == {ALREADY_SO}
