"""JSON for scripts, and the status files, each against its schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from specrunner.controller.memory import Standing
from specrunner.core.fields import Action
from specrunner.core.lifecycle import OrchestrationState, Reason, RunState, TaskState
from specrunner.core.outcome import Fate
from specrunner.targets.base import SUSPENDED
from tests.acceptance import samples
from tests.acceptance.spec_repo import CHECKOUT, SpecRepo

SCHEMAS = CHECKOUT / "schemas"


def validator(name: str) -> Draft202012Validator:
    schema = json.loads((SCHEMAS / f"{name}.schema.json").read_bytes())
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def everything(repo: SpecRepo) -> None:
    """One object of every kind, a run that succeeds and one that does not."""
    repo.write_bytes("model.onnx", samples.model())
    repo.document("Model", "small", {"path": "model.onnx", "framework": "onnx"})
    repo.document("Pipeline", "small", {"deployed": True, "steps": [{"model": "small"}]})
    details = {"type": "HTTP", "workspaces": ["lab"], "details": {"host": "localhost"}}
    repo.document("Connection", "inputs", details)
    repo.orchestration("idle", "print('hello')")
    repo.orchestration("raises", "raise SystemExit(3)")
    repo.document("Task", "good", {"orchestration": "idle", "args": {"n": 1}}, labels={"team": "a"}, protect=True)
    repo.task("bad", "raises")
    repo.task("nightly", "idle", schedule="0 2 * * *")


def test_json_of_every_command_and_the_status_files(repo: SpecRepo) -> None:
    everything(repo)
    plan_schema, status_schema = validator("plan"), validator("status")
    assert repo.run("validate", "--json").json["resources"]["Task"] == 3
    plan = repo.run("plan", "--json").json
    plan_schema.validate(plan)
    outcome = repo.run("apply", "--yes", "--json", code=6).json
    plan_schema.validate(outcome["plan"])
    assert outcome["exit_code"] == 6
    assert outcome["plan"]["hash"] == plan["hash"]
    assert {run["status"] for run in repo.run("runs", "--json").json} == {"success", "failure"}
    assert len(repo.run("status", "--json").json["objects"]) == 9
    repo.task("bad", "raises", args={"n": 2})
    plan_schema.validate(repo.run("plan", "--json").json)

    files = repo.status_files("**/*.yaml")
    assert {content["kind"] for content in files.values()} == {
        "WorkspaceStatus",
        "ConnectionStatus",
        "ModelStatus",
        "PipelineStatus",
        "OrchestrationStatus",
        "TaskStatus",
        "RunStatus",
        "ApplyStatus",
    }
    for content in files.values():
        status_schema.validate(content)

    destroyed = repo.run("destroy", "--yes", "--json", code=3).json  # one task is protected, and what it needs stays
    plan_schema.validate(destroyed["plan"])
    for content in repo.status_files("applies/*.yaml").values():
        status_schema.validate(content)


def test_errors_are_json_too(repo: SpecRepo) -> None:
    repo.task("lost", "nothing")
    [problem] = repo.run("validate", "--json", code=1).json["problems"]
    assert problem["place"]["file"] == "task-lost.yaml"
    assert repo.run("plan", "--json", code=1).json["problems"] == [problem]
    assert repo.run("apply", "--yes", "--json", code=1).json["problems"] == [problem]
    assert repo.run("apply", "--yes", "--json", "--no-such", code=64).err


def described(schema: Any, path: str = "") -> list[str]:
    """Properties without a description, and mappings that are neither closed nor free on purpose."""
    if not isinstance(schema, dict):
        return []
    found = []
    for name, part in schema.get("properties", {}).items():
        if "description" not in part:
            found.append(f"{path}.{name} is not described")
        found += described(part, f"{path}.{name}")
    if "properties" in schema and schema.get("additionalProperties") is not False:
        found.append(f"{path} is open")
    for name in ("items", "additionalProperties"):
        found += described(schema.get(name), f"{path}[]")
    for name, part in schema.get("$defs", {}).items():
        found += described(part, f"{path}#{name}")
    return found


def test_the_status_schema_knows_every_word_of_core() -> None:
    definitions = json.loads((SCHEMAS / "status.schema.json").read_bytes())["$defs"]
    step, task = definitions["step"]["properties"], definitions["TaskStatus"]["properties"]
    controller = definitions["ControllerStatus"]["properties"]
    orchestration = definitions["OrchestrationStatus"]["properties"]
    for words, enum in (
        (definitions["runState"], RunState),
        (definitions["reason"], Reason),
        (step["action"], Action),
        (step["fate"], Fate),
        (task["state"], [*TaskState, SUSPENDED]),
        (orchestration["state"], OrchestrationState),
        (controller["standing"], Standing),
    ):
        assert words["enum"] == [str(word) for word in enum]


def test_the_status_schema_describes_every_field_and_is_closed() -> None:
    schema = json.loads((SCHEMAS / "status.schema.json").read_bytes())
    assert schema["$id"] == "https://specrunner.dev/schemas/v1/status.schema.json"
    assert not described(schema)


@pytest.mark.parametrize("change", [{"kind": "OtherStatus"}, {"surprise": 1}, {"id": None}, {"applied": "text"}])
def test_the_status_schema_refuses_what_is_no_status(change: dict[str, Any]) -> None:
    good = {
        "apiVersion": "specrunner/v1",
        "kind": "WorkspaceStatus",
        "key": "Workspace/lab",
        "id": "1",
        "state": "ready",
        "owner": "acceptance/default",
        "specHash": "0" * 64,
        "applied": {},
    }
    assert validator("status").is_valid(good)
    assert not validator("status").is_valid({**good, **change})


def test_the_schemas_ship_with_the_command(repo: SpecRepo, tmp_path: Path) -> None:
    repo.run("schema", "--out", str(tmp_path / "out"))
    assert (tmp_path / "out" / "status.schema.json").read_bytes() == (SCHEMAS / "status.schema.json").read_bytes()
