"""HTTP/1.1 with the standard library: one kept-alive connection per thread.

Proxies of the environment are not used and redirects are not followed, so that the token goes to the platform only.
"""

from __future__ import annotations

import http.client
import os
import select
import socket
import threading
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakSet

from specrunner.sdk.exceptions import RequestTimeoutError
from specrunner.sdk.transport import Answer, InterruptedRequestError, NotConnectedError, Request, unreachable

CONNECT_TIMEOUT = 5.0  # seconds
USER_AGENT = "specrunner-sdk"


class Wire:
    """The connections to the platform at the base URL `endpoint`, http or https."""

    def __init__(self, endpoint: str) -> None:
        parts = urlsplit(endpoint)
        self._endpoint = endpoint
        self._kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._host = parts.hostname or ""
        self._port = parts.port
        self._prefix = parts.path
        self._local = threading.local()
        self._all: WeakSet[_Kept] = WeakSet()
        self._lock = threading.Lock()

    def exchange(self, request: Request) -> Answer:
        """Send once and return the whole answer.

        Raises NotConnectedError where the connection was refused, InterruptedRequestError where it broke later,
        RequestTimeoutError where no answer came in time, CommunicationError where the platform cannot be reached.
        """
        connection = self._connected()
        try:
            return self._exchange(connection, request)
        except socket.timeout as fault:  # noqa: UP041  # another class than TimeoutError before Python 3.10
            raise RequestTimeoutError(
                f"{self._endpoint} did not answer within {request.timeout:g} s",
                f"The request was {request.method} {request.path}.",
                "Try again, or allow more time.",
            ) from fault
        except (OSError, http.client.HTTPException) as fault:
            raise InterruptedRequestError(str(fault) or type(fault).__name__) from fault

    def close(self) -> None:
        """Close the connections of all threads."""
        with self._lock:
            for kept in self._all:
                kept.connection.close()

    def _exchange(self, connection: http.client.HTTPConnection, request: Request) -> Answer:
        headers = {"User-Agent": USER_AGENT, **(request.headers or {})}
        body: Any = request.body
        if body is not None and not isinstance(body, (bytes, memoryview)):
            headers["Content-Length"] = str(body.length)
        whole = False
        try:
            connection.sock.settimeout(request.timeout)
            # A server that refuses a large body answers and hangs up while it is still being sent: the answer counts.
            with suppress(BrokenPipeError, ConnectionResetError):
                connection.request(request.method, self._prefix + request.target, body, headers)
            response = connection.getresponse()
            answer = Answer(response.status, response.read())
            whole = True
            return answer
        finally:
            # After anything else, Ctrl-C included, half an answer may be left in the pipe.
            if not whole:
                connection.close()

    def _connected(self) -> http.client.HTTPConnection:
        kept: _Kept | None = getattr(self._local, "kept", None)
        # A forked child must not speak on its parent's socket.
        if kept is None or kept.pid != os.getpid():
            kept = _Kept(self._kind(self._host, self._port, timeout=CONNECT_TIMEOUT))
            self._local.kept = kept
            with self._lock:
                self._all.add(kept)
        connection = kept.connection
        if connection.sock is not None and _has_ended(connection.sock):
            connection.close()
        if connection.sock is None:
            self._connect(connection)
        return connection

    def _connect(self, connection: http.client.HTTPConnection) -> None:
        try:
            connection.connect()
            connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except (ConnectionRefusedError, ConnectionResetError) as fault:
            connection.close()
            raise NotConnectedError(str(fault)) from fault
        except OSError as fault:
            connection.close()
            raise unreachable(self._endpoint, fault) from fault


class _Kept:
    """The connection of one thread in one process, closed when the thread ends."""

    def __init__(self, connection: http.client.HTTPConnection) -> None:
        self.connection = connection
        self.pid = os.getpid()

    def __del__(self) -> None:
        self.connection.close()


def _has_ended(sock: socket.socket) -> bool:
    """Whether an idle connection has something to read: then the other side has closed it."""
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))
