from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from specrunner.core.decide import Wishes
from specrunner.core.diff import FieldChange
from specrunner.core.errors import SpecrunnerError
from specrunner.core.fields import Action
from specrunner.core.keys import Key, Kind
from specrunner.core.plan import (
    VERSION,
    Edit,
    FileChange,
    Fires,
    Notice,
    Plan,
    Step,
    from_json,
    to_json,
    with_steps,
)
from specrunner.core.resources import Presence, intent_of
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

SCHEMA = json.loads((Path(__file__).parents[2] / "schemas" / "plan.schema.json").read_text("utf-8"))
VALIDATOR = Draft202012Validator(SCHEMA)
CODE = resource(Kind.ORCHESTRATION, "code", {"sha": "a" * 64})


def varied_plan() -> Plan:
    """A plan with every field of the format in use."""
    pipeline = resource(Kind.PIPELINE, "p", PIPELINE)
    failed = task(name="it failed")
    secret = resource(
        Kind.CONNECTION, "inputs", {"type": "HTTP", "detailsFrom": {"env": "X"}}, secrets={"detailsFrom": {"env": "X"}}
    )
    declared = [
        workspace(),
        CODE,
        task(),
        failed,
        secret,
        resource(Kind.MODEL, "m", {**MODEL, "sha": "c" * 64}),
        resource(Kind.PIPELINE, "p", {**PIPELINE, "steps": []}),
        resource(Kind.CONNECTION, "free", {"type": "A"}),
    ]
    found = live(
        live_of(workspace()),
        live_of(secret, secrets={"detailsFrom": "f1"}),
        live_of(resource(Kind.MODEL, "m", MODEL)),
        live_of(pipeline, spec={**PIPELINE, "deployed": False, "steps": [{"model": "theirs"}]}),
        live_of(resource(Kind.CONNECTION, "free", {"type": "B"}), owner=None, applied=None),
        live_of(failed, intents={intent_of(RUN_ONCE): "failure"}),
        live_of(task(SCHEDULED, name="gone"), protect=True),
        live_of(resource(Kind.MODEL, "removed", MODEL), presence=Presence.MISSING),
        live_of(resource(Kind.MODEL, "old name", MODEL)),
    )
    renamed = resource(Kind.MODEL, "new name", MODEL, renamed_from=Key(Kind.MODEL, "w", "old name"))
    plan = plan_for([*declared, renamed], found, {secret.key: {"detailsFrom": "f2"}})
    previewed = replace(
        plan.steps[-1],
        used_by=(secret.key, pipeline.key),
        fires=Fires(("2026-07-01T02:00:00Z",), ()),
        files=(FileChange("main.py", Edit.CHANGED, ("-a", "+b")), FileChange("a.bin", Edit.ADDED)),
    )
    steps = (*plan.steps[:-1], previewed)
    return replace(plan, steps=steps, commit="4b825dc", target={"server": "${vars.url}"}, restores=(failed.key,))


def test_the_varied_plan_uses_every_field_that_there_is() -> None:
    data = to_json(varied_plan())
    assert {name for step in data["steps"] for name in step} == {field.name for field in fields(Step)}
    changed = [change for step in data["steps"] for change in step.get("changes", ())]
    assert {name for change in changed for name in change} == {field.name for field in fields(FieldChange)}
    assert data["notices"]
    assert set(data) == {field.name for field in fields(Plan)} | {"hash"}


def test_a_plan_is_read_back_as_it_was_written() -> None:
    plan = varied_plan()
    assert from_json(json.loads(json.dumps(to_json(plan)))) == plan
    empty = plan_for([], {})
    assert from_json(to_json(empty)) == empty


def test_the_same_plan_is_always_the_same_json() -> None:
    assert json.dumps(to_json(varied_plan())) == json.dumps(to_json(varied_plan()))


# The schema and the reader agree.


def test_the_schema_is_valid_and_describes_every_field_and_closes_every_object() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$id"] == "https://specrunner.dev/schemas/v1/plan.schema.json"
    for shape in (SCHEMA, *(part for part in SCHEMA["$defs"].values() if part.get("type") == "object")):
        assert shape["additionalProperties"] is False
        assert all(part.get("description") for part in shape["properties"].values())


@pytest.mark.parametrize(
    ("shape", "record"),
    [("step", Step), ("change", FieldChange), ("notice", Notice), ("fires", Fires), ("file", FileChange)],
)
def test_the_schema_knows_exactly_the_fields_of_the_records(shape: str, record: type[Any]) -> None:
    assert set(SCHEMA["$defs"][shape]["properties"]) == {field.name for field in fields(record)}
    assert set(SCHEMA["properties"]) == {field.name for field in fields(Plan)} | {"hash"}


def test_the_schema_knows_exactly_the_actions_and_the_version() -> None:
    assert SCHEMA["$defs"]["action"]["enum"] == [str(action) for action in Action]
    assert SCHEMA["properties"]["version"]["const"] == VERSION


def test_real_plans_fit_the_schema() -> None:
    everything = live(live_of(workspace()), live_of(CODE))
    for plan in (
        varied_plan(),
        plan_for([], {}),
        plan_for([], everything),
        plan_for([task(), CODE, workspace()], {}),
        plan_for([], everything, wishes=Wishes(destroy=False)),
    ):
        VALIDATOR.validate(json.loads(json.dumps(to_json(plan))))


