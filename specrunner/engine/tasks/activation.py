"""Starting a service at the first connection to its port.

While the service sleeps its host listens in its place. The connection that wakes it is kept, and passed on once the
service answers, so that who came first notices nothing but the wait. Later ones reach the service itself.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

_logger = logging.getLogger(__name__)

_LOOPBACK = "127.0.0.1"
_LOOK = 0.5  # seconds between looks whether anybody listens for still
_STARTS_WITHIN = 60.0  # seconds that a service has to answer whoever woke it
_BETWEEN_TRIES = 0.05  # seconds
_CHUNK = 65_536  # bytes


@dataclass(slots=True)
class Doorman:
    """Listens for services that sleep. `woken` is told of a service somebody has called."""

    woken: Callable[[str], None]
    _doors: dict[str, _Door] = field(default_factory=dict)

    def watch(self, service: str, port: int) -> None:
        """Listen on the port of a service, if nobody does."""
        door = self._doors.get(service)
        if door is not None and door.port == port and not door.closed.is_set():
            return
        self.leave(service)
        try:
            listening = socket.create_server((_LOOPBACK, port))
        except OSError as problem:
            _logger.warning("action=activate service=%s can't listen on port %s: %s", service, port, problem.strerror)
            return
        self._doors[service] = door = _Door(port, listening)
        threading.Thread(target=self._wait, args=(service, door), name=f"door {port}", daemon=True).start()

    def leave(self, service: str) -> None:
        """Listen no more: the service runs, or is not to."""
        door = self._doors.pop(service, None)
        if door is not None:
            door.close()

    def only(self, services: Collection[str]) -> None:
        """Listen no more for others than these."""
        for service in [service for service in self._doors if service not in services]:
            self.leave(service)

    def close(self) -> None:
        """Listen no more for any."""
        self.only(())

    def _wait(self, service: str, door: _Door) -> None:
        caller = door.caller()
        if caller is None:
            return
        door.close()  # the service is to listen there itself
        self.woken(service)
        with caller:
            _pass_on(caller, door.port)


@dataclass(slots=True)
class _Door:
    port: int
    listening: socket.socket
    closed: threading.Event = field(default_factory=threading.Event)

    def caller(self) -> socket.socket | None:
        """Who comes first; None once it is closed."""
        self.listening.settimeout(_LOOK)
        while not self.closed.is_set():
            try:
                return self.listening.accept()[0]
            except TimeoutError:
                continue
            except OSError:
                return None
        return None

    def close(self) -> None:
        self.closed.set()
        self.listening.close()


def _pass_on(caller: socket.socket, port: int) -> None:
    """Let the one who woke the service talk to it, as soon as it answers."""
    service = _connected(port)
    if service is None:
        _logger.warning("action=activate port=%s the service did not answer in time", port)
        return
    with service:
        caller.settimeout(None)
        back = threading.Thread(target=_pump, args=(service, caller), name=f"door {port} back", daemon=True)
        back.start()
        _pump(caller, service)
        back.join()


def _connected(port: int) -> socket.socket | None:
    pause = threading.Event()
    for _ in range(round(_STARTS_WITHIN / _BETWEEN_TRIES)):
        try:
            return socket.create_connection((_LOOPBACK, port))
        except OSError:
            pause.wait(_BETWEEN_TRIES)
    return None


def _pump(source: socket.socket, sink: socket.socket) -> None:
    """Pass on what comes until there is no more; then the other side is told so."""
    with contextlib.suppress(OSError):
        while data := source.recv(_CHUNK):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
