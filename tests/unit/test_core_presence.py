"""What is replaced, what is gone, what is going and what is only recorded."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from specrunner.core.decide import Wishes
from specrunner.core.fields import Action
from specrunner.core.keys import Kind
from specrunner.core.recorded import Recorded
from specrunner.core.resources import Presence, Resource, intent_of
from tests.unit.core_samples import (
    OWNER,
    RUN_ONCE,
    SCHEDULED,
    SOMEBODY,
    live,
    live_of,
    only_step,
    plan_for,
    resource,
    task,
)


def code(sha: str = "a" * 64) -> Resource:
    return resource(Kind.ORCHESTRATION, "code", {"source": "code", "sha": sha})


def done(spec: Any, *others: Any) -> dict[str, str]:
    return {intent_of(one): "success" for one in (spec, *others)}


# What is replaced is deleted first.

OLD_TYPE, NEW_TYPE = (resource(Kind.CONNECTION, "x", {"type": name}) for name in ("HTTP", "BIGQUERY"))


def test_a_replacement_says_why() -> None:
    step = only_step(NEW_TYPE, live_of(OLD_TYPE))
    assert step.action is Action.REPLACE
    assert step.reason == "type: changed in specs.yaml:3: another type is another connection"


def test_a_protected_object_is_not_replaced_either() -> None:
    for declared in (replace(NEW_TYPE, protect=True), NEW_TYPE):
        step = only_step(declared, live_of(OLD_TYPE, protect=True))
        assert step.action is Action.REPLACE
        assert "`type`" in step.blocked_by
        assert "metadata: {protect: false}" in step.blocked_by


def test_no_destroy_replaces_nothing() -> None:
    assert only_step(NEW_TYPE, live_of(OLD_TYPE), wishes=Wishes(destroy=False)).blocked_by == "--no-destroy was given"


# What is not really there.


def test_what_somebody_else_removed_is_made_again_and_is_drift() -> None:
    found = live_of(code(), spec={}, presence=Presence.MISSING)
    plan = plan_for([code()], live(found))
    (step,) = plan.steps
    assert (step.action, step.gone, step.live) == (Action.CREATE, True, found.fingerprint)
    assert step.reason == "declared in specs.yaml:3; somebody else has removed it from the target"
    assert plan.drifted == (step,)
    assert step.declared == plan_for([code()], {}).steps[0].declared


def test_a_run_once_task_that_somebody_removed_is_made_again_without_running_again() -> None:
    found = live_of(task(), spec={}, presence=Presence.MISSING, intents=done(RUN_ONCE))
    step = only_step(task(), found)
    assert (step.action, step.intent) == (Action.CREATE, "")


def test_of_what_is_gone_and_declared_no_more_only_the_record_is_removed() -> None:
    (step,) = plan_for(
        [], live(live_of(code(), presence=Presence.MISSING, protect=True)), wishes=Wishes(destroy=False)
    ).steps
    assert (step.action, step.gone, step.blocked_by) == (Action.DELETE, True, "")
    assert "gone already" in step.reason


def test_an_object_that_is_being_deleted_counts_as_not_there() -> None:
    leaving = live(live_of(code(), presence=Presence.LEAVING))
    assert plan_for([], leaving).steps == ()
    (step,) = plan_for([code()], leaving).steps
    assert (step.action, step.live) == (Action.CREATE, "")
    assert "still being deleted" in step.reason


def test_what_another_owner_is_deleting_is_waited_for() -> None:
    (step,) = plan_for([code()], live(live_of(code(), presence=Presence.LEAVING, owner=SOMEBODY))).steps
    assert step.action is Action.CREATE


def test_what_is_only_recorded_is_brought_back_and_that_is_no_change() -> None:
    secret = resource(Kind.CONNECTION, "s", {"type": "A", "detailsFrom": {"env": "X"}}, secrets={"detailsFrom": {}})
    recorded = [Recorded(one.key, OWNER, one.spec, intents=done(RUN_ONCE)) for one in (code(), task(), secret)]
    plan = plan_for([code(), task(), secret], live(*(one.as_live() for one in recorded)))
    assert (plan.steps, plan.unchanged, plan.has_changes) == ((), 3, False)
    assert set(plan.restores) == {code().key, task().key, secret.key}


def test_what_is_recorded_and_declared_otherwise_is_brought_back_and_changed() -> None:
    recorded = Recorded(task().key, OWNER, SCHEDULED).as_live()
    plan = plan_for([task({**SCHEDULED, "args": {}})], live(recorded))
    assert [(step.action, step.live) for step in plan.steps] == [(Action.UPDATE, recorded.fingerprint)]
    assert plan.restores == (task().key,)


def test_what_is_recorded_and_declared_no_more_is_brought_back_only_if_it_stays() -> None:
    for protect, kept in ((False, ()), (True, (code().key,))):
        recorded = Recorded(code().key, OWNER, code().spec, protect=protect).as_live()
        plan = plan_for([], live(recorded))
        assert [step.action for step in plan.steps] == [Action.DELETE]
        assert plan.restores == kept
