"""The OpenAPI document of our own API, made from the operations that are served, and a page that shows it."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from html import escape
from typing import Any, Final

from specrunner import __version__
from specrunner.core.keys import Key
from specrunner.server.api.table import JSON, Operation, Query
from specrunner.targets.wire.codec import EVENTS, schemas
from specrunner.targets.wire.faults import Fault

_PARAMETER: Final = re.compile(r"\{(\w+)\}")
_TYPES: Final[Mapping[type, dict[str, Any]]] = {
    str: {"type": "string"},
    int: {"type": "integer", "minimum": 0},
    float: {"type": "number", "minimum": 0},
    bool: {"type": "boolean"},
    datetime: {"type": "string", "format": "date-time"},
    Key: {"type": "string", "pattern": "^[A-Z][a-z]+/"},
}
_WORDS: Final[Mapping[str, str]] = {
    "400": "What was sent can't be used; the answer says why.",
    "401": "No token, or one that is not valid.",
    "403": "The token may not do this.",
    "404": "There is nothing of that name, or it can't serve now.",
    "409": "It is another than it was, or somebody else holds it.",
    "408": "The request came too slowly.",
    "413": "The request is too large.",
    "422": "It can't be packaged.",
    "429": "Too many log-ins have failed from there.",
    "503": "It did not work now and may work soon.",
}
_NEEDED: Final = "Send the header `Authorization: Bearer TOKEN`. An open server on loopback needs none."


def document(operations: Iterable[Operation]) -> dict[str, Any]:
    """The document, as OpenAPI 3.1."""
    listed = list(operations)
    references, components = _components(listed)
    paths: dict[str, dict[str, Any]] = {}
    for operation in listed:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _described(operation, references)
    return {
        "openapi": "3.1.0",
        "info": {"title": "specrunner", "version": __version__, "description": _NEEDED},
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _components(operations: list[Operation]) -> tuple[dict[Any, dict[str, Any]], dict[str, Any]]:
    bodies = (one for operation in operations for one in (operation.body, operation.answer))
    records = list(dict.fromkeys([Fault, *(one for one in bodies if isinstance(one, type))]))
    found, components = schemas(records)
    return dict(zip(records, found, strict=True)), components


def _described(operation: Operation, references: Mapping[Any, dict[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "summary": operation.summary,
        "operationId": _identifier(operation),
        "responses": {"200": _success(operation, references), **_failures(operation, references)},
    }
    parameters = [*_path_parameters(operation.path), *map(_query_parameter, operation.query)]
    if parameters:
        found["parameters"] = parameters
    if operation.body is not None:
        found["requestBody"] = {"required": True, "content": _content(operation.body, references)}
    if operation.scope is not None:
        found["security"] = [{"token": []}]
        found["description"] = f"Needs the scope `{operation.scope}`."
    return found


def _success(operation: Operation, references: Mapping[Any, dict[str, Any]]) -> dict[str, Any]:
    content = _content(operation.answer, references)
    if operation.notes or "follow" in {one.name for one in operation.query}:
        content[EVENTS] = {"schema": {"type": "string"}}
    return {"description": "Done.", "content": content}


def _failures(operation: Operation, references: Mapping[Any, dict[str, Any]]) -> dict[str, Any]:
    codes = ["503"] if operation.scope is None else sorted(_WORDS)
    content = {JSON: {"schema": references[Fault]}}
    return {code: {"description": _WORDS[code], "content": content} for code in codes}


def _content(record: Any, references: Mapping[Any, dict[str, Any]]) -> dict[str, Any]:
    if isinstance(record, type):
        return {JSON: {"schema": references[record]}}
    return {str(record): {"schema": {} if record == JSON else {"type": "string"}}}


def _path_parameters(path: str) -> list[dict[str, Any]]:
    schema = {"type": "string"}
    return [{"name": name, "in": "path", "required": True, "schema": schema} for name in _PARAMETER.findall(path)]


def _query_parameter(query: Query) -> dict[str, Any]:
    schema = dict(_TYPES[query.kind])
    if query.default is not None:
        schema["default"] = query.default
    return {
        "name": query.name,
        "in": "query",
        "required": query.required,
        "description": query.description,
        "schema": schema,
    }


def _identifier(operation: Operation) -> str:
    words = re.findall(r"\w+", operation.path.removeprefix("/v1/specrunner"))
    return "_".join([operation.method.lower(), *words])


@functools.lru_cache(maxsize=8)
def page(operations: tuple[Operation, ...]) -> str:
    """A page that lists the operations; whole in itself, so that it loads nothing from elsewhere."""
    rows = "".join(_row(operation) for operation in operations)
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>specrunner: API</title>'
        "<style>body{font:16px/1.5 sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem}"
        "table{border-collapse:collapse;width:100%}td,th{text-align:left;vertical-align:top;padding:.3rem .8rem 0 0;"
        "border-bottom:1px solid #ccc}code{white-space:nowrap}</style>"
        f"<h1>specrunner {escape(__version__)}: API</h1><p>{escape(_NEEDED).replace('`', '')} "
        'The whole of it, with every field: <a href="/v1/specrunner/openapi.json">openapi.json</a>.</p>'
        f"<table><tr><th>Route<th>Scope<th>What it does</tr>{rows}</table></html>"
    )


def _row(operation: Operation) -> str:
    parameters = "".join(f"<br><code>{escape(one.name)}</code> {escape(one.description)}" for one in operation.query)
    scope = escape(str(operation.scope or "–"))
    route = f"{operation.method} {operation.path}"
    return f"<tr><td><code>{escape(route)}</code><td>{scope}<td>{escape(operation.summary)}{parameters}</tr>"
