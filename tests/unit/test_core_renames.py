"""Renames: nothing is destroyed only to be made anew, and nothing that names the object changes with it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from specrunner.core.fields import Action
from specrunner.core.keys import Key, Kind
from specrunner.core.plan import Plan
from specrunner.core.recorded import Recorded
from specrunner.core.renames import renamed, respelt
from specrunner.core.resources import LiveObject, Presence, Resource, intent_of, references_of
from tests.unit.core_samples import (
    MODEL,
    OWNER,
    PIPELINE,
    RUN_ONCE,
    SCHEDULED,
    SOMEBODY,
    carried_out,
    desired,
    live,
    live_of,
    plan_for,
    resource,
    task,
    workspace,
)

CODE = resource(Kind.ORCHESTRATION, "code", {"source": "code", "sha": "a" * 64})
INPUTS = resource(Kind.CONNECTION, "inputs", {"type": "HTTP", "workspaces": ["w"]})
SERVING = (resource(Kind.MODEL, "m", MODEL), resource(Kind.PIPELINE, "p", PIPELINE))
DONE = {intent_of(RUN_ONCE): "success"}


def under(name: str, old: Resource, **changed: Any) -> Resource:
    """The same object under another name, saying which it had."""
    return replace(old, key=old.key.named(name), renamed_from=old.key, **changed)


def in_workspace(name: str, old: Resource) -> Resource:
    """The same object in a workspace of another name, or attached to it."""
    key = old.key.inside(name) if old.key.workspace else old.key
    spec = {**old.spec, **({"workspaces": [name]} if key.kind is Kind.CONNECTION else {})}
    return replace(old, key=key, spec=spec, references=references_of(key, spec))


def summary(plan: Plan) -> list[tuple[str, str, str]]:
    return [(str(step.key), str(step.action), str(step.renamed_from or "")) for step in plan.steps]


def settles(plan: Plan, declared: Iterable[Resource], found: dict[Key, LiveObject]) -> None:
    declared = [*declared]
    after = carried_out(plan, declared, found)
    assert after.keys() == {one.key for one in declared}
    assert plan_for(declared, after).steps == ()


def test_a_renamed_object_is_changed_in_place() -> None:
    new = under("fresh", SERVING[0])
    found = live(live_of(workspace()), live_of(SERVING[0]))
    plan = plan_for([workspace(), new], found)
    (step,) = plan.steps
    assert (step.action, step.renamed_from) == (Action.UPDATE, SERVING[0].key)
    (change,) = step.changes
    assert (change.path, change.old, change.new, change.reason) == (
        "metadata.name",
        "m",
        "fresh",
        "renamed in specs.yaml:3",
    )
    after = carried_out(plan, [workspace(), new], found)
    assert after[new.key].id == live_of(SERVING[0]).id
    settles(plan, [workspace(), new], found)


def test_a_note_of_an_old_rename_changes_nothing() -> None:
    new = under("fresh", SERVING[0])
    assert plan_for([new], live(live_of(new))).steps == ()


def test_whatever_names_a_renamed_model_does_not_change() -> None:
    model, pipeline = SERVING
    new = under("fresh", model)
    spec = {**PIPELINE, "steps": [{"model": "fresh"}], "modelShas": {"fresh": "b" * 64}}
    declared = [workspace(), new, resource(Kind.PIPELINE, "p", spec)]
    found = live(*map(live_of, [workspace(), model, pipeline]))
    plan = plan_for(declared, found)
    assert summary(plan) == [("Model/w/fresh", "update", "Model/w/m")]
    settles(plan, declared, found)


def test_a_renamed_orchestration_starts_no_run() -> None:
    declared = [workspace(), under("better", CODE), task({**RUN_ONCE, "orchestration": "better"})]
    found = live(live_of(workspace()), live_of(CODE), live_of(task(), intents=DONE))
    plan = plan_for(declared, found)
    assert summary(plan) == [("Orchestration/w/better", "update", "Orchestration/w/code")]
    settles(plan, declared, found)


def test_a_renamed_task_keeps_its_orders() -> None:
    declared = [workspace(), CODE, under("another name", task())]
    found = live(live_of(workspace()), live_of(CODE), live_of(task(), intents=DONE))
    plan = plan_for(declared, found)
    assert [(step.action, step.intent) for step in plan.steps] == [(Action.UPDATE, "")]
    settles(plan, declared, found)


def test_what_is_in_a_renamed_workspace_goes_with_it_without_a_step() -> None:
    everything = [CODE, task(), *SERVING, INPUTS]
    declared = [under("x", workspace()), *(in_workspace("x", one) for one in everything)]
    found = live(*(live_of(one, intents=DONE) for one in [workspace(), *everything]))
    plan = plan_for(declared, found)
    assert summary(plan) == [("Workspace/x", "update", "Workspace/w")]
    assert plan.unchanged == len(everything)
    settles(plan, declared, found)


def test_a_change_inside_of_a_renamed_workspace_comes_after_the_rename() -> None:
    changed = in_workspace("x", replace(SERVING[0], spec={**MODEL, "sha": "c" * 64}))
    renamed_too = under("twice", in_workspace("x", CODE))
    declared = [under("x", workspace()), changed, renamed_too]
    gone = live_of(task(SCHEDULED))
    found = live(gone, *map(live_of, [workspace(), SERVING[0], CODE]))
    plan = plan_for(declared, found)
    assert summary(plan) == [
        ("Workspace/x", "update", "Workspace/w"),
        ("Model/x/m", "upload", ""),
        ("Orchestration/x/twice", "update", "Orchestration/x/code"),
        ("Task/x/nightly forecast", "delete", ""),
    ]
    assert all(plan.steps[0].key in step.depends_on for step in plan.steps[1:])
    settles(plan, declared, found)


def test_it_is_known_under_which_key_each_object_is_live_however_many_renames_meet() -> None:
    code = in_workspace("v", CODE)
    kept = in_workspace("v", task(SCHEDULED))
    declared = desired(under("v", workspace()), under("new", code), kept)
    seen = renamed(declared, live(*map(live_of, (workspace(), CODE, task(SCHEDULED)))))
    assert {str(new): str(old) for new, old in seen.origin.items() if new in declared.resources} == {
        "Workspace/v": "Workspace/w",
        "Orchestration/v/new": "Orchestration/w/code",
        str(kept.key): str(task(SCHEDULED).key),
    }


def test_what_is_changed_and_refers_to_a_renamed_object_waits_for_the_rename() -> None:
    """Its live spec names the new one only then; before, it would be taken for somebody else's change."""
    other = resource(Kind.MODEL, "other", MODEL)
    moved = resource(Kind.PIPELINE, "p", {**PIPELINE, "steps": [{"model": "other"}], "modelShas": {"other": "b" * 64}})
    declared = [workspace(), under("fresh", SERVING[0]), other, moved]
    found = live(*map(live_of, [workspace(), other, *SERVING]))
    plan = plan_for(declared, found)
    assert [str(key) for key in plan.steps[-1].depends_on] == ["Model/w/fresh"]
    settles(plan, declared, found)


