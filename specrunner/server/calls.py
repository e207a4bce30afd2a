"""One request as the routes see it: who calls, what was sent, and how to answer or refuse."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from specrunner.core.errors import BadInput, SpecrunnerError
from specrunner.core.values import Json
from specrunner.engine.engine import Engine
from specrunner.server.access import address_of
from specrunner.server.auth import Caller
from specrunner.server.background import Background
from specrunner.server.bodies import limited, read_body
from specrunner.server.door import Door

MAX_JSON_BYTES = 16 * 2**20
_MAX_ID = 2**63 - 1
_MAX_NAME = 255
_SUBJECTS = (
    "name",
    "id",
    "connection_id",
    "orch_id",
    "pipeline_version_pk_id",
    "deployment_id",
    "pipeline_id",
    "workspace_name",
    "workspace_id",
    "email",
)

_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class Call:
    """A JSON request, authenticated; `agent` is what the client calls itself."""

    engine: Engine
    caller: Caller
    body: dict[str, Json]
    background: Background
    agent: str = ""

    def need(self, name: str, kind: type[_Value]) -> _Value:
        """A field of the body. Raises BadInput if it is missing or of another type."""
        return field_of(self.body, name, kind)

    def maybe(self, name: str, kind: type[_Value]) -> _Value | None:
        """A field that may be absent or null. Raises BadInput if it is of another type."""
        return None if self.body.get(name) is None else self.need(name, kind)


def field_of(body: Mapping[str, Json], name: str, kind: type[_Value]) -> _Value:
    """A field of a JSON object. Raises BadInput if it is missing, of another type, or a number that is no id."""
    value = body.get(name)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        came = "nothing" if value is None else f"{type(value).__name__} {_shortened(value)}"
        raise BadInput(f"The field {name!r} must be of type {kind.__name__}; {came} came.")
    if isinstance(value, int) and not -_MAX_ID <= value <= _MAX_ID:
        raise BadInput(f"The field {name!r} is a number of more than 63 bits.")
    return value


def name_of(body: Mapping[str, Json], name: str) -> str:
    """A field that names something new. Raises BadInput for a name that nothing can have."""
    value = field_of(body, name, str)
    if not value.strip() or not value.isprintable() or len(value) > _MAX_NAME:
        raise BadInput(
            f"The field {name!r} must be a name; {_shortened(value)} came.",
            detail=f"A name has one to {_MAX_NAME} characters that print.",
        )
    return value


def _shortened(value: Json) -> str:
    text = repr(value)
    return text if len(text) <= _MAX_NAME else f"{text[:_MAX_NAME]}..."


Handler = Callable[[Call], Json]


def post(path: str, handler: Handler, status: int = 200, *, audited: str = "") -> Route:
    """A route that takes a JSON object and answers JSON with exactly this status; 204 has no body.

    `audited` is the word for it in the audit log.
    """

    async def endpoint(request: Request) -> Response:
        call = await _call(request)
        try:
            answer = await run_in_threadpool(handler, call)
        except SpecrunnerError as problem:
            if audited:
                await run_in_threadpool(_write_down, call, audited, request, failed_by(problem))
            raise
        if audited:
            await run_in_threadpool(_write_down, call, audited, request)
        return Response(status_code=204) if status == 204 else JSONResponse(answer, status)

    return Route(path, guarded(endpoint), methods=["POST"])


def _write_down(call: Call, action: str, request: Request, outcome: str = "done") -> None:
    subject = next((str(call.body[name]) for name in _SUBJECTS if call.body.get(name) is not None), "")
    write_down(call.engine, call.caller, action, subject, address_of(request), outcome)


def write_down(engine: Engine, caller: Caller, action: str, subject: str, address: str, outcome: str = "done") -> None:
    """A line of the audit log: who has done it, and to what, as the request names it."""
    engine.audit.add(caller.who, action, subject[:_MAX_NAME], address=address, outcome=outcome)


def failed_by(problem: SpecrunnerError) -> str:
    """The outcome of what failed, as the audit log has it."""
    return f"failed: {type(problem).__name__}"


def guarded(endpoint: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """The same endpoint, with our errors as answers that every reader of the platform's clients understands."""

    async def wrapped(request: Request) -> Response:
        try:
            return await endpoint(request)
        except SpecrunnerError as problem:
            return refusal(problem, problem.http_status)

    return wrapped


def refusal(problem: SpecrunnerError, status: int) -> JSONResponse:
    """An error as JSON; one shape that serves the clients' several readers at once."""
    words = words_of(problem)
    body = {"code": status, "msg": words, "status": "Error", "error": words, "source": "engine"}
    return JSONResponse(body, status)


def words_of(problem: SpecrunnerError) -> str:
    """An error as one text."""
    return ". ".join(part.rstrip(".") for part in (problem.summary, problem.detail, problem.remedy) if part)


async def authenticated(request: Request) -> tuple[Engine, Caller]:
    """The engine and who calls. Raises NotAuthorised."""
    engine: Engine = request.app.state.engine
    return engine, await run_in_threadpool(door_of(request).caller, request)


def door_of(request: Request) -> Door:
    """Who tells who calls."""
    door: Door = request.app.state.door
    return door


async def _call(request: Request) -> Call:
    engine, caller = await authenticated(request)
    body = parse_object(await read_body(request, MAX_JSON_BYTES))
    return Call(engine, caller, body, request.app.state.background, request.headers.get("user-agent", ""))


def parse_object(data: bytes) -> dict[str, Any]:
    """A JSON object; an empty body is an empty one. Raises BadInput."""
    found = parse_json(data or b"{}")
    if not isinstance(found, dict):
        raise BadInput(f"The body must be a JSON object; {type(found).__name__} came.")
    return found


def parse_json(data: bytes) -> Any:
    """A JSON value. Raises BadInput."""
    try:
        found = json.loads(data, parse_constant=_no_constant)
        # What is no text in any encoding can neither be stored nor answered.
        json.dumps(found, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as problem:
        raise BadInput("The body is not JSON.", detail=str(problem)) from problem
    return found


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON value")


__all__ = [
    "Call",
    "Handler",
    "authenticated",
    "door_of",
    "failed_by",
    "field_of",
    "guarded",
    "limited",
    "name_of",
    "parse_object",
    "post",
    "read_body",
    "refusal",
    "words_of",
    "write_down",
]
