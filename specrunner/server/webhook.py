"""The webhook: whoever hosts the repository says that there is news, and signs it.

The signature is the one that GitHub and Gitea send: `X-Hub-Signature-256: sha256=` and the HMAC-SHA256 of the body, in
hexadecimal. What the body says is not believed, only that somebody who knows the secret sent it.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from typing import Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from specrunner.core.errors import TooLarge
from specrunner.core.values import Secret
from specrunner.server.bodies import TooSlow, limited

PATH: Final = "/v1/specrunner/webhook"
_HEADER: Final = "x-hub-signature-256"
_LARGEST: Final = 25 * 2**20  # bytes; GitHub sends no more


def webhook_route(secret: Secret, hurry: Callable[[], None]) -> Route:
    """`POST` with a right signature calls `hurry` and is answered 202; 401 otherwise, 413 for what is too large."""
    key = str(secret.reveal()).encode()

    async def endpoint(request: Request) -> JSONResponse:
        digest = hmac.new(key, digestmod=hashlib.sha256)
        try:
            async for part in limited(request, _LARGEST).stream():
                digest.update(part)
        except (TooLarge, TooSlow) as problem:
            return _answer(problem.http_status, problem.summary)
        except ClientDisconnect:
            return _answer(400, "The body was cut off.")
        said = request.headers.get(_HEADER, "").encode("latin-1")
        if not hmac.compare_digest(said, f"sha256={digest.hexdigest()}".encode()):
            return _answer(401, f"The signature in {_HEADER} is missing or wrong: see that both sides have one secret.")
        hurry()
        return _answer(202, "The branch is looked at now.")

    return Route(PATH, endpoint, methods=["POST"])


def _answer(status: int, words: str) -> JSONResponse:
    return JSONResponse({"code": status, "msg": words}, status)