def test_a_declared_order_goes_before_that_of_a_rename() -> None:
    moved = resource(Kind.PIPELINE, "p", {**PIPELINE, "steps": [], "modelShas": {}})
    new = under("fresh", SERVING[0], references=(moved.key,))
    plan = plan_for([workspace(), new, moved], live(*map(live_of, [workspace(), *SERVING])))
    assert [str(step.key) for step in plan.steps] == ["Pipeline/w/p", "Model/w/fresh"]


@pytest.mark.parametrize(
    ("others", "why"),
    [
        ({"owner": SOMEBODY}, "that belongs to billing/prod"),
        ({"owner": None, "applied": None}, "that belongs to nobody"),
        ({"presence": Presence.MISSING}, "that is not on the target any more"),
        ({"presence": Presence.LEAVING}, "that is not on the target any more"),
    ],
)
def test_what_is_not_ours_or_not_there_is_not_renamed_and_a_notice_says_so(others: dict[str, Any], why: str) -> None:
    new = under("fresh", SERVING[0])
    plan = plan_for([new], live(live_of(SERVING[0], **others)))
    assert [step.action for step in plan.steps if step.key == new.key] == [Action.CREATE]
    (notice,) = plan.notices
    assert notice.text == f"it is made anew instead of renamed from Model/w/m: {why}"


def test_where_the_new_name_is_taken_by_one_of_ours_the_old_object_is_deleted_and_a_notice_says_why() -> None:
    new = under("fresh", SERVING[0])
    plan = plan_for([new], live(live_of(SERVING[0]), live_of(new)))
    assert [(str(step.key), step.action) for step in plan.steps] == [("Model/w/m", Action.DELETE)]
    assert "there is an object of the new name already" in plan.notices[0].text


def test_what_is_declared_just_as_another_was_is_told_to_look_like_a_rename() -> None:
    plan = plan_for([workspace(), CODE, task(name="forecast")], live(*map(live_of, (workspace(), CODE, task()))))
    (notice,) = plan.notices
    assert (str(notice.key), notice.text) == (
        "Task/w/forecast",
        "it is declared just as Task/w/nightly forecast was, which would be deleted",
    )
    assert "`renamedFrom: nightly forecast`" in notice.remedy


