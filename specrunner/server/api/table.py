"""Operations: what a route of our own API takes, needs and answers, as one record that is both served and described."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from specrunner.core.access import Identity, Scope
from specrunner.core.errors import BadInput, SpecrunnerError, Transient
from specrunner.core.keys import Key, Kind
from specrunner.core.values import parse_iso
from specrunner.engine.engine import Engine
from specrunner.engine.records import Run
from specrunner.server.access import Access, address_of, require
from specrunner.server.api.noting import noted
from specrunner.server.api.sharing import Shared
from specrunner.server.bodies import read_body
from specrunner.server.news import News
from specrunner.targets.base import Note
from specrunner.targets.local.target import LocalTarget
from specrunner.targets.wire.codec import EVENTS, decode, encode
from specrunner.targets.wire.faults import fault_of

PREFIX: Final = "/v1/specrunner"
JSON: Final = "application/json"
_MAX_BODY: Final = 64 * 2**20  # bytes of JSON: thousands of resources
_LONGEST_QUERY: Final = 4096


@dataclass(frozen=True, slots=True)
class Service:
    """What the routes work with. `carry` sees to it that a run which waits is carried out."""

    engine: Engine
    target: LocalTarget
    access: Access
    news: News
    carry: Callable[[Run], None]
    shared: Shared


@dataclass(frozen=True, slots=True)
class Query:
    """One parameter in the query of a URL: its type, and what it is where it is left out."""

    name: str
    kind: type
    description: str
    required: bool = False
    default: Any = None


@dataclass(frozen=True, slots=True)
class Call:
    """One request, authenticated and read."""

    service: Service
    identity: Identity
    address: str
    query: Mapping[str, Any]
    path: Mapping[str, str]
    body: Any = None
    once: str = ""
    note: Note = lambda _text: None

    @property
    def engine(self) -> Engine:
        """The engine."""
        return self.service.engine

    @property
    def target(self) -> LocalTarget:
        """The engine, as the target that it is to plan and apply."""
        return self.service.target

    def audit(self, action: str, subject: object = "", outcome: str = "done") -> None:
        """Write a line of the audit log about this call."""
        self.engine.audit.add(self.identity.who, action, str(subject), address=self.address, outcome=outcome)


Handler = Callable[[Call], object]  # gives the record to answer, or its bytes
# For what is no JSON in or out: the request, the service and who calls.
Raw = Callable[[Request, Service, Identity], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Operation:
    """One route. Either `handler` gives the record to answer, or `raw` the response itself.

    `scope` None means that it needs no token; the reason stands in `summary`. `body` and `answer` are records, or for
    what is no JSON a media type. `audited` is the word for it in the audit log, `subject` tells what it was done to.
    `notes` says that it may take long, and tells what goes on to who accepts server-sent events.
    """

    method: str
    path: str
    scope: Scope | None
    summary: str
    answer: Any
    handler: Handler | None = None
    raw: Raw | None = None
    body: Any = None
    query: tuple[Query, ...] = ()
    audited: str = ""
    subject: Callable[[Call], object] = field(default=lambda _call: "")
    notes: bool = False
    limit: int = _MAX_BODY


def route_of(operation: Operation, service: Service) -> Route:
    """The route that serves an operation."""

    async def endpoint(request: Request) -> Response:
        try:
            identity = await run_in_threadpool(_admitted, operation, service, request)
            if operation.raw is not None:
                return await operation.raw(request, service, identity)
            call = await _call(operation, service, request, identity)
            return await _answered(operation, call, request)
        except SpecrunnerError as problem:
            return refusal(problem)
        except ClientDisconnect:
            return Response(status_code=499)  # nobody reads it

    return Route(operation.path, endpoint, methods=[operation.method], name=f"{operation.method} {operation.path}")


def refusal(problem: SpecrunnerError) -> Response:
    """An error as an answer."""
    headers = {}
    if isinstance(problem, Transient) and problem.retry_after is not None:
        headers["Retry-After"] = str(max(1, round(problem.retry_after)))
    if problem.http_status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="specrunner"'
    return Response(encode(fault_of(problem)), problem.http_status, headers, media_type=JSON)


def asked_key(text: str, kind: Kind | None = None) -> Key:
    """The key in a text. Raises BadInput."""
    try:
        key = Key.parse(text)
    except ValueError as problem:
        raise BadInput(f"That is no key: {problem}.", remedy="Write it as Task/workspace/name.") from problem
    if kind is not None and key.kind is not kind:
        raise BadInput(f"{key} is no {kind.lower()}.", remedy=f"Write it as {kind}/workspace/name.")
    return key


def _admitted(operation: Operation, service: Service, request: Request) -> Identity:
    if operation.scope is None:
        return Identity("nobody", frozenset())
    identity = service.access.identify(request)
    try:
        require(identity, operation.scope)
    except SpecrunnerError:
        if operation.audited:
            service.engine.audit.add(
                identity.who, operation.audited, address=address_of(request), outcome="refused: no right"
            )
        raise
    return identity


async def _call(operation: Operation, service: Service, request: Request, identity: Identity) -> Call:
    query = _query(operation, request)
    body = None
    if operation.body is not None:
        body = decode(await read_body(request, operation.limit), operation.body)
    once = request.headers.get("idempotency-key", "")
    return Call(service, identity, address_of(request), query, request.path_params, body, once)


async def _answered(operation: Operation, call: Call, request: Request) -> Response:
    if operation.notes and EVENTS in request.headers.get("accept", ""):
        return noted(lambda note: _done(operation, call, note), call.service.news)
    answer = await run_in_threadpool(_done, operation, call, call.note)
    return Response(answer, media_type=JSON)


def _done(operation: Operation, call: Call, note: Note) -> bytes:
    """Do it, and write down who did."""
    assert operation.handler is not None, "an operation that is not raw has a handler"  # noqa: S101
    told = Call(call.service, call.identity, call.address, call.query, call.path, call.body, call.once, note)
    try:
        answer = operation.handler(told)
    except SpecrunnerError as problem:
        if operation.audited:
            call.audit(operation.audited, operation.subject(call), f"failed: {type(problem).__name__}")
        raise
    if operation.audited:
        call.audit(operation.audited, operation.subject(call))
    return answer if isinstance(answer, bytes) else encode(answer)


def _query(operation: Operation, request: Request) -> dict[str, Any]:
    given = request.query_params
    if unknown := sorted(set(given) - {one.name for one in operation.query}):
        known = ", ".join(one.name for one in operation.query) or "none"
        raise BadInput(f"There is no parameter {unknown[0][:100]!r} here.", detail=f"Known are: {known}.")
    found = {}
    for one in operation.query:
        text = given.get(one.name)
        if text is None and one.required:
            raise BadInput(f"The parameter {one.name!r} is missing.", detail=one.description)
        found[one.name] = one.default if text is None else _parsed(one, text)
    return found


def _parsed(query: Query, text: str) -> Any:
    if len(text) > _LONGEST_QUERY:
        raise BadInput(f"The parameter {query.name!r} is too long.")
    try:
        return _PARSERS[query.kind](text)
    except (ValueError, OverflowError) as problem:
        raise BadInput(
            f"The parameter {query.name!r} is not of its type: {text[:100]!r} came.", detail=query.description
        ) from problem


def _bool(text: str) -> bool:
    if text not in {"true", "false"}:
        raise ValueError(text)
    return text == "true"


def _int(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 15):
        raise ValueError(text)
    return int(text)


def _float(text: str) -> float:
    found = float(text)
    if not 0 <= found <= 3600:
        raise ValueError(text)
    return found


_PARSERS: Final[Mapping[type, Callable[[str], Any]]] = {
    str: str,
    int: _int,
    float: _float,
    bool: _bool,
    datetime: parse_iso,
    Key: Key.parse,
}