def places_of(data: Any) -> list[dict[str, Any]]:
    """Every object of the plan's JSON whose fields are fixed."""
    changed = [change for step in data["steps"] for change in step.get("changes", ())]
    fires = [step["fires"] for step in data["steps"] if "fires" in step]
    files = [file for step in data["steps"] for file in step.get("files", ())]
    return [data, *data["steps"], *changed, *data["notices"], *fires, *files]


PLACES = range(len(places_of(to_json(varied_plan()))))


@pytest.mark.parametrize("place", PLACES)
def test_an_unknown_field_is_refused_by_schema_and_reader(place: int) -> None:
    data = json.loads(json.dumps(to_json(varied_plan())))
    places_of(data)[place]["surprise"] = 1
    assert not VALIDATOR.is_valid(data)
    with pytest.raises(SpecrunnerError, match="fields that version 1 does not know: surprise") as refused:
        from_json(data)
    assert "specrunner plan" in refused.value.remedy


@pytest.mark.parametrize("place", PLACES)
def test_a_field_of_another_type_is_refused_in_words_by_schema_and_reader(place: int) -> None:
    data = json.loads(json.dumps(to_json(varied_plan())))
    for name in [*places_of(data)[place]]:
        if name in {"old", "new", "target"} or (name == "live" and "path" in places_of(data)[place]):
            continue  # any value will do
        spoilt = json.loads(json.dumps(data))
        places_of(spoilt)[place][name] = [[5]]
        assert not VALIDATOR.is_valid(spoilt), name
        with pytest.raises(SpecrunnerError):
            from_json(spoilt)


@pytest.mark.parametrize("place", PLACES)
def test_a_required_field_that_is_missing_is_refused_in_words(place: int) -> None:
    data = json.loads(json.dumps(to_json(varied_plan())))
    for name in (
        "key",
        "action",
        "reason",
        "path",
        "project",
        "environment",
        "target",
        "hash",
        "steps",
        "notices",
        "version",
        "text",
        "restores",
        "before",
        "after",
        "edit",
    ):
        if name in places_of(data)[place] and (name != "after" or "before" in places_of(data)[place]):
            lacking = json.loads(json.dumps(data))
            del places_of(lacking)[place][name]
            assert not VALIDATOR.is_valid(lacking)
            with pytest.raises(SpecrunnerError, match=f"'{name}'|version None"):
                from_json(lacking)


@pytest.mark.parametrize("version", [0, 2, "1", None, True, 1.0, [1]])
def test_another_version_is_refused_naming_both(version: Any) -> None:
    with pytest.raises(SpecrunnerError, match=r"has version .*; this specrunner reads version 1") as refused:
        from_json({**to_json(varied_plan()), "version": version, "and": "more"})
    assert repr(version) in refused.value.summary


@pytest.mark.parametrize("data", [[], "plan", None, 5])
def test_what_is_no_plan_at_all_is_refused_in_words(data: Any) -> None:
    with pytest.raises(SpecrunnerError, match="version"):
        from_json(data)


@pytest.mark.parametrize(
    "change",
    [
        {"action": "delete"},
        {"key": "Task/w/another"},
        {"changes": []},
        {"intent": "0" * 64},
        {"declared": "0" * 64},
        {"blocked_by": "a rule"},
    ],
)
def test_a_plan_that_was_tampered_with_is_refused(change: dict[str, Any]) -> None:
    data = to_json(plan_for([workspace(), task({**RUN_ONCE, "args": {}}), CODE], live(live_of(task()), live_of(CODE))))
    assert [step["key"] for step in data["steps"]] == ["Workspace/w", "Task/w/nightly forecast"]
    data["steps"][1] |= change
    with pytest.raises(SpecrunnerError, match="changed after it was written"):
        from_json(data)


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ({"depends_on": ["Task/w/nowhere"]}, "Workspace/w waits for Task/w/nowhere, which is no step before it."),
        ({"after": ["Task/w/nightly forecast"]}, "Workspace/w waits for Task/w/nightly forecast, which is no step"),
        ({"depends_on": ["Workspace/w"]}, "Workspace/w waits for Workspace/w"),
    ],
)
def test_a_plan_whose_steps_wait_for_no_earlier_step_is_refused(step: dict[str, Any], words: str) -> None:
    data = to_json(plan_for([workspace(), task(), CODE], {}))
    data["steps"][0] |= step
    with pytest.raises(SpecrunnerError, match="in no order that can be carried out") as refused:
        from_json(data)
    assert refused.value.detail.startswith(words)


def test_a_plan_with_a_step_twice_is_refused() -> None:
    plan = plan_for([workspace()], {})
    with pytest.raises(SpecrunnerError) as refused:
        from_json(to_json(with_steps(plan, plan.steps * 2)))
    assert refused.value.detail == "Workspace/w is there twice."


def test_a_step_that_was_taken_out_is_noticed() -> None:
    data = to_json(varied_plan())
    with pytest.raises(SpecrunnerError, match="changed after it was written"):
        from_json({**data, "steps": data["steps"][1:]})
