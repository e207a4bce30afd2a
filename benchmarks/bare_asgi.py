"""A hand-written inference server, the least that HTTP and Arrow cost: `python -m benchmarks.bare_asgi MODEL THREADS`.

One ASGI function under the same uvicorn: Arrow bytes in, Arrow bytes out, no routes, tokens, checks or log. It says
its URL in the first line of its output and serves until it is ended.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

import uvicorn

from benchmarks.bare_model import ARROW, BareModel

_Message = MutableMapping[str, Any]


def application(model: BareModel) -> Callable[..., Awaitable[None]]:
    async def serve(_scope: _Message, receive: Callable[[], Awaitable[_Message]], send: Callable[..., Any]) -> None:
        parts, more = [], True
        while more:
            message = await receive()
            parts.append(message.get("body", b""))
            more = message.get("more_body", False)
        body = model.answer(b"".join(parts))
        headers = [(b"content-type", ARROW.encode()), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return serve


def main() -> None:
    model = BareModel(Path(sys.argv[1]), int(sys.argv[2]))
    # The protocol is named because asyncio sets TCP_NODELAY only on sockets that say they are TCP.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.bind(("127.0.0.1", 0))
    listening.listen(16)
    print(f"http://127.0.0.1:{listening.getsockname()[1]}/", flush=True)
    config = uvicorn.Config(application(model), log_config=None, access_log=False, lifespan="off")
    uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main()
