"""`/v1/api/config` and `/v1/api/features/list`: what a client asks about the platform before anything else."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from specrunner import __version__
from specrunner.core.values import Json
from specrunner.server.calls import Call, post


async def _config(_request: Request) -> JSONResponse:
    # Asked before the log-in, so it tells nothing of anybody.
    return JSONResponse({"default_arch": "x86", "server": "specrunner", "version": __version__})


def _features(call: Call) -> Json:
    return {"features": {}, "name": "specrunner", "is_auth_enabled": call.engine.users.any()}


ROUTES = [Route("/v1/api/config", _config), post("/v1/api/features/list", _features)]
