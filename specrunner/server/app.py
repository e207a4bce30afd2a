"""The application: every route over one engine."""

from __future__ import annotations

import logging

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route

from specrunner.engine.engine import Engine
from specrunner.server import inference, open_inference
from specrunner.server.mlops import connections, logs, models, pipelines, workspaces

_logger = logging.getLogger(__name__)


def build_app(engine: Engine) -> Starlette:
    """The ASGI application of an engine."""
    routes: list[BaseRoute] = [
        Route("/healthz", _health),
        *workspaces.ROUTES,
        *connections.ROUTES,
        *models.ROUTES,
        *pipelines.ROUTES,
        *inference.ROUTES,
        *logs.ROUTES,
        *open_inference.ROUTES,
    ]
    app = Starlette(routes=routes, exception_handlers={HTTPException: _http_error, Exception: _unexpected})
    app.state.engine = engine
    app.state.usable_deployments = inference.usable_deployments(engine)
    app.state.named_deployments = open_inference.named_deployments(engine)
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
