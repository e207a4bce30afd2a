"""Hosting the API for runs: a thread of this process that listens on loopback.

The port is stored with the state, so that whoever opens the engine again binds the same one, and a run whose
host was killed finds the next host where it looks for it.
"""

from __future__ import annotations

import errno
import socket
import threading
from collections.abc import Sequence

import uvicorn
from starlette.routing import BaseRoute

from specrunner.core.errors import SpecrunnerError
from specrunner.engine.engine import Engine
from specrunner.server.app import build_app

_LOOPBACK = "127.0.0.1"
_PORT_FACT = "api-port"


class LoopbackApi:
    """Adapter of the port `RunApi`: starts at the first call of `address`, on `port` if that is said.

    `besides` are routes that it answers too.
    """

    def __init__(self, engine: Engine, port: int | None = None, besides: Sequence[BaseRoute] = ()) -> None:
        self._engine = engine
        self._besides = besides
        self._wanted = port
        self._lock = threading.Lock()
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self._port = 0

    def address(self) -> str:
        """The base URL; listening when this returns. Raises SpecrunnerError if no port can be had."""
        with self._lock:
            if self._server is None:
                self._start()
        return f"http://{_LOOPBACK}:{self._port}"

    def close(self) -> None:
        """Stop listening; requests under way are answered first."""
        with self._lock:
            if self._server is None or self._thread is None:
                return
            self._server.should_exit = True
            self._thread.join()
            self._server = self._thread = None

    def _start(self) -> None:
        listening = self._bind()
        self._port = listening.getsockname()[1]
        if self._wanted is not None or self._engine.facts.get(_PORT_FACT) is None:
            # Kept for good: a second host that had to take another port must not lead the first one's runs astray.
            self._engine.facts.put(_PORT_FACT, str(self._port))
        config = uvicorn.Config(
            build_app(self._engine, self._besides),
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=5,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [listening]}, name="run-api", daemon=True
        )
        # The socket listens already: a request that comes before the loop runs waits in its queue.
        self._thread.start()

    def _bind(self) -> socket.socket:
        if self._wanted is not None:
            return self._bind_wanted(self._wanted)
        stored = self._engine.facts.get(_PORT_FACT)
        for port in [int(stored)] if stored else []:
            try:
                return _listen(port)
            except OSError as problem:
                if problem.errno not in {errno.EADDRINUSE, errno.EACCES}:
                    raise _no_port(problem) from problem
        try:
            return _listen(0)
        except OSError as problem:
            raise _no_port(problem) from problem

    def _bind_wanted(self, port: int) -> socket.socket:
        try:
            return _listen(port)
        except OSError as problem:
            raise SpecrunnerError(
                f"The API can't listen on {_LOOPBACK}:{port}: {problem.strerror}.",
                remedy="End what listens there, or choose another port with --port.",
            ) from problem


def _listen(port: int) -> socket.socket:
    # With the protocol named, asyncio sets TCP_NODELAY; without it, an answer in two writes stalls for 40 ms.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        # A predecessor's connections that linger must not keep us from its port.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((_LOOPBACK, port))
        listening.listen(128)
    except OSError:
        listening.close()
        raise
    return listening


def _no_port(problem: OSError) -> SpecrunnerError:
    return SpecrunnerError(
        f"The API for runs can't listen on {_LOOPBACK}: {problem.strerror}.",
        remedy="See whether this machine allows listening on loopback, and has file descriptors left.",
    )
