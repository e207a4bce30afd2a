"""The application: every route over one engine."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from specrunner.engine.engine import Engine
from specrunner.engine.records import Run
from specrunner.server import inference, open_inference
from specrunner.server.access import Access
from specrunner.server.api import face
from specrunner.server.api.sharing import Shared
from specrunner.server.api.table import JSON, PREFIX, Service
from specrunner.server.api.watching import Counting, Counts
from specrunner.server.background import Background
from specrunner.server.door import Door
from specrunner.server.mlops import (
    catalogue,
    configuration,
    connections,
    graphql,
    login,
    logs,
    models,
    orchestrations,
    pipelines,
    runs,
    tasks,
    users,
    workspaces,
)
from specrunner.server.news import News
from specrunner.targets.local.target import LocalTarget
from specrunner.targets.wire.codec import encode
from specrunner.targets.wire.faults import Fault

_logger = logging.getLogger(__name__)

# The platform's own face.
_MLOPS = (
    configuration,
    login,
    users,
    workspaces,
    connections,
    models,
    catalogue,
    pipelines,
    logs,
    orchestrations,
    tasks,
    runs,
    graphql,
)


def build_app(
    engine: Engine,
    own: Own | None = None,
    besides: Sequence[BaseRoute] = (),
    background: Background | None = None,
) -> Starlette:
    """The ASGI application of an engine; with `own`, also specrunner's own API, which is for whoever hosts it.

    `besides` are routes that need something else.
    """
    counts = Counts()
    access = own.access if own else Access(engine)
    routes: list[BaseRoute] = [
        # Routes are tried in turn, and none is asked as often as these.
        *inference.ROUTES,
        *open_inference.ROUTES,
        *(_own_routes(engine, own) if own else [Route("/healthz", _health)]),
        *(route for part in _MLOPS for route in part.ROUTES),
        *besides,
    ]
    app = Starlette(
        routes=routes,
        exception_handlers={HTTPException: _http_error, Exception: _unexpected},
        middleware=[Middleware(Counting, counts=counts)],
    )
    app.state.engine = engine
    app.state.access = access
    app.state.counts = counts
    app.state.door = Door(access)
    app.state.background = background or Background(engine)
    app.state.devices = login.Devices()
    app.state.usable_deployments = inference.usable_deployments(engine, app.state.door)
    app.state.named_deployments = open_inference.named_deployments(engine, app.state.door)
    return app


@dataclass(frozen=True, slots=True)
class Own:
    """What specrunner's own API needs: who may call it, news of runs, and who carries out those that wait."""

    access: Access
    news: News
    carry: Callable[[Run], None]


def _own_routes(engine: Engine, own: Own) -> list[BaseRoute]:
    service = Service(engine, LocalTarget(engine), own.access, own.news, own.carry, Shared(engine.generation))
    return face.routes(service)


async def _health(_request: Request) -> JSONResponse:
    return JSONResponse({"status": "ok"})


async def _http_error(request: Request, problem: Exception) -> Response:
    status = problem.status_code if isinstance(problem, HTTPException) else 500
    route = f"{request.method} {request.url.path[:200]}"
    words = {404: f"{route}: there is no such route", 405: f"{route}: the route takes another method"}
    return _told(request, status, words.get(status, str(problem)), problem)


async def _unexpected(request: Request, problem: Exception) -> Response:
    """A fault of ours: the trace goes to the log, words to the caller."""
    _logger.error("request failed", exc_info=problem, extra={"action": "request", "path": request.url.path})
    return _told(request, 500, "The engine failed at this request; its log says why.")


def _told(request: Request, status: int, words: str, problem: Exception | None = None) -> Response:
    """The answer in the shape that the face has for what goes wrong."""
    headers = problem.headers if isinstance(problem, HTTPException) else None
    if request.url.path.startswith(PREFIX):
        fault = Fault("NotFound" if status == 404 else "SpecrunnerError", words)
        return Response(encode(fault), status, headers, media_type=JSON)
    body = {"code": status, "msg": words, "status": "Error", "error": words, "source": "engine"}
    return JSONResponse(body, status, headers)
