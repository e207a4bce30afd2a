"""Listening: a thread with an event loop that serves an application on an address."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import socket
import ssl
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from specrunner.core.errors import SpecrunnerError, UsageError

LOOPBACK: Final = "127.0.0.1"
_HEADERS_WITHIN: Final = 20.0  # seconds that a client has to say what it wants
_MOST_CLIENTS: Final = 2000  # connections of one listener; more are told to come back


@dataclass(frozen=True, slots=True)
class Tls:
    """A certificate with its chain, and its key, as PEM files."""

    certificate: Path
    key: Path

    def check(self) -> None:
        """Raises UsageError where they can't be used."""
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self.certificate, self.key, password="")
        except (OSError, ssl.SSLError) as problem:
            raise UsageError(
                f"TLS can't be served with {self.certificate} and {self.key}.",
                detail=f"Reading them fails: {problem.strerror or problem}.",
                remedy="Name PEM files that fit each other; the key must not have a password.",
            ) from problem


class Listener:
    """One address that is listened on. It listens already when this returns; `start` begins to answer."""

    def __init__(self, host: str, port: int) -> None:
        """Bind. Raises OSError."""
        self.host = host
        self._socket = _bound(host, port)
        self.port: int = self._socket.getsockname()[1]
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    def start(self, app: ASGIApp, tls: Tls | None = None) -> None:
        """Answer with an application."""
        options: dict[str, Any] = {}
        if tls is not None:
            options = {"ssl_certfile": str(tls.certificate), "ssl_keyfile": str(tls.key)}
        if self.host != LOOPBACK:
            options |= {"http": Guarded, "limit_concurrency": _MOST_CLIENTS, "server_header": False}
        config = uvicorn.Config(
            app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=5, **options
        )
        self._server = uvicorn.Server(config)
        # The socket listens already: a request that comes before the loop runs waits in its queue.
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, name=f"api {self.port}", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop listening; requests under way are answered first, as far as that takes no longer than seconds."""
        if self._server is None or self._thread is None:
            self._socket.close()
            return
        self._server.should_exit = True
        self._thread.join()
        self._server = self._thread = None


class Guarded(H11Protocol):
    """uvicorn's protocol, which gives a client only so long to send the head of a request."""

    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """A client has come."""
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """A piece of a request has come."""
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    def _watch(self) -> None:
        """The clock runs from the first piece on, and stops when the head is complete."""
        if self.conn.their_state is not h11.IDLE:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
        elif self._timer is None:
            self._timer = self.loop.call_later(_HEADERS_WITHIN, self._cut)

    def _cut(self) -> None:
        self._timer = None
        if self.conn.their_state is h11.IDLE and not self.transport.is_closing():
            self.transport.close()


def unusable(host: str, port: int, problem: OSError) -> SpecrunnerError:
    """The words for an address that can't be had."""
    taken = problem.errno == errno.EADDRINUSE
    return SpecrunnerError(
        f"The API can't listen on {host}:{port}: {problem.strerror or problem}.",
        remedy="End what listens there, or choose another port with --port."
        if taken
        else "Name an address of this machine with --host, and a port that you may use with --port.",
    )


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if _is_v6(host) else socket.AF_INET
    # With the protocol named, asyncio sets TCP_NODELAY; without it, an answer in two writes stalls for 40 ms.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        # A predecessor's connections that linger must not keep us from its port.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(512)
    except OSError:
        listening.close()
        raise
    return listening


def _is_v6(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).version == 6
    except ValueError:
        return False
