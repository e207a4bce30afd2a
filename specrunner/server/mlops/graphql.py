"""`/v1/graphql`: what the platform's clients read by GraphQL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from specrunner.core.values import Json
from specrunner.engine.engine import Engine
from specrunner.server.access import address_of
from specrunner.server.auth import Caller
from specrunner.server.calls import authenticated, field_of, guarded, parse_object, read_body

MAX_QUERY_BYTES: Final = 2**18


async def _graphql(request: Request) -> Response:
    engine, caller = await authenticated(request)
    body = parse_object(await read_body(request, MAX_QUERY_BYTES))
    variables = {} if body.get("variables") is None else field_of(body, "variables", dict)
    asking = Asking(caller, address_of(request), field_of(body, "query", str), variables)
    return JSONResponse(await run_in_threadpool(_answer, engine, asking))


@dataclass(frozen=True, slots=True)
class Asking:
    """Who asks what, and from where."""

    caller: Caller
    address: str
    query: str
    variables: dict[str, Any]


def _answer(engine: Engine, asking: Asking) -> dict[str, Json]:
    from specrunner.server.graph.scene import Scene
    from specrunner.server.graph.schema import answer  # most engines are never asked this way

    return answer(Scene(engine, asking.caller, asking.address), asking.query, asking.variables)


ROUTES = [Route("/v1/graphql", guarded(_graphql), methods=["POST"])]
