"""Bodies of requests: no larger than they may be, and no slower."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
from collections.abc import AsyncIterator
from typing import BinaryIO, Final, cast

from starlette.requests import Request
from starlette.types import Message

from specrunner.core.errors import SpecrunnerError, TooLarge

IDLE: Final = 30.0  # seconds without a byte, after which a request is cut off
SLOWEST: Final = 1024  # bytes per second, once `IDLE` is over
_IN_MEMORY: Final = 2**20


class TooSlow(SpecrunnerError):
    """The body came so slowly that it looks like an attempt to hold a connection."""

    http_status = 408


def limited(request: Request, limit: int) -> Request:
    """The same request; whoever reads its body gets TooLarge over `limit` bytes, and TooSlow."""
    size, began = 0, time.monotonic()

    async def receive() -> Message:
        nonlocal size
        _check_length(request.headers.get("content-length", ""), limit)
        try:
            # Costs a timer; `wait_for` would make a task of each piece.
            async with asyncio.timeout(IDLE):
                message = await request.receive()
        except TimeoutError as problem:
            raise TooSlow(f"Nothing of the body came for {IDLE:.0f} seconds.") from problem
        size += len(message.get("body", b""))
        if size > limit:
            raise _too_large(limit)
        if (taken := time.monotonic() - began) > IDLE and size < SLOWEST * taken:
            raise TooSlow(f"The body came at less than {SLOWEST} bytes per second.")
        return message

    return Request(request.scope, receive)


async def read_body(request: Request, limit: int) -> bytes:
    """The body, whole. Raises TooLarge, TooSlow and ClientDisconnect."""
    return await limited(request, limit).body()


@contextlib.asynccontextmanager
async def spooled_body(request: Request, limit: int) -> AsyncIterator[BinaryIO]:
    """The body in a file, on disk where it is large, rewound. Raises as `read_body` does."""
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as file:
        async for chunk in limited(request, limit).stream():
            await asyncio.to_thread(file.write, chunk)
        file.seek(0)
        yield cast("BinaryIO", file)


def _check_length(text: str, limit: int) -> None:
    if text.isascii() and text.isdecimal() and int(text[:20]) > limit:
        raise _too_large(limit)


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"The request is over {limit:,} bytes.", remedy="Send it in smaller parts.")
