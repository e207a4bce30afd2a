"""The JSON Schemas of the manifest kinds: found in the wheel and in a checkout, compiled when first used.

`schemas/` is the public contract; nothing about the shape of a document is written a second time in code.
jsonschema-rs gives the verdict on every document, jsonschema explains the few that failed.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Final, Protocol

from specrunner.core.errors import SpecrunnerError
from specrunner.core.keys import Kind
from specrunner.core.values import Json, JsonObject

API_VERSION: Final = "specrunner/v1"
PROJECT: Final = "Project"
KINDS: Final = (PROJECT, *(str(kind) for kind in Kind))


class Verdict(Protocol):
    """Says whether a value fits a schema, quickly."""

    def is_valid(self, instance: Json) -> bool:
        """Whether the value fits."""


def schema_files() -> dict[str, bytes]:
    """Every schema file by name, as shipped. Raises SpecrunnerError where the installation has none."""
    return {path.name: path.read_bytes() for path in sorted(_folder().glob("*.schema.json"))}


@functools.cache
def schema_of(kind: str) -> JsonObject:
    """The schema of a kind with its references replaced by what they refer to.

    The name of the definition stays as `x-def`: a reader tells by it that a text is a `duration` or a `size`.
    """
    document = json.loads((_folder() / f"{kind.lower()}.schema.json").read_bytes())
    common = json.loads((_folder() / "common.schema.json").read_bytes())["$defs"]
    expanded: JsonObject = _expanded(document, common)
    return expanded


@functools.cache
def verdict(kind: str) -> Verdict:
    """The compiled schema of a kind."""
    import jsonschema_rs  # loaded where first used: `--help` validates nothing

    validator: Verdict = jsonschema_rs.validator_for(dict(schema_of(kind)))
    return validator


def property_schema(schema: JsonObject, name: str) -> JsonObject | None:
    """The schema of a key of a mapping, fixed or free; None where the schema does not say."""
    found: JsonObject | None = schema.get("properties", {}).get(name)
    if found is None:
        free = schema.get("additionalProperties")
        found = free if isinstance(free, dict) else None
    return found


def _expanded(schema: Json, common: JsonObject) -> Json:
    if isinstance(schema, list):
        return [_expanded(item, common) for item in schema]
    if not isinstance(schema, dict):
        return schema
    rest = {name: _expanded(value, common) for name, value in schema.items() if name != "$ref"}
    if "$ref" not in schema or not isinstance(schema["$ref"], str):
        return rest
    name = schema["$ref"].rsplit("/", 1)[-1]
    return {**_expanded(common[name], common), **rest, "x-def": name}


@functools.cache
def _folder() -> Path:
    """The wheel carries the schemas inside the package, a checkout at the top of the repository."""
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "schemas", package.parent / "schemas"):
        if (folder / "common.schema.json").is_file():
            return folder
    raise SpecrunnerError(
        "the schemas are missing", f"They are neither in {package} nor beside it.", "Install specrunner anew."
    )
