from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from specrunner.core import order
from specrunner.core.errors import SpecrunnerError
from specrunner.core.fields import Action
from specrunner.core.keys import Key, Kind
from specrunner.core.plan import Plan, Step
from specrunner.core.resources import Live, Resource, references_of
from tests.unit.core_samples import (
    MODEL,
    PIPELINE,
    RUN_ONCE,
    SCHEDULED,
    live,
    live_of,
    plan_for,
    resource,
    task,
    workspace,
)

CODE = resource(Kind.ORCHESTRATION, "code", {"sha": "a" * 64})
SERVING = [resource(Kind.MODEL, "m", MODEL), resource(Kind.PIPELINE, "p", PIPELINE)]
INPUTS = resource(Kind.CONNECTION, "inputs", {"type": "HTTP", "workspaces": ["w"]})


def steps(declared: Iterable[Resource], found: Live | None = None) -> dict[str, Step]:
    plan = plan_for(declared, found or {})
    respects_its_edges(plan)
    return {str(step.key): step for step in plan.steps}


def respects_its_edges(plan: Plan) -> None:
    seen: set[Key] = set()
    for step in plan.steps:
        assert {*step.depends_on, *step.after} <= seen, step.key
        seen.add(step.key)


def keys(*found: Key) -> list[str]:
    return [str(key) for key in found]


def test_creates_follow_references_and_ties_follow_keys() -> None:
    found = list(steps([task(SCHEDULED), CODE, *SERVING, INPUTS, workspace()]))
    assert found == [
        "Workspace/w",
        "Connection/inputs",
        "Model/w/m",
        "Orchestration/w/code",
        "Pipeline/w/p",
        "Task/w/nightly forecast",
    ]


def test_a_step_depends_on_the_steps_of_what_it_refers_to() -> None:
    found = steps([task(SCHEDULED), CODE, workspace()])
    assert keys(*found["Task/w/nightly forecast"].depends_on) == ["Workspace/w", "Orchestration/w/code"]


def test_what_is_there_already_is_not_waited_for() -> None:
    found = steps([task(SCHEDULED), CODE, workspace()], live(live_of(CODE), live_of(workspace())))
    assert found["Task/w/nightly forecast"].depends_on == ()


def test_deletes_go_the_other_way() -> None:
    everything = [task(), CODE, *SERVING, INPUTS, workspace()]
    found = steps([], live(*map(live_of, everything)))
    assert list(found) == [
        "Connection/inputs",
        "Pipeline/w/p",
        "Task/w/nightly forecast",
        "Model/w/m",
        "Orchestration/w/code",
        "Workspace/w",
    ]
    assert keys(*found["Model/w/m"].depends_on) == ["Pipeline/w/p"]


def test_a_delete_waits_for_the_change_that_lets_go_of_it() -> None:
    shared = resource(Kind.PIPELINE, "p", {**PIPELINE, "steps": [{"model": "new"}]})
    old, new = SERVING[0], resource(Kind.MODEL, "new", MODEL)
    found = steps([shared, new, workspace()], live(*map(live_of, [*SERVING, workspace()])))
    assert list(found) == ["Model/w/new", "Pipeline/w/p", str(old.key)]
    assert keys(*found[str(old.key)].depends_on) == ["Pipeline/w/p"]


def test_a_delete_waits_for_a_connection_to_be_detached() -> None:
    detached = resource(Kind.CONNECTION, "inputs", {"type": "HTTP", "workspaces": []})
    found = steps([detached], live(live_of(INPUTS), live_of(workspace())))
    assert list(found) == ["Connection/inputs", "Workspace/w"]


def test_a_delete_waits_for_what_somebody_else_has_pointed_at_it() -> None:
    """The target would refuse to remove what is in use, whoever made it so."""
    other = resource(Kind.MODEL, "other", MODEL)
    pointed = live_of(SERVING[1], spec={**PIPELINE, "steps": [{"model": "other"}]})
    found = live(live_of(workspace()), live_of(SERVING[0]), live_of(other), pointed)
    assert keys(*steps([workspace(), *SERVING], found)["Model/w/other"].depends_on) == ["Pipeline/w/p"]
    assert keys(*steps([workspace(), SERVING[0]], found)["Model/w/other"].depends_on) == ["Pipeline/w/p"]


