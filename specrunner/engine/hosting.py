"""Who hosts a state folder: at most one living process, which others find here, and wake by ringing a bell.

A host is alive as long as its process is. Where that can't be known, because it runs on another machine or in another
container, its lease counts, which it renews.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from specrunner.core.errors import Busy
from specrunner.core.leases import Holder, Lease
from specrunner.core.ports import Clock
from specrunner.core.values import iso, utc
from specrunner.engine.leases import Leases, knows_process, process_lives

LEASE: Final = "host"
_BELL: Final = "bell"
_LOOK: Final = 1.0  # seconds between two looks whether the bell was taken down


class Hosting:
    """The service that knows the host of a state folder."""

    def __init__(self, folder: Path, leases: Leases, clock: Clock) -> None:
        self._folder = folder
        self._leases = leases
        self._clock = clock
        self._token = ""

    def living(self) -> Holder | None:
        """The host that lives, None where there is none or where this engine is its own."""
        lease = self._leases.named(LEASE)
        if lease is None or lease.holder.token == self._token or not self._lives(lease):
            return None
        return lease.holder

    @property
    def is_here(self) -> bool:
        """Whether this engine is its own host."""
        return bool(self._token)

    def take(self, holder: Holder) -> None:
        """Become the host. Raises Busy, naming who is."""
        found = self.living()
        if found is None and (lease := self._leases.take(LEASE, holder)):
            found = lease.holder
            if lease.name != LEASE:
                raise Busy(
                    "The state is being worked on as a whole.",
                    detail=f"The lease {lease.name} is held by {_words(found)}.",
                    remedy="Wait until that has ended, then start `specrunner serve` again.",
                )
        if found is not None:
            raise Busy(
                "A host serves this state folder already.",
                detail=f"It is {_words(found)}.",
                remedy="One is enough: it takes up whatever is applied here. To replace it, end it first.",
            )
        self._token = holder.token

    def check_unhosted(self) -> None:
        """Raises Busy, naming the host, where one lives: for what must not happen under it."""
        if (host := self.living()) is not None:
            raise Busy(
                "`specrunner serve` hosts this state folder, and works with what is to be changed.",
                detail=f"It is {_words(host)}.",
                remedy="End it first; its runs go on, and it takes them up when it is started again.",
            )

    def renew(self) -> bool:
        """Stay the host; False where somebody else has taken it over."""
        return self._leases.renew(LEASE, self._token)

    def give_back(self) -> None:
        """Be the host no more."""
        if self._token:
            self._leases.release(LEASE, self._token)
            self._token = ""

    def ring(self) -> None:
        """Wake the host, if one listens; it would look by itself a second later."""
        _ring(self._folder)

    def bell(self) -> Bell:
        """The bell that `ring` rings, hung up for the host."""
        return Bell(self._folder)

    def _lives(self, lease: Lease) -> bool:
        if knows_process(lease.holder):
            return process_lives(lease.holder)
        return not lease.expired(utc(self._clock.now()))


class Bell:
    """Rung by this process, or by any other through a socket in the state folder. A lost ring is no harm."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._rung = threading.Event()
        self._closed = threading.Event()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.settimeout(_LOOK)
        with contextlib.suppress(OSError), _address(folder) as address:  # without it, looks every second remain
            (folder / _BELL).unlink(missing_ok=True)
            self._socket.bind(address)
        self._listener = threading.Thread(target=self._listen, name="bell", daemon=True)
        self._listener.start()

    def ring(self) -> None:
        """Wake whoever waits."""
        self._rung.set()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it rings, at most so many seconds."""
        return self._rung.wait(timeout)

    def clear(self) -> None:
        """Be silent until it is rung again."""
        self._rung.clear()

    def close(self) -> None:
        """Take it down."""
        self._closed.set()
        _ring(self._folder)  # ends its waiting
        self._listener.join()
        self._socket.close()
        with contextlib.suppress(OSError):
            (self._folder / _BELL).unlink(missing_ok=True)

    def _listen(self) -> None:
        while not self._closed.is_set():
            with contextlib.suppress(OSError):  # its time is over, mostly
                self._socket.recv(16)
                self._rung.set()


def _ring(folder: Path) -> None:
    with (
        contextlib.suppress(OSError),
        _address(folder) as address,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender,
    ):
        sender.setblocking(False)
        sender.sendto(b"!", address)


@contextmanager
def _address(folder: Path) -> Iterator[str]:
    """A path to the socket that is short enough for one, however deep the folder lies."""
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}/{_BELL}"
    finally:
        os.close(descriptor)


def _words(holder: Holder) -> str:
    since = iso(holder.since.replace(microsecond=0))
    return f"process {holder.pid} on {holder.host}, started by {holder.who} at {since}"