@pytest.mark.parametrize(
    "declared",
    [
        [task({**RUN_ONCE, "args": {"n": 2}}, name="forecast")],  # it is another order
        [task(name="one"), task(name="other")],  # nobody can tell which
        [replace(task(name="forecast"), labels={"team": "a"})],
        [replace(task(name="forecast"), renamed_from=Key(Kind.TASK, "w", "never there"))],
        [],
    ],
)
def test_what_looks_otherwise_or_like_several_is_not(declared: list[Resource]) -> None:
    plan = plan_for([workspace(), CODE, *declared], live(*map(live_of, (workspace(), CODE, task()))))
    assert plan.notices == ()


def test_what_is_still_declared_is_not_renamed() -> None:
    plan = plan_for([SERVING[0], under("fresh", SERVING[0])], live(live_of(SERVING[0])))
    assert summary(plan) == [("Model/w/fresh", "create", "")]


def test_an_object_is_renamed_once_however_many_want_it() -> None:
    plan = plan_for([under("a", SERVING[0]), under("b", SERVING[0])], live(live_of(SERVING[0])))
    assert summary(plan) == [("Model/w/a", "update", "Model/w/m"), ("Model/w/b", "create", "")]


def test_what_would_be_replaced_anyway_is_made_anew_and_the_old_one_deleted() -> None:
    new = under("fresh", replace(INPUTS, spec={**INPUTS.spec, "type": "FTP"}))
    plan = plan_for([workspace(), new], live(live_of(workspace()), live_of(INPUTS)))
    assert {(str(step.key), step.action) for step in plan.steps} == {
        ("Connection/fresh", Action.CREATE),
        ("Connection/inputs", Action.DELETE),
    }


def test_a_workspace_that_holds_what_is_not_ours_is_not_renamed() -> None:
    theirs = live_of(CODE, owner=SOMEBODY)
    plan = plan_for([under("x", workspace())], live(live_of(workspace()), theirs))
    (step,) = plan.blocked
    assert "Orchestration/w/code, which belongs to billing/prod" in step.blocked_by
    assert plan.work == ()


def test_a_protected_object_may_be_renamed() -> None:
    old = replace(SERVING[0], protect=True)
    (step,) = plan_for([under("fresh", old)], live(live_of(old))).work
    assert step.action is Action.UPDATE


def test_what_is_only_recorded_is_brought_back_by_its_old_name_and_renamed() -> None:
    recorded = Recorded(CODE.key, OWNER, CODE.spec).as_live()
    plan = plan_for([under("better", CODE)], live(recorded))
    assert plan.restores == (CODE.key,)
    assert summary(plan) == [("Orchestration/w/better", "update", "Orchestration/w/code")]


def test_every_way_to_name_a_model_is_respelt_and_nothing_else() -> None:
    key = Key(Kind.PIPELINE, "w", "p")
    spec = {
        "steps": [{"model": "m", "shadow": ["m", "n"]}, {"split": [{"model": "m", "weight": 1}], "by": "m"}],
        "modelShas": {"m": "1", "n": "2"},
        "log": {"retention": 1},
    }
    assert respelt(key, spec, {Key(Kind.MODEL, "w", "m"): Key(Kind.MODEL, "w", "x")}) == {
        "steps": [{"model": "x", "shadow": ["x", "n"]}, {"split": [{"model": "x", "weight": 1}], "by": "m"}],
        "modelShas": {"x": "1", "n": "2"},
        "log": {"retention": 1},
    }
    for elsewhere in (Key(Kind.MODEL, "other", "m"), Key(Kind.PIPELINE, "w", "m")):
        assert respelt(key, spec, {elsewhere: elsewhere.named("x")}) is spec


def test_names_are_respelt_where_a_target_tells_little() -> None:
    for kind in Kind:
        nothing: dict[str, Any] = {"steps": None, "workspaces": None, "orchestration": None, "modelShas": None}
        assert respelt(Key.of(kind, "x", "w"), nothing, {workspace().key: workspace().key}) is nothing


def test_a_renamed_workspace_that_a_task_may_use_changes_no_task_and_starts_no_run() -> None:
    other, user = resource(Kind.WORKSPACE, "other"), task({**RUN_ONCE, "workspaces": ["other", "w"]})
    renamed = under("fresh", other)
    follows = task({**RUN_ONCE, "workspaces": ["w", "fresh"]})
    found = live(*map(live_of, (workspace(), other, CODE)), live_of(user, intents={intent_of(user.spec): "success"}))
    declared = [workspace(), renamed, CODE, follows]
    plan = plan_for(declared, found)
    assert summary(plan) == [("Workspace/fresh", "update", "Workspace/other")]
    settles(plan, declared, found)
