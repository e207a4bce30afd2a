"""Values and schemas in the words of messages: what stands there, and what to write instead."""

from __future__ import annotations

import json
from typing import Final

from specrunner.core.values import Json, JsonObject
from specrunner.spec.findings import Trail, dotted

NOUNS: Final = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "object": "a mapping",
    "array": "a list",
    "null": "nothing",
}


def shown(value: Json) -> str:
    """What stands there, in words."""
    noun = NOUNS[type_of(value)]
    if value is None:
        return "nothing: an empty value, `~` and `null` mean that"
    if isinstance(value, dict | list):
        return noun
    return f"the {noun.removeprefix('a whole ').removeprefix('a ')} {written(value)}"


def written(value: Json) -> str:
    """A value in a sentence, cut where it is long."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 80 else f"{text[:79]}…"


def sentence(words: str) -> str:
    """A sentence begins with a capital."""
    return f"{words[0].upper()}{words[1:]}"


def named(trail: Trail) -> str:
    """What a message calls the value at a trail."""
    return f"`{dotted(trail)}`" if trail else "the document"


def write(trail: Trail, schema: JsonObject) -> str:
    """What to write instead, from the schema's example."""
    return f"Write for instance `{prefix_of(trail)}{example_of(schema)}`."


def prefix_of(trail: Trail) -> str:
    """The key before a value, where it stands behind one."""
    return f"{trail[-1]}: " if trail and isinstance(trail[-1], str) else ""


def example_of(schema: JsonObject) -> str:
    """A value to write, from the schema's own examples."""
    if schema.get("examples"):
        return flow(schema["examples"][0])
    if "default" in schema:
        return flow(schema["default"])
    if schema.get("enum"):
        return str(schema["enum"][0])
    if schema.get("required"):
        parts = [f"{name}: {example_of(schema.get('properties', {}).get(name, {}))}" for name in schema["required"]]
        return f"{{{', '.join(parts)}}}"
    kind = next(iter(kinds_of(schema)), "string")
    return {"object": "{…}", "array": "[…]", "integer": "1", "number": "1", "boolean": "true"}.get(kind, "…")


def flow(value: Json) -> str:
    """A value as people write it in YAML, in one line."""
    import yaml  # a document has failed: it is loaded long since

    if isinstance(value, str):
        return value
    text: str = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, sort_keys=False, width=10_000)
    return text.removesuffix("\n").removesuffix("\n...")


def purpose_of(schema: JsonObject) -> str:
    """What the schema says a field is for."""
    return str(schema.get("description", ""))


def kinds_of(schema: JsonObject) -> list[str]:
    """The types that a schema allows."""
    wanted = schema.get("type", [])
    return [wanted] if isinstance(wanted, str) else list(wanted)


def type_of(value: Json) -> str:
    """The JSON type of a value."""
    if isinstance(value, bool):
        return "boolean"
    names = ((str, "string"), (int, "integer"), (float, "number"), (dict, "object"), (list, "array"))
    return next((name for kind, name in names if isinstance(value, kind)), "null")
