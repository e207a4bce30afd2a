"""The reference of our own API: a page made from its OpenAPI document, and from nothing else.

`specrunner serve` gives the document under `/v1/specrunner/openapi.json`;
`python -m specrunner.report.reference_api openapi.json docs/reference/api.md` writes the page, and a test holds it
against the routes.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from specrunner.core.values import Json, JsonObject, canonical

_COMMAND: Final = "python -m specrunner.report.reference_api openapi.json docs/reference/api.md"
NOTICE: Final = f"<!-- Made by `{_COMMAND}`: edit the operations. -->"
_PREFIX: Final = "/v1/specrunner/"
_METHODS: Final = ("get", "put", "post", "delete")
_OTHERS: Final = "the server itself"


def page(document: JsonObject) -> str:
    """The Markdown page of an OpenAPI document."""
    return "\n".join(_lines(document)) + "\n"


def _lines(document: Any) -> Iterator[str]:
    yield from (NOTICE, "", "# The API of a server", "", document["info"]["description"], "")
    yield from ("Errors are answered as [Fault](#fault). The scopes of tokens: [docs/server.md](../server.md).", "")
    found = [
        (path, method, operations[method])
        for path, operations in document["paths"].items()
        for method in _METHODS
        if method in operations
    ]
    for group, operations in groupby(sorted(found, key=lambda one: _group(one[0])), key=lambda one: _group(one[0])):
        yield from (f"## {group.capitalize()}", "")
        for path, method, operation in operations:
            yield from _operation(path, method, operation)
    yield from ("## Records", "")
    for name, schema in sorted(document["components"]["schemas"].items()):
        yield from _record(name, schema)


def _group(path: str) -> str:
    return path.removeprefix(_PREFIX).partition("/")[0] if path.startswith(_PREFIX) else _OTHERS


def _operation(path: str, method: str, operation: Any) -> Iterator[str]:
    yield from (
        f"### `{method.upper()} {path}`",
        "",
        f"{operation['summary']}. {operation.get('description', '')}".strip(),
    )
    yield ""
    parameters = operation.get("parameters", ())
    if parameters:
        yield from ("| parameter | in | type | what it is |", "|---|---|---|---|")
        yield from (_parameter(one) for one in parameters)
        yield ""
    if "requestBody" in operation:
        yield f"Takes {_content(operation['requestBody']['content'])}."
    yield from (f"Answers {_content(operation['responses']['200']['content'])}.", "")


def _parameter(one: Any) -> str:
    name = f"**`{one['name']}`**" if one.get("required") else f"`{one['name']}`"
    default = f"; {canonical(one['schema']['default'])} where it is left out" if "default" in one["schema"] else ""
    return f"| {name} | {one['in']} | {_type(one['schema'])} | {_cell(one.get('description', ''))}{default} |"


def _content(content: Any) -> str:
    return " or ".join(
        _type(part["schema"]) if "$ref" in part["schema"] else f"`{media}`" for media, part in content.items()
    )


def _record(name: str, schema: Any) -> Iterator[str]:
    yield from (f'### <a id="{name.lower()}"></a>{name}', "")
    if schema.get("description"):
        yield from (re.sub(r"\s+", " ", schema["description"]), "")
    if not schema.get("properties"):
        yield from (_type({**schema, "title": ""}), "")
        return
    required = set(schema.get("required", ()))
    yield from ("| field | type |", "|---|---|")
    for field, part in schema["properties"].items():
        shown = f"**`{field}`**" if field in required else f"`{field}`"
        yield f"| {shown} | {_type(part)} |"
    yield ""


def _type(schema: Any) -> str:
    """A schema in words."""
    if "$ref" in schema:
        name = str(schema["$ref"]).rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "enum" in schema:
        return " \\| ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return " or ".join(_type(one) for one in schema[several])
    kind = schema.get("type", "any value")
    if isinstance(kind, list):
        return " or ".join(_type({**schema, "type": one}) for one in kind)
    return _named(str(kind), schema)


def _named(kind: str, schema: Any) -> str:
    if kind == "array":
        return f"list: {_type(schema['items'])}" if isinstance(schema.get("items"), dict) else "list"
    if kind == "object":
        inner = schema.get("additionalProperties")
        return f"mapping of names to {_type(inner)}" if isinstance(inner, dict) and inner else "mapping"
    return _FORMATS.get(schema.get("format", ""), _WORDS.get(kind, kind))


_WORDS: Final = {"string": "text", "boolean": "true or false", "integer": "whole number", "null": "nothing"}
_FORMATS: Final = {"date-time": "instant, ISO 8601"}


def _cell(text: Json) -> str:
    return str(text).replace("|", "\\|").replace("\n", " ")


def main(arguments: list[str] | None = None) -> None:
    """Write the page of the document in one file to another."""
    parser = argparse.ArgumentParser(description="Write the reference of the API.")
    parser.add_argument("document", type=Path, help="the OpenAPI document, as JSON")
    parser.add_argument("file", type=Path, help="where the page goes")
    chosen = parser.parse_args(arguments)
    chosen.file.write_text(page(json.loads(chosen.document.read_bytes())), "utf-8")


if __name__ == "__main__":
    main()