@pytest.mark.parametrize(
    "step",
    [
        {"model": "m"},
        {"model": "x", "shadow": ["m"]},
        {"split": [{"model": "x", "weight": 1}, {"model": "m", "weight": 1}]},
    ],
)
def test_every_way_to_name_a_model_is_a_reference(step: object) -> None:
    references = references_of(Key(Kind.PIPELINE, "w", "p"), {"steps": [step]})
    assert Key(Kind.MODEL, "w", "m") in references
    assert len(references) == len(set(references))


@pytest.mark.parametrize("kind", Kind)
def test_an_object_of_which_the_target_knows_little_still_has_references(kind: Kind) -> None:
    for spec in ({}, {"steps": None, "workspaces": None, "orchestration": None}):
        assert len(references_of(Key.of(kind, "x", "w"), spec)) == int(kind.in_workspace)


# Runs come after everything that their code may name.


def test_a_run_comes_after_its_workspace_s_steps_but_does_not_depend_on_them() -> None:
    found = steps([task(), CODE, *SERVING, INPUTS, workspace()])
    run = found["Task/w/nightly forecast"]
    assert list(found)[-1] == str(run.key)
    assert keys(*run.depends_on) == ["Workspace/w", "Orchestration/w/code"]
    assert keys(*run.after) == ["Connection/inputs", "Model/w/m", "Pipeline/w/p"]


def test_a_run_does_not_wait_for_other_workspaces_other_runs_or_deletes() -> None:
    other = Resource(Key(Kind.MODEL, "other", "m"), MODEL, workspace().place)
    elsewhere = resource(Kind.CONNECTION, "elsewhere", {"type": "HTTP", "workspaces": []})
    gone = live(live_of(resource(Kind.MODEL, "gone", MODEL)))
    found = steps([task(), task(name="second"), CODE, other, elsewhere], gone)
    assert keys(*found["Task/w/nightly forecast"].after) == []


def test_only_what_starts_a_run_waits_so() -> None:
    found = steps([task(SCHEDULED), CODE, *SERVING])
    assert found["Task/w/nightly forecast"].after == ()


def test_a_task_that_runs_again_waits_too() -> None:
    changed = task({**RUN_ONCE, "args": {}})
    found = steps([changed, *SERVING], live(live_of(task())))
    assert keys(*found["Task/w/nightly forecast"].after) == ["Model/w/m", "Pipeline/w/p"]


def test_a_delete_and_a_run_never_wait_for_each_other_in_a_circle() -> None:
    """The run of a task that leaves its old code comes before the old code goes."""
    moved = task({**RUN_ONCE, "orchestration": "newer"})
    newer = resource(Kind.ORCHESTRATION, "newer", {"sha": "b" * 64})
    found = steps([moved, newer, workspace()], live(*map(live_of, [task(), CODE, *SERVING, workspace()])))
    assert keys(*found["Orchestration/w/code"].depends_on) == ["Task/w/nightly forecast"]
    assert list(found).index("Orchestration/w/code") > list(found).index("Task/w/nightly forecast")


def test_what_waits_for_a_run_is_not_waited_for_by_that_run() -> None:
    prepare = task(name="prepare the data")
    after = resource(Kind.PIPELINE, "p", PIPELINE, depends_on=[prepare.key])
    found = steps([prepare, after, SERVING[0], CODE])
    assert keys(*found["Task/w/prepare the data"].after) == ["Model/w/m"]
    assert keys(*found["Pipeline/w/p"].depends_on) == ["Model/w/m", "Task/w/prepare the data"]


