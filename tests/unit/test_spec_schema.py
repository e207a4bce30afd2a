"""The schema files: complete, described, and the same for both validators."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from specrunner.spec.explain import explain
from specrunner.spec.normalise import completed
from specrunner.spec.schema import KINDS, schema_files, schema_of, verdict

NAMES = [f"{kind.lower()}.schema.json" for kind in KINDS]


def fields(schema: Any, trail: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every declared property, with its dotted path."""
    for name, part in schema.get("properties", {}).items():
        yield f"{trail}.{name}", part
        yield from fields(part, f"{trail}.{name}")
    for inner in ("items", "additionalProperties"):
        if isinstance(schema.get(inner), dict):
            yield from fields(schema[inner], f"{trail}[]")


def test_every_kind_has_a_file_that_is_valid_draft_2020_12() -> None:
    files = schema_files()
    assert {*NAMES, "common.schema.json"} <= set(files)
    for name in NAMES:
        schema = json.loads(files[name])
        Draft202012Validator.check_schema(schema)
        assert schema["$id"] == f"https://specrunner.dev/schemas/v1/{name}"


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_is_described_and_every_fixed_mapping_closed(kind: str) -> None:
    for path, schema in fields(schema_of(kind)):
        assert schema.get("description"), path
        assert "properties" not in schema or schema["additionalProperties"] is False, path


@pytest.mark.parametrize("kind", KINDS)
def test_every_example_and_default_fits_its_own_schema(kind: str) -> None:
    for path, schema in fields(schema_of(kind)):
        for value in [*schema.get("examples", []), *([schema["default"]] if "default" in schema else [])]:
            assert Draft202012Validator(schema).is_valid(value), (path, value)


@pytest.mark.parametrize("name", [" a", "a ", "a\n", "", "a/b", "x" * 129, "a\x00b"])
def test_what_the_verdict_refuses_is_explained_at_its_place(name: str) -> None:
    value = {"apiVersion": "specrunner/v1", "kind": "Workspace", "metadata": {"name": name}}
    assert not verdict("Workspace").is_valid(value)
    assert [finding.trail for finding in explain(value, "Workspace")][:1] == [("metadata", "name")]


@pytest.mark.parametrize("name", ["a", "a b", "é", "x" * 128, "_a-1"])
def test_printable_names_are_accepted(name: str) -> None:
    value = {"apiVersion": "specrunner/v1", "kind": "Workspace", "metadata": {"name": name}}
    assert verdict("Workspace").is_valid(value)


def test_defaults_are_filled_in_recursively_and_are_nobody_elses() -> None:
    document = {"metadata": {"name": "t"}, "spec": {"orchestration": "o", "retries": {}}}
    first, second = completed(document, "Task"), completed(document, "Task")
    assert first["spec"]["retries"] == {"limit": 0, "backoff": 30}
    first["spec"]["args"]["x"] = 1
    assert second["spec"]["args"] == {}
    assert document["spec"] == {"orchestration": "o", "retries": {}}
