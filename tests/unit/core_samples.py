"""Small declared and live objects, and a model of a target that carries plans out as the port says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from specrunner.core.decide import NO_WISHES, Wishes, make_plan
from specrunner.core.errors import Place
from specrunner.core.fields import Action
from specrunner.core.keys import Key, Kind
from specrunner.core.lifecycle import RunState
from specrunner.core.plan import Plan, Step
from specrunner.core.renames import respelt
from specrunner.core.resources import Desired, Live, LiveObject, Owner, Presence, Resource, references_of

OWNER = Owner("forecasting", "staging")
SOMEBODY = Owner("billing", "prod")
PLACE = Place("specs.yaml", 3)
NOTHING: Mapping[Key, Mapping[str, str | None]] = {}

ORCHESTRATION_SHA = "a" * 64
RUN_ONCE: Mapping[str, Any] = {
    "orchestration": "code",
    "orchestrationSha": ORCHESTRATION_SHA,
    "args": {"rows": 10},
    "history": {"succeeded": 10, "failed": 10},
}
SCHEDULED = {**RUN_ONCE, "schedule": {"cron": "0 2 * * *", "timezone": "UTC"}}
MODEL = {"path": "models/m.onnx", "framework": "onnx", "sha": "b" * 64}
PIPELINE = {"deployed": True, "steps": [{"model": "m"}], "modelShas": {"m": "b" * 64}}


def resource(
    kind: Kind, name: str, spec: Mapping[str, Any] | None = None, depends_on: Iterable[Key] = (), **more: Any
) -> Resource:
    """A declared object of workspace `w`, with the references that its spec has and those of `depends_on`."""
    key = Key.of(kind, name, "w")
    references = (*references_of(key, spec or {}), *depends_on)
    return Resource(key, spec or {}, PLACE, references=references, **more)


def workspace(**more: Any) -> Resource:
    return resource(Kind.WORKSPACE, "w", **more)


def task(spec: Mapping[str, Any] = RUN_ONCE, name: str = "nightly forecast", **more: Any) -> Resource:
    return resource(Kind.TASK, name, spec, **more)


def live_of(declared: Resource, **more: Any) -> LiveObject:
    """The object as a target has it after this was applied."""
    found = LiveObject(
        key=declared.key,
        spec=declared.spec,
        id=f"id of {declared.key}",
        owner=OWNER,
        applied=declared.spec,
        protect=declared.protect,
        labels=declared.labels,
        description=declared.description,
    )
    return replace(found, **more)


def live(*objects: LiveObject) -> dict[Key, LiveObject]:
    return {found.key: found for found in objects}


def desired(*declared: Resource) -> Desired:
    return Desired(OWNER, {one.key: one for one in declared})


def plan_for(
    declared: Iterable[Resource],
    found: Live,
    fingerprints: Mapping[Key, Mapping[str, str | None]] = NOTHING,
    wishes: Wishes = NO_WISHES,
) -> Plan:
    return make_plan(desired(*declared), found, fingerprints, wishes)


def only_step(declared: Resource, found: LiveObject, **more: Any) -> Step:
    """The one step of a plan about one object."""
    (step,) = plan_for([declared], live(found), **more).steps
    return step


def carried_out(
    plan: Plan,
    declared: Iterable[Resource],
    found: Live,
    fingerprints: Mapping[Key, Mapping[str, str | None]] = NOTHING,
    fate_of_runs: RunState = RunState.SUCCESS,
) -> dict[Key, LiveObject]:
    """What is live after a plan, on a target that does what it is told and insists on the order.

    A put makes the object as declared, a run ends as `fate_of_runs`; what depends on one that did not succeed is not
    done, deleting excepted. Nothing is put before what it refers to is there, nothing deleted that something still
    refers to.
    """
    resources = {one.key: one for one in declared}
    state = dict(found)
    done: set[Key] = set()
    failed: set[Key] = set()
    for step in plan.steps:
        if step.blocked_by or not done >= set(step.depends_on):
            continue
        if failed.intersection(step.depends_on) and not step.deletes:
            continue
        if step.deletes:
            _delete(step.key, state)
        else:
            _put(step, resources[step.key], state, fingerprints.get(step.key, {}), fate_of_runs)
        done.add(step.key)
        if step.intent and fate_of_runs is not RunState.SUCCESS:
            failed.add(step.key)
    return state


def _delete(key: Key, state: dict[Key, LiveObject]) -> None:
    state.pop(key)
    for other in state.values():
        assert key not in references_of(other.key, other.spec), f"{other.key} still refers to {key}"


def _put(
    step: Step, declared: Resource, state: dict[Key, LiveObject], secrets: Mapping[str, str | None], fate: RunState
) -> None:
    missing = [key for key in declared.references if key not in state]
    assert not missing, f"{step.key} is put before {missing}"
    if step.renamed_from is not None:
        _rename(step.renamed_from, step.key, state)
    before = state.get(step.key)
    present = before is not None and before.presence is not Presence.LEAVING
    assert (before.fingerprint if before and present else "") == step.live, f"{step.key} is not as it was planned for"
    intents = {**(before.intents if before else {}), **({step.intent: str(fate)} if step.intent else {})}
    known = {path: value for path, value in secrets.items() if value is not None}
    kept = {"id": before.id} if before and step.action is not Action.REPLACE else {}
    state[step.key] = live_of(declared, secrets=known, intents=intents, **kept)


def _rename(old: Key, new: Key, state: dict[Key, LiveObject]) -> None:
    """As the port asks: what is in a workspace goes with it, and whoever named the object names it anew."""
    moved = {old: new}
    if old.kind is Kind.WORKSPACE:
        moved |= {key: key.inside(new.name) for key in state if key.workspace == old.name}
    for key in list(state):
        found = state.pop(key)
        applied = None if found.applied is None else respelt(key, found.applied, moved)
        state[moved.get(key, key)] = replace(
            found, key=moved.get(key, key), spec=respelt(key, found.spec, moved), applied=applied
        )