def test_runs_in_rounds_wait_for_the_rounds_before() -> None:
    first, second = task(name="first"), task(name="second")
    served = resource(Kind.PIPELINE, "p", PIPELINE, depends_on=[first.key])
    other = resource(Kind.PIPELINE, "q", PIPELINE, depends_on=[second.key])
    last = task(name="last", depends_on=[served.key])
    found = steps([first, second, last, served, other, SERVING[0], CODE])
    assert keys(*found["Task/w/first"].after) == keys(*found["Task/w/second"].after) == ["Model/w/m"]
    assert keys(*found["Task/w/last"].after) == ["Model/w/m", "Pipeline/w/q"]


def test_a_cycle_is_an_error_that_names_its_members() -> None:
    one, other = Key(Kind.MODEL, "w", "one"), Key(Kind.MODEL, "w", "other")
    circle = [
        resource(Kind.MODEL, "one", MODEL, depends_on=[other]),
        resource(Kind.MODEL, "other", MODEL, depends_on=[one]),
    ]
    with pytest.raises(SpecrunnerError, match=r"Model/w/one.*→.*Model/w/other|Model/w/other.*→.*Model/w/one") as cycle:
        steps(circle)
    assert "dependsOn" in cycle.value.remedy


def test_nothing_is_looked_at_once_per_pair(monkeypatch: pytest.MonkeyPatch) -> None:
    """Destroying n objects looks at the references of n objects, not of n squared."""
    calls = 0

    def counted(key: Key, spec: object) -> tuple[Key, ...]:
        nonlocal calls
        calls += 1
        return references_of(key, spec)  # type: ignore[arg-type]

    monkeypatch.setattr(order, "references_of", counted)
    models = [resource(Kind.MODEL, f"m{number}", MODEL) for number in range(200)]
    steps([], live(*map(live_of, [*models, workspace()])))
    assert calls == 201


def test_a_delete_that_is_carried_out_by_replacing_follows_references_as_a_change_does() -> None:
    old = resource(Kind.CONNECTION, "inputs", {"type": "FTP", "workspaces": []})
    found = steps([INPUTS, workspace()], live(live_of(old)))
    assert found["Connection/inputs"].action is Action.REPLACE
    assert keys(*found["Connection/inputs"].depends_on) == ["Workspace/w"]


def many(runs: int, others: int) -> list[Resource]:
    first, second = (
        task(name="first"),
        resource(Kind.MODEL, "after the first", MODEL, depends_on=[task(name="first").key]),
    )
    last = [task(name=f"t{number}", depends_on=[second.key]) for number in range(runs)]
    everywhere = [resource(Kind.CONNECTION, f"c{n}", {"type": "A", "workspaces": ["w", "v"]}) for n in range(others)]
    elsewhere = [replace(one, key=one.key.inside("v")) for one in (task(name="v1"), task(name="v2"))]
    return [first, second, *last, *everywhere, *elsewhere, CODE]


@pytest.mark.parametrize("runs", [2, 60])
def test_every_run_comes_after_all_that_its_code_may_name_however_many_there_are(runs: int) -> None:
    declared = many(runs, 30)
    found = steps(declared)
    before: dict[Key, set[Key]] = {}
    for step in found.values():
        direct = {*step.depends_on, *step.after}
        before[step.key] = direct.union(*(before[key] for key in direct))
    connections = {one.key for one in declared if one.key.kind is Kind.CONNECTION}
    assert all(connections <= before[step.key] for step in found.values() if step.intent)
    assert sum(len(step.after) for step in found.values()) < 400


def test_the_edges_between_many_runs_and_many_steps_grow_as_the_steps_do() -> None:
    edges = [sum(len(step.after) for step in steps(many(size, size)).values()) for size in (100, 200, 400)]
    assert edges[2] < 5 * edges[0]


def test_some_steps_of_a_plan_keep_their_order_and_lose_what_led_elsewhere() -> None:
    declared = many(60, 30)
    plan = plan_for(declared, {})
    some = [step for number, step in enumerate(plan.steps) if number % 3]
    again = order.reordered(some, {one.key: one for one in declared})
    assert {step.key for step in again} == {step.key for step in some}
    respects_its_edges(replace(plan, steps=again))
