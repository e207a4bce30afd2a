"""What was reviewed is what is carried out, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from specrunner.core.approval import Approval, compare, expect, wishes_of
from specrunner.core.approval import differences as differences_of
from specrunner.core.decide import Wishes
from specrunner.core.errors import StalePlan
from specrunner.core.fields import Action
from specrunner.core.keys import Kind
from specrunner.core.plan import Plan, from_json, to_json
from specrunner.core.resources import Live, Presence, Resource, intent_of
from tests.unit.core_samples import (
    MODEL,
    PIPELINE,
    RUN_ONCE,
    SCHEDULED,
    carried_out,
    desired,
    live,
    live_of,
    plan_for,
    resource,
    task,
    workspace,
)

CODE = resource(Kind.ORCHESTRATION, "code", {"sha": "a" * 64})
OLD = resource(Kind.CONNECTION, "inputs", {"type": "HTTP", "details": {"host": "x", "port": 1}})
NEW = resource(Kind.CONNECTION, "inputs", {"type": "HTTP", "details": {"host": "y", "port": 1}})
THIRD = resource(Kind.CONNECTION, "inputs", {"type": "HTTP", "details": {"host": "z", "port": 1}})


def apply(approved: Plan, declared: Iterable[Resource], found: Live, **more: Any) -> Approval:
    """As `apply PLANFILE` does: read what was saved, plan anew, compare."""
    declared = [*declared]
    saved = from_json(json.loads(json.dumps(to_json(approved))))
    wanted = desired(*declared)
    return compare(saved, plan_for(declared, found, wishes=wishes_of(saved, wanted), **more), wanted)


def differences(approved: Plan, declared: Iterable[Resource], found: Live) -> str:
    with pytest.raises(StalePlan) as stale:
        apply(approved, declared, found)
    assert stale.value.exit_code == 4
    assert "specrunner plan" in stale.value.remedy
    return stale.value.detail


def test_what_is_still_due_is_carried_out_as_it_was_approved() -> None:
    declared = [workspace(), CODE, task(), NEW]
    found = live(live_of(OLD))
    plan = plan_for(declared, found)
    approval = apply(plan, declared, found)
    assert approval.plan.steps == plan.steps
    assert (approval.fulfilled, approval.left_out) == ((), ())


def test_a_step_is_carried_out_against_the_object_that_was_live_when_it_was_approved() -> None:
    """Whether that is still so is checked when it is written: then something else than expected may be there."""
    plan = plan_for([NEW], live(live_of(OLD)))
    (step,) = apply(plan, [NEW], live(live_of(OLD, id="another"))).plan.steps
    assert step.live == live_of(OLD).fingerprint != live_of(OLD, id="another").fingerprint


def test_what_came_since_is_left_out_and_told() -> None:
    plan = plan_for([NEW, CODE], live(live_of(OLD), live_of(CODE)))
    more = [NEW, CODE, workspace()]
    approval = apply(plan, more, live(live_of(OLD), live_of(CODE)))
    assert [str(step.key) for step in approval.plan.steps] == ["Connection/inputs"]
    assert [str(step.key) for step in approval.left_out] == ["Workspace/w"]
    (notice,) = approval.plan.notices
    assert notice.text == "create is due by now, and left out: it was not approved"


def test_what_is_fulfilled_already_is_dropped_with_a_word() -> None:
    declared = [workspace(), CODE, task(), NEW]
    found = {**live(live_of(OLD), live_of(resource(Kind.MODEL, "gone", MODEL)))}
    plan = plan_for(declared, found)
    approval = apply(plan, declared, carried_out(plan, declared, found))
    assert approval.plan.steps == ()
    assert set(approval.fulfilled) == {step.key for step in plan.steps}
    assert {notice.text for notice in approval.plan.notices} == {"it is as approved already; nothing is done"}


def test_half_of_it_may_be_done_already() -> None:
    declared = [workspace(), CODE, task()]
    plan = plan_for(declared, {})
    approval = apply(plan, declared, live(live_of(workspace()), live_of(CODE)))
    assert [str(step.key) for step in approval.plan.steps] == ["Task/w/nightly forecast"]
    assert approval.plan.steps[0].depends_on == ()


def test_what_is_declared_otherwise_by_now_is_stale_and_says_how() -> None:
    plan = plan_for([NEW], live(live_of(OLD)))
    assert differences(plan, [THIRD], live(live_of(OLD))) == (
        "Connection/inputs: `details.host` was approved from 'x' to 'y', and is from 'x' to 'z' now."
    )


def test_what_was_taken_back_in_the_files_is_stale_and_not_fulfilled() -> None:
    plan = plan_for([NEW], live(live_of(OLD)))
    assert differences(plan, [OLD], live(live_of(OLD))) == (
        "Connection/inputs was approved for update, and is declared otherwise now."
    )


def test_what_no_file_declares_any_more_is_stale() -> None:
    plan = plan_for([workspace()], {})
    assert differences(plan, [], {}) == "Workspace/w was approved for create, and no file declares it any more."


def test_a_delete_of_what_is_declared_again_is_stale() -> None:
    plan = plan_for([], live(live_of(workspace())))
    assert differences(plan, [workspace()], live(live_of(workspace()))) == (
        "Workspace/w was to be deleted, and the files declare it now."
    )


def test_every_difference_is_told() -> None:
    plan = plan_for([NEW, CODE, task()], live(live_of(OLD)))
    changed = [THIRD, replace(CODE, spec={"sha": "b" * 64}), task({**RUN_ONCE, "args": {}})]
    assert differences(plan, changed, live(live_of(OLD))).splitlines() == [
        "Connection/inputs: `details.host` was approved from 'x' to 'y', and is from 'x' to 'z' now.",
        "Orchestration/w/code is declared otherwise than it was approved.",
        "Task/w/nightly forecast is declared otherwise than it was approved.",
        "Task/w/nightly forecast would run another order than the approved one.",
    ]


def test_another_action_is_stale() -> None:
    plan = plan_for([NEW], live(live_of(OLD)))
    told = differences(plan, [NEW], {})
    assert told.startswith("Connection/inputs was approved for update, and would be create now: declared in")


def test_what_is_blocked_by_now_is_stale() -> None:
    plan = plan_for([], live(live_of(workspace())))
    told = differences(plan, [], live(live_of(workspace(), protect=True)))
    assert told.startswith("Workspace/w was approved for delete, and is blocked now: it is protected")


def test_a_record_that_became_an_object_again_is_not_deleted_unseen() -> None:
    plan = plan_for([], live(live_of(workspace(), presence=Presence.MISSING)))
    assert plan.hash != plan_for([], live(live_of(workspace()))).hash
    assert differences(plan, [], live(live_of(workspace()))) == (
        "Workspace/w was gone already when this was approved, and is there now."
    )


def test_what_was_blocked_when_it_was_approved_stays_so() -> None:
    found = live(live_of(workspace()), live_of(CODE, owner=None, applied=None))
    plan = plan_for([CODE], found, wishes=Wishes(destroy=False))
    assert len(plan.blocked) == 2
    approval = apply(plan, [CODE], found)
    assert {step.blocked_by for step in approval.plan.steps} == {step.blocked_by for step in plan.steps}
    assert apply(plan, [], live()).plan.steps == ()


def test_an_adoption_that_was_approved_needs_no_option() -> None:
    found = live(live_of(CODE, owner=None, applied=None))
    plan = plan_for([CODE], found, wishes=Wishes(adopt=frozenset({CODE.key})))
    assert [step.action for step in apply(plan, [CODE], found).plan.work] == [Action.ADOPT]


def test_a_step_that_needs_what_was_not_approved_is_stale() -> None:
    model, pipeline = resource(Kind.MODEL, "m", MODEL), resource(Kind.PIPELINE, "p", PIPELINE)
    plan = plan_for([model, pipeline], live(live_of(model)))
    told = differences(plan, [model, pipeline], {})
    assert told == "Pipeline/w/p needs a step for Model/w/m by now, which was not approved."


def test_another_value_of_a_secret_is_no_difference() -> None:
    secret = resource(Kind.CONNECTION, "s", {"type": "A", "detailsFrom": {}}, secrets={"detailsFrom": {"env": "X"}})
    found = live(live_of(secret, secrets={"detailsFrom": "f1"}))
    plan = plan_for([secret], found, {secret.key: {"detailsFrom": "f2"}})
    again = apply(plan, [secret], found, fingerprints={secret.key: {"detailsFrom": "f3"}})
    assert len(again.plan.steps) == 1
    none = apply(plan, [secret], found, fingerprints={secret.key: {"detailsFrom": "f1"}})
    assert none.fulfilled == (secret.key,)


def test_a_run_that_was_approved_and_carried_out_by_somebody_else_is_fulfilled() -> None:
    found = live(live_of(task()))
    plan = plan_for([task()], found)
    carried = live(live_of(task(), intents={intent_of(RUN_ONCE): "success"}))
    assert apply(plan, [task()], carried).fulfilled == (task().key,)
    assert "declared otherwise" in differences(plan, [task(SCHEDULED)], live(live_of(task(SCHEDULED))))


def test_a_plan_for_another_environment_or_target_is_stale() -> None:
    plan = plan_for([workspace()], {})
    others: dict[str, Any] = {"environment": "prod", "project": "another", "target": {"server": "x"}}
    for name, other in others.items():
        changed: Any = {name: other}
        told = differences(replace(plan, **changed), [workspace()], {})
        assert told.startswith(f"The {name} was {other!r}")


def test_a_rename_that_was_approved_is_carried_out_and_fulfilled() -> None:
    new = replace(CODE, key=CODE.key.named("better"), renamed_from=CODE.key)
    plan = plan_for([new], live(live_of(CODE)))
    assert [step.renamed_from for step in apply(plan, [new], live(live_of(CODE))).plan.steps] == [CODE.key]
    assert apply(plan, [new], live(live_of(new))).fulfilled == (new.key,)
    assert "would be create now" in differences(plan, [new], {})


def test_the_expected_hash_is_demanded_and_a_beginning_of_it_will_do() -> None:
    plan = plan_for([workspace()], {})
    for right in (plan.hash, plan.hash[:12], f" {plan.hash.upper()} "):
        expect(plan, right)
    for wrong in ("", plan.hash[:11], plan.hash[1:], plan.hash + "0", "f" * 64):
        with pytest.raises(StalePlan) as stale:
            expect(plan, wrong)
        assert plan.hash in stale.value.detail
        assert wrong in stale.value.detail
        assert stale.value.exit_code == 4


def test_the_rest_of_what_was_approved_differs_in_nothing_and_what_came_since_does() -> None:
    declared = [workspace(), CODE, task()]
    plan = plan_for(declared, {})
    half = live(live_of(workspace()))
    assert differences_of(plan, plan_for(declared, half), desired(*declared)) == ()
    more = [*declared, NEW]
    [found] = differences_of(plan, plan_for(more, half), desired(*more))
    assert found.startswith("Connection/inputs: create was not approved:")
    changed = [workspace(), CODE, task(), THIRD]
    told = differences_of(
        plan_for([*declared, NEW], live(live_of(OLD))), plan_for(changed, live(live_of(OLD))), desired(*changed)
    )
    assert any("details.host" in text and "'z'" in text for text in told)
