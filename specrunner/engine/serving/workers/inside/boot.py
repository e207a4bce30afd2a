"""The first lines of a worker: what goes wrong with the libraries that serving itself needs is an answer too."""

from __future__ import annotations

import os
import socket

from . import frames

_HINT = (
    "serving itself needs pyarrow, pandas and numpy of this environment; where numpy is pinned below 2, pin pyarrow "
    "below 20 too"
)


def main(descriptor: int) -> None:
    """Serve on this inherited socket until it ends."""
    os.set_inheritable(descriptor, False)
    sock = socket.socket(fileno=descriptor)
    try:
        from .serve import serve
    except BaseException as error:
        frames.receive(sock, 0)
        told = {"kind": "load", "type": type(error).__name__, "message": str(error), "traceback": f"{error} ({_HINT})"}
        frames.send(sock, {"error": told})
        return
    serve(sock)
