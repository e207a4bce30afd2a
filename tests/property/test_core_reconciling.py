"""For any repository and any edit of it: what is planned can be carried out in its order, and then nothing is left."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from specrunner.core.approval import compare
from specrunner.core.decide import emptied, make_plan
from specrunner.core.errors import Place
from specrunner.core.fields import Action
from specrunner.core.keys import Key, Kind
from specrunner.core.lifecycle import RunState
from specrunner.core.plan import from_json, to_json, with_steps
from specrunner.core.renames import respelt
from specrunner.core.resources import (
    Desired,
    LiveObject,
    Owner,
    Presence,
    Resource,
    intent_of,
    is_run_once,
    references_of,
)
from specrunner.core.selection import selected
from specrunner.core.sides import comparable
from specrunner.core.values import is_nothing
from tests.unit.core_samples import OWNER, PLACE, SOMEBODY, carried_out, desired, live_of, plan_for

NAMES = ("a", "b")
SHAS = st.sampled_from(["1" * 64, "2" * 64])
PROTECT = st.integers(0, 4).map(lambda number: number == 0)
SOME_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(0, 2) | st.floats(0, 2) | st.sampled_from(["", "x", "y"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("pq"), inner, max_size=2),
    max_leaves=4,
)
SETTINGS = st.dictionaries(st.sampled_from("rst"), SOME_JSON, max_size=3)


def maybe(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | values


@st.composite
def repositories(draw: st.DrawFn) -> list[Resource]:
    """A valid set of declarations of up to two workspaces with two objects of each kind, some left out."""
    workspaces = draw(st.lists(st.sampled_from(NAMES), unique=True))
    found = [declared(draw, Key(Kind.WORKSPACE, "", name), {}) for name in workspaces]
    for name in draw(st.lists(st.sampled_from(NAMES), unique=True)):
        attached = draw(st.lists(st.sampled_from(workspaces), unique=True)) if workspaces else []
        # Another type replaces a connection, which its protection forbids: one has the choice, one the protection.
        chosen = draw(st.sampled_from(["HTTP", "FTP"])) if name == "a" else "HTTP"
        spec = {"type": chosen, "workspaces": attached, "details": draw(SETTINGS)}
        one = declared(draw, Key(Kind.CONNECTION, "", name), spec)
        found.append(replace(one, protect=one.protect and name != "a"))
    for workspace in workspaces:
        found += draw(st.permutations(inhabitants(draw, workspace)))
    return found


def inhabitants(draw: st.DrawFn, workspace: str) -> list[Resource]:
    found: list[Resource] = []
    shas: dict[str, str] = {}
    for name in draw(st.lists(st.sampled_from(NAMES), unique=True)):
        shas[name] = draw(SHAS)
        spec: dict[str, Any] = {"path": f"{draw(SHAS)}.onnx", "framework": "onnx", "sha": shas[name]}
        found.append(declared(draw, Key(Kind.MODEL, workspace, name), spec))
    for name in draw(st.lists(st.sampled_from(NAMES), unique=True)) if shas else []:
        models = draw(st.lists(st.sampled_from(sorted(shas)), min_size=1, unique=True))
        spec = {
            "deployed": draw(maybe(st.booleans())),
            "steps": [{"model": model} for model in models],
            "modelShas": {model: shas[model] for model in models},
        }
        found.append(declared(draw, Key(Kind.PIPELINE, workspace, name), spec, found))
    code = {name: draw(SHAS) for name in draw(st.lists(st.sampled_from(NAMES), unique=True))}
    for name, sha in code.items():
        found.append(declared(draw, Key(Kind.ORCHESTRATION, workspace, name), {"source": name, "sha": sha}))
    for name in draw(st.lists(st.sampled_from(NAMES), unique=True)) if code else []:
        found.append(declared(draw, Key(Kind.TASK, workspace, name), task_spec(draw, code), found))
    return found


def task_spec(draw: st.DrawFn, code: Mapping[str, str]) -> dict[str, Any]:
    orchestration = draw(st.sampled_from(sorted(code)))
    return {
        "orchestration": orchestration,
        "orchestrationSha": code[orchestration],
        "args": draw(SETTINGS),
        "env": draw(maybe(st.just({}))),
        "history": {"succeeded": draw(st.integers(0, 1))},
        "schedule": draw(maybe(st.fixed_dictionaries({"cron": st.sampled_from(["0 * * * *", "1 * * * *"])}))),
    }


def declared(draw: st.DrawFn, key: Key, spec: dict[str, Any], earlier: list[Resource] | None = None) -> Resource:
    """Some objects also depend on earlier ones by `dependsOn`: a pipeline or a task on whatever came before."""
    more = [draw(st.sampled_from(earlier)).key] if earlier and draw(st.booleans()) else []
    labels = draw(st.dictionaries(st.just("team"), st.sampled_from(["", "x"]), max_size=1))
    references = (*references_of(key, spec), *more)
    return Resource(key, spec, PLACE, labels=labels, protect=draw(PROTECT), references=references)


def applied(declared: list[Resource], state: Mapping[Key, Any], fate: RunState = RunState.SUCCESS) -> dict[Key, Any]:
    plan = plan_for(declared, state)
    seen: set[Key] = set()
    for step in plan.steps:
        assert {*step.depends_on, *step.after} <= seen
        assert not set(step.depends_on) & set(step.after)
        seen.add(step.key)
    return carried_out(plan, declared, state, fate_of_runs=fate)


def what_may_stay(key: Key, state: Mapping[Key, Any]) -> bool:
    """A protected object, and what it refers to, outlive their files."""
    return state[key].protect or any(
        what_may_stay(other, state) for other in state if key in references_of(other, state[other].spec)
    )


def what_counts(found: LiveObject) -> LiveObject:
    """Without what is never compared (where a model's file lay) or as good as absent: that may be out of date."""
    spec, applied = (comparable(found.key.kind, side, {}) for side in (found.spec, found.applied or {}))
    spec, applied = ({name: value for name, value in side.items() if not is_nothing(value)} for side in (spec, applied))
    return replace(found, spec=spec, applied=applied)


def what_waits(repository: list[Resource]) -> set[Key]:
    """The objects that can't go on where every run fails: what depends on a task, and what depends on that."""
    stuck = {one.key for one in repository if one.key.kind is Kind.TASK and is_run_once(one.spec)}
    waiting: set[Key] = set()
    while more := {one.key for one in repository if {*one.references} & (stuck | waiting)} - waiting:
        waiting |= more
    return waiting


@settings(max_examples=70, deadline=None)
@given(st.lists(repositories(), min_size=1, max_size=3), st.sampled_from([RunState.SUCCESS, RunState.FAILURE]))
def test_after_any_edits_applied_one_after_the_other_nothing_is_left_to_do(
    history: list[list[Resource]], fate: RunState
) -> None:
    state: dict[Key, Any] = {}
    for repository in history:
        state = applied(repository, state, fate)
    left = plan_for(history[-1], state)
    waiting = what_waits(history[-1]) if fate is RunState.FAILURE else set()
    for step in left.steps:
        if not (step.deletes and what_may_stay(step.key, state)) and not waiting.intersection(step.depends_on):
            assert step.key in waiting and step.blocked_by
    settled = [one for one in history[-1] if one.key not in waiting]
    assert left.unchanged == len(settled) + sum(one in state for one in waiting - {step.key for step in left.steps})
    for one in settled:
        assert what_counts(state[one.key]) == what_counts(replace(live_of(one), intents=state[one.key].intents))
        failed = one.key.kind is Kind.TASK and is_run_once(one.spec) and fate is RunState.FAILURE
        assert (one.key in {notice.key for notice in left.notices}) == failed


@settings(max_examples=30, deadline=None)
@given(st.lists(repositories(), min_size=2, max_size=3))
def test_an_order_is_carried_out_once_however_often_one_returns_to_it(history: list[list[Resource]]) -> None:
    """A run starts exactly where the intent was never carried out since the task was created."""
    state: dict[Key, Any] = {}
    for repository in [*history, *history]:
        plan = plan_for(repository, state)
        for one in repository:
            known = state[one.key].intents if one.key in state else {}
            wanted = intent_of(one.spec) if one.key.kind is Kind.TASK and is_run_once(one.spec) else ""
            started = [step.intent for step in plan.steps if step.key == one.key and step.intent]
            assert started == ([wanted] if wanted and wanted not in known else [])
        state = carried_out(plan, repository, state)


@settings(max_examples=30, deadline=None)
@given(repositories())
def test_destroying_leaves_only_what_is_protected_and_what_that_needs(repository: list[Resource]) -> None:
    state = applied(repository, {})
    plan = make_plan(emptied(desired(*repository)), state, {})
    after = carried_out(plan, [], state)
    assert set(after) == {key for key in state if what_may_stay(key, state)}


@settings(max_examples=30, deadline=None)
@given(repositories(), repositories(), st.data())
def test_neither_plan_nor_hash_depends_on_the_order_of_declarations(
    old: list[Resource], new: list[Resource], data: st.DataObject
) -> None:
    state = carried_out(plan_for(old, {}), old, {})
    plan = plan_for(new, state)
    shuffled_state = {key: state[key] for key in data.draw(st.permutations(sorted(state)))}
    again = plan_for(data.draw(st.permutations(new)), shuffled_state)
    assert again == plan
    assert with_steps(plan, data.draw(st.permutations(plan.steps))).hash == plan.hash


@settings(max_examples=30, deadline=None)
@given(repositories(), repositories())
def test_any_plan_is_read_back_as_it_was_written(old: list[Resource], new: list[Resource]) -> None:
    plan = plan_for(new, carried_out(plan_for(old, {}), old, {}))
    assert from_json(json.loads(json.dumps(to_json(plan)))) == plan


@settings(max_examples=30, deadline=None)
@given(repositories(), repositories(), st.sampled_from([None, SOMEBODY, Owner(OWNER.project, "prod")]))
def test_what_is_not_ours_is_never_touched(theirs: list[Resource], ours: list[Resource], owner: Owner | None) -> None:
    state = {one.key: live_of(one, owner=owner) for one in theirs}
    mine = [one for one in ours if one.key not in state]
    wanted = Desired(OWNER, {one.key: one for one in mine})
    touched = {step.key for step in make_plan(wanted, state, {}).steps}
    assert touched == {one.key for one in mine}


@settings(max_examples=30, deadline=None)
@given(repositories().filter(bool), st.data())
def test_an_edit_of_what_is_created_changes_the_hash_and_another_place_does_not(
    repository: list[Resource], data: st.DataObject
) -> None:
    plan = plan_for(repository, {})
    one = data.draw(st.sampled_from(repository))
    others = [other for other in repository if other is not one]
    assert plan_for([*others, replace(one, place=Place("elsewhere.yaml", 7))], {}).hash == plan.hash
    for edited in (replace(one, description="other"), replace(one, spec={**one.spec, "new": 1})):
        assert plan_for([*others, edited], {}).hash != plan.hash


def under_another_name(repository: list[Resource], old: Key) -> list[Resource]:
    """The same repository with one object under a new name that nothing else has."""
    moved = {old: old.named("renamed")}
    if old.kind is Kind.WORKSPACE:
        inside = (one.key for one in repository if one.key.workspace == old.name)
        moved |= {key: key.inside("renamed") for key in inside}
    return [
        replace(
            one,
            key=moved.get(one.key, one.key),
            spec=respelt(one.key, one.spec, moved),
            references=tuple(moved.get(key, key) for key in one.references),
            renamed_from=old if one.key == old else None,
        )
        for one in repository
    ]


@settings(max_examples=50, deadline=None)
@given(repositories().filter(bool), st.data())
def test_a_rename_is_one_step_that_makes_and_destroys_nothing_and_starts_no_run(
    repository: list[Resource], data: st.DataObject
) -> None:
    state = applied(repository, {})
    old = data.draw(st.sampled_from(repository)).key
    renamed = under_another_name(repository, old)
    (step,) = plan_for(renamed, state).steps
    assert (step.action, step.renamed_from, step.intent) == (Action.UPDATE, old, "")
    after = applied(renamed, state)
    assert {found.id for found in after.values()} == {found.id for found in state.values()}
    assert plan_for(renamed, after).steps == ()


@settings(max_examples=50, deadline=None)
@given(repositories().filter(bool), repositories(), st.data())
def test_a_rename_among_other_edits_settles_too(old: list[Resource], new: list[Resource], data: st.DataObject) -> None:
    state = applied(old, {})
    key = data.draw(st.sampled_from(old)).key
    wanted = under_another_name(new, key)
    state = applied(wanted, state)
    assert all(step.deletes and what_may_stay(step.key, state) for step in plan_for(wanted, state).steps)


@settings(max_examples=50, deadline=None)
@given(repositories(), repositories(), st.data())
def test_whatever_is_selected_can_be_carried_out_and_the_rest_after_it(
    old: list[Resource], new: list[Resource], data: st.DataObject
) -> None:
    state = applied(old, {})
    plan = plan_for(new, state)
    keys = data.draw(st.lists(st.sampled_from([step.key for step in plan.steps]))) if plan.steps else []
    part = selected(plan, desired(*new), keys)
    steps = {step.key: step for step in plan.steps}
    assert set(keys) <= {step.key for step in part.steps}
    for step in part.steps:
        assert step.depends_on == steps[step.key].depends_on
    between = carried_out(part, new, state)
    approval = compare(plan, plan_for(new, between), desired(*new))
    assert approval.left_out == ()
    after = carried_out(approval.plan, new, between)
    assert what_is_there(after) == what_is_there(carried_out(plan, new, state))


def what_is_there(state: Mapping[Key, LiveObject]) -> dict[Key, LiveObject]:
    return {key: what_counts(found) for key, found in state.items()}


@settings(max_examples=30, deadline=None)
@given(repositories(), st.data())
def test_what_somebody_else_removed_is_made_again_and_runs_nothing_twice(
    repository: list[Resource], data: st.DataObject
) -> None:
    state = applied(repository, {})
    lost = data.draw(st.lists(st.sampled_from(repository), unique_by=lambda one: one.key)) if repository else []
    for one in lost:
        state[one.key] = replace(state[one.key], spec={}, presence=Presence.MISSING)
    plan = plan_for(repository, state)
    assert {step.key for step in plan.drifted} == {step.key for step in plan.steps} == {one.key for one in lost}
    assert not any(step.intent for step in plan.steps)
    assert plan_for(repository, carried_out(plan, repository, state)).steps == ()
