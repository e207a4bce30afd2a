"""The face as a whole: every operation, the document that describes them, and the page that shows it."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import BaseRoute

from specrunner.core.access import Identity
from specrunner.server.api import admin, leases, logs, objects, pipelines, runs, schedules, using, watching
from specrunner.server.api.openapi import document, page
from specrunner.server.api.table import JSON, PREFIX, Operation, Service, route_of

_SAFE: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}


async def _document(_request: Request, _service: Service, _identity: Identity) -> Response:
    return JSONResponse(document(OPERATIONS))


async def _page(_request: Request, _service: Service, _identity: Identity) -> Response:
    return HTMLResponse(page(OPERATIONS), headers=_SAFE)


OPERATIONS: Final = (
    *watching.OPERATIONS,
    *objects.OPERATIONS,
    *leases.OPERATIONS,
    *runs.OPERATIONS,
    *logs.OPERATIONS,
    *schedules.OPERATIONS,
    *pipelines.OPERATIONS,
    *using.OPERATIONS,
    *admin.OPERATIONS,
    Operation(
        "GET",
        f"{PREFIX}/openapi.json",
        None,
        "This document; needs no token, as it is the same everywhere",
        JSON,
        raw=_document,
    ),
    Operation("GET", "/docs", None, "A page that lists the routes; needs no token either", "text/html", raw=_page),
)


def routes(service: Service) -> list[BaseRoute]:
    """The routes of our own API."""
    return [route_of(operation, service) for operation in OPERATIONS]
