"""Small declared and live objects, and a model of a target that carries plans out as the port says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from specrunner.core.decide import NO_WISHES, Wishes, make_plan
from specrunner.core.errors import Place
from specrunner.core.keys import Key, Kind
from specrunner.core.lifecycle import RunState
from specrunner.core.plan import Plan, Step
from specrunner.core.resources import Desired, Live, LiveObject, Owner, Resource, references_of

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

    A put makes the object as declared, a run ends as `fate_of_runs`. Nothing is put before what it refers to
    is there, nothing deleted that something still refers to.
    """
    resources = {one.key: one for one in declared}
    state = dict(found)
    done: set[Key] = set()
    for step in plan.steps:
        if step.blocked_by or not done >= set(step.depends_on):
            continue
        if step.deletes:
            _delete(step.key, state)
        else:
            _put(step, resources[step.key], state, fingerprints.get(step.key, {}), fate_of_runs)
        done.add(step.key)
    return state


def _delete(key: Key, state: dict[Key, LiveObject]) -> None:
    del state[key]
    for other in state.values():
        assert key not in references_of(other.key, other.spec), f"{other.key} still refers to {key}"


def _put(
    step: Step, declared: Resource, state: dict[Key, LiveObject], secrets: Mapping[str, str | None], fate: RunState
) -> None:
    missing = [key for key in declared.references if key not in state]
    assert not missing, f"{step.key} is put before {missing}"
    before = state.get(step.key)
    intents = {**(before.intents if before else {}), **({step.intent: str(fate)} if step.intent else {})}
    known = {path: value for path, value in secrets.items() if value is not None}
    state[step.key] = live_of(declared, secrets=known, intents=intents)
