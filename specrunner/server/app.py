"""The application: every route over one engine."""

from __future__ import annotations

import logging

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route

from specrunner.engine.engine import Engine
from specrunner.server import inference
from specrunner.server.auth import Door
from specrunner.server.background import Background
from specrunner.server.local import LocalOnly
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

_logger = logging.getLogger(__name__)

_FACES = (
    configuration,
    login,
    users,
    workspaces,
    connections,
    models,
    catalogue,
    pipelines,
    inference,
    logs,
    orchestrations,
    tasks,
    runs,
    graphql,
)


def build_app(engine: Engine, *, is_open: bool = False) -> Starlette:
    """The ASGI application of an engine; `is_open` as `auth.Door` says."""
    routes: list[BaseRoute] = [Route("/healthz", _health)]
    for face in _FACES:
        routes += face.ROUTES
    app = Starlette(
        routes=routes,
        middleware=[Middleware(LocalOnly)],
        exception_handlers={HTTPException: _http_error, Exception: _unexpected},
    )
    app.state.engine = engine
    app.state.door = Door(engine, is_open=is_open)
    app.state.background = Background(engine)
    app.state.devices = login.Devices()
    app.state.usable_deployments = inference.usable_deployments(engine, app.state.door)
    return app


async def _health(_request: Request) -> JSONResponse:
    return JSONResponse({"status": "ok"})


async def _http_error(request: Request, problem: Exception) -> JSONResponse:
    status = problem.status_code if isinstance(problem, HTTPException) else 500
    words = f"{request.method} {request.url.path}: there is no such route" if status == 404 else str(problem)
    body = {"code": status, "msg": words, "status": "Error", "error": words, "source": "engine"}
    return JSONResponse(body, status)


async def _unexpected(request: Request, problem: Exception) -> JSONResponse:
    """A fault of ours: the trace goes to the log, words to the caller."""
    _logger.error("request failed", exc_info=problem, extra={"action": "request", "path": request.url.path})
    words = "The engine failed at this request; its log says why."
    return JSONResponse({"code": 500, "msg": words, "status": "Error", "error": words, "source": "engine"}, 500)
