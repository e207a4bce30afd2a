"""The schema, with what resolves its fields, and how a request against it is carried out."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from functools import cache
from importlib import resources
from types import ModuleType
from typing import Any

from graphql import (
    GraphQLError,
    GraphQLResolveInfo,
    GraphQLSchema,
    build_schema,
    execute_sync,
    parse,
    specified_rules,
    validate,
)

from specrunner.core.errors import BadInput, NotFound, SpecrunnerError
from specrunner.core.values import Json
from specrunner.server.calls import failed_by, write_down
from specrunner.server.graph import mutations, roots
from specrunner.server.graph.limits import MOST_TOKENS, check_size
from specrunner.server.graph.scene import Scene

_logger = logging.getLogger(__name__)

_BY_KEY = "_by_pk"
_OURS = {"id": "key", "object": "said"}  # arguments whose names are Python's own


@cache
def schema() -> GraphQLSchema:
    """What may be asked, and how it is answered; built once a process."""
    text = resources.files(__package__).joinpath("schema.graphql").read_text("utf-8")
    found = build_schema(text)
    for root, module in ((found.query_type, roots), (found.mutation_type, mutations)):
        assert root is not None, "the schema names both"  # noqa: S101  # narrows the type
        for name, one in root.fields.items():
            one.resolve = _written_down(name, _root(module, name)) if module is mutations else _root(module, name)
    return found


def answer(scene: Scene, query: str, variables: Mapping[str, Any]) -> dict[str, Json]:
    """What the platform's clients get for a query: `data`, and `errors` where there are any."""
    try:
        document = parse(query, max_tokens=MOST_TOKENS, no_location=True)
        check_size(document)
        wrong = validate(schema(), document, specified_rules, max_errors=5)
    except (GraphQLError, BadInput) as problem:
        return {"errors": [{"message": _words(problem)}]}
    if wrong:
        return {"errors": [{"message": error.message} for error in wrong]}
    result = execute_sync(
        schema(), document, context_value=scene, variable_values=dict(variables), field_resolver=_field
    )
    told: dict[str, Json] = {"data": result.data}
    if result.errors:
        told["errors"] = [{"message": _words(error), "path": error.path} for error in result.errors]
    return told


def _root(module: ModuleType, name: str) -> Callable[..., Any]:
    resolve: Callable[..., Any] = getattr(module, name)

    def resolved(_source: object, info: GraphQLResolveInfo[Scene], **arguments: Any) -> Any:
        try:
            return resolve(info.context, **{_OURS.get(name, name): value for name, value in arguments.items()})
        except NotFound:
            if name.endswith(_BY_KEY) and module is roots:
                return None  # the clients tell from that
            raise

    return resolved


def _written_down(name: str, resolve: Callable[..., Any]) -> Callable[..., Any]:
    """The same, with a line in the audit log about it."""

    def resolved(source: object, info: GraphQLResolveInfo[Scene], **arguments: Any) -> Any:
        scene, subject = info.context, f"{name} {json.dumps(arguments, default=str)}"
        try:
            found = resolve(source, info, **arguments)
        except SpecrunnerError as problem:
            write_down(scene.engine, scene.caller, "apply", subject, scene.address, failed_by(problem))
            raise
        write_down(scene.engine, scene.caller, "apply", subject, scene.address)
        return found

    return resolved


def _field(source: Any, info: GraphQLResolveInfo[Scene], **arguments: Any) -> Any:
    """A field of one of the nodes: an attribute, or what its method says."""
    name = info.field_name
    value = source.get(name) if isinstance(source, Mapping) else getattr(source, name)
    return value(**arguments) if callable(value) else value


def _words(problem: Exception) -> str:
    """What a caller is told; of a fault of ours, only that there was one."""
    original = problem.original_error if isinstance(problem, GraphQLError) else problem
    if isinstance(original, SpecrunnerError):
        return " ".join(part for part in (original.summary, original.detail, original.remedy) if part)
    if original is None:
        return str(getattr(problem, "message", problem))
    _logger.error("action=graphql a field failed", exc_info=original)
    return "The engine failed at this request; its log says why."
