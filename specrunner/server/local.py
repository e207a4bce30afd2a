"""Keeping web pages out of a server that asks nobody who they are.

A page that somebody looks at could send requests to this machine, or have its own name lead here. Neither has a
browser's own way round: it always says where a request comes from (`Origin`), and to whom it thinks to talk (`Host`).
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from specrunner.server.auth import Door

_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})


class LocalOnly:
    """Refuses requests of foreign pages, and those to a foreign name, as long as the door stands open."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what may be passed on."""
        if scope["type"] == "http" and (words := _foreign(Headers(scope=scope))):
            door: Door = scope["app"].state.door
            if door.stands_open():
                body = {"code": 403, "msg": words, "status": "Error", "error": words, "source": "engine"}
                await JSONResponse(body, 403)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _foreign(headers: Headers) -> str:
    """Why these headers are of no caller on this machine; empty where they may be."""
    host = headers.get("host", "")
    if _name(f"//{host}") not in _LOOPBACK:
        return "This server answers to its loopback address only, as long as it has no users."
    origin = headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != host:
        return "This server takes no requests from web pages of others."
    return ""


def _name(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None
