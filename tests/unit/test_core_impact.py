from __future__ import annotations

from specrunner.core.impact import used_by, users, with_impact
from specrunner.core.keys import Key, Kind
from specrunner.core.resources import Resource
from tests.unit.core_samples import MODEL, PIPELINE, SCHEDULED, live, live_of, plan_for, resource, task, workspace

MODEL_M = resource(Kind.MODEL, "m", MODEL)
PIPELINES = [resource(Kind.PIPELINE, name, PIPELINE) for name in ("p", "q")]
CODE = resource(Kind.ORCHESTRATION, "code", {"sha": "a" * 64})
INPUTS = resource(Kind.CONNECTION, "inputs", {"type": "HTTP", "workspaces": ["w", "empty"]})


def told(key: Key, *declared: Resource) -> list[str]:
    return [str(user) for user in used_by(key, {one.key: one for one in declared})]


def test_a_model_is_used_by_the_pipelines_with_it_in_their_steps() -> None:
    other = resource(Kind.PIPELINE, "r", {"steps": [{"model": "n"}]})
    assert told(MODEL_M.key, MODEL_M, *PIPELINES, other) == ["Pipeline/w/p", "Pipeline/w/q"]


def test_an_orchestration_is_used_by_its_tasks() -> None:
    assert told(CODE.key, CODE, task(), task(SCHEDULED, "b")) == ["Task/w/b", "Task/w/nightly forecast"]


def test_a_connection_is_used_by_the_tasks_that_name_it_and_else_by_whole_workspaces() -> None:
    naming = task({**SCHEDULED, "args": {"deep": [{"connection": "inputs"}]}})
    assert told(INPUTS.key, INPUTS, workspace(), naming, task(SCHEDULED, "b")) == [
        "Workspace/empty",
        "Task/w/nightly forecast",
    ]
    assert told(INPUTS.key, INPUTS, workspace(), task(SCHEDULED, "b")) == ["Workspace/empty", "Workspace/w"]


def test_a_word_that_is_only_called_like_a_connection_of_elsewhere_is_no_use() -> None:
    elsewhere = resource(Kind.CONNECTION, "inputs", {"type": "HTTP", "workspaces": ["elsewhere"]})
    assert told(elsewhere.key, elsewhere, task({**SCHEDULED, "args": {"x": "inputs", "y": ""}})) == [
        "Workspace/elsewhere"
    ]


def test_an_object_that_refers_to_a_connection_uses_it() -> None:
    referring = resource(Kind.PIPELINE, "p", PIPELINE, depends_on=[INPUTS.key])
    assert told(INPUTS.key, INPUTS, referring) == ["Workspace/empty", "Pipeline/w/p"]


def test_what_nothing_uses_is_used_by_nothing_and_workspaces_are_not_told() -> None:
    found = users({one.key: one for one in (MODEL_M, workspace(), CODE)})
    assert found == {}


def test_a_plan_tells_it_for_what_is_changed_or_deleted_and_not_for_what_is_new() -> None:
    declared = [resource(Kind.MODEL, "m", {**MODEL, "sha": "c" * 64}), *PIPELINES, CODE, task(SCHEDULED), INPUTS]
    found = live(live_of(MODEL_M), live_of(resource(Kind.CONNECTION, "inputs", {**INPUTS.spec, "details": {"a": 1}})))
    plan = plan_for(declared, found)
    shown = with_impact(plan, {one.key: one for one in declared})
    assert {str(step.key): len(step.used_by) for step in shown.steps if step.used_by} == {
        "Model/w/m": 2,
        "Connection/inputs": 2,
    }
    assert shown.hash == plan.hash
