"""Hosting the API: for runs a thread of this process that listens on loopback, and for others where they ask for it.

The port is stored with the state, so that whoever opens the engine again binds the same one, and a run whose
host was killed finds the next host where it looks for it.
"""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from specrunner.core.errors import SpecrunnerError
from specrunner.engine.engine import Engine
from specrunner.engine.records import Run
from specrunner.server.access import Access
from specrunner.server.app import Own, build_app
from specrunner.server.background import Background
from specrunner.server.listening import LOOPBACK, Listener, Tls, unusable
from specrunner.server.news import News

_PORT_FACT = "api-port"


@dataclass(frozen=True, slots=True)
class Public:
    """Where others than runs are answered, beside loopback."""

    host: str
    port: int
    tls: Tls | None = None

    @property
    def address(self) -> str:
        """The base URL."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http{'s' if self.tls else ''}://{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Serving:
    """What whoever hosts the state offers beyond the API for runs: specrunner's own API.

    `carry` sees to it that a run which waits is carried out; `is_open` says whether loopback needs no token.
    """

    carry: Callable[[Run], None]
    is_open: Callable[[], bool] = lambda: False
    public: Public | None = None


@dataclass(slots=True)
class LoopbackApi:
    """Adapter of the port `RunApi`: starts at the first call of `address`, on `port` if that is said.

    `besides` are routes that it answers too.
    """

    engine: Engine
    port: int | None = None
    besides: Sequence[BaseRoute] = ()
    serving: Serving | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _listeners: list[Listener] = field(default_factory=list)
    _news: list[News] = field(default_factory=list)
    accesses: list[Access] = field(default_factory=list, init=False)
    _background: Background | None = None

    def address(self) -> str:
        """The base URL; listening when this returns. Raises SpecrunnerError if no port can be had."""
        with self._lock:
            if not self._listeners:
                self._start()
            return f"http://{LOOPBACK}:{self._listeners[0].port}"

    def close(self) -> None:
        """Stop listening; requests under way are answered first, and who waits for something is let go."""
        with self._lock:
            for news in self._news:
                news.leave()
            while self._listeners:
                self._listeners.pop().close()
            if self._background is not None:
                self._background.close()
                self._background = None

    def _start(self) -> None:
        loopback = self._bind()
        if self.port is not None or self.engine.facts.get(_PORT_FACT) is None:
            # Kept for good: a second host that had to take another port must not lead the first one's runs astray.
            self.engine.facts.put(_PORT_FACT, str(loopback.port))
        public = self.serving.public if self.serving else None
        try:
            others = [_listener(public.host, public.port)] if public else []
        except SpecrunnerError:
            loopback.close()
            raise
        self._background = Background(self.engine)
        if self.serving is not None:
            self._background.resume()
        self._answer(loopback, self.serving.is_open if self.serving else None)
        for listener in others:
            self._answer(listener, None, public.tls if public else None)

    def _answer(self, listener: Listener, is_open: Callable[[], bool] | None, tls: Tls | None = None) -> None:
        listener.start(self._app(is_open), tls)
        self._listeners.append(listener)

    def _app(self, is_open: Callable[[], bool] | None) -> ASGIApp:
        """An application for one listener: who waits does so in its event loop."""
        if self.serving is None:
            return build_app(self.engine, None, self.besides, self._background)
        news = News(self.engine)
        access = Access(self.engine, is_open) if is_open else Access(self.engine)
        self._news.append(news)
        self.accesses.append(access)
        return build_app(self.engine, Own(access, news, self.serving.carry), self.besides, self._background)

    def _bind(self) -> Listener:
        if self.port is not None:
            return _listener(LOOPBACK, self.port)
        stored = self.engine.facts.get(_PORT_FACT)
        for port in [int(stored)] if stored else []:
            try:
                return Listener(LOOPBACK, port)
            except OSError as problem:
                if problem.errno not in {errno.EADDRINUSE, errno.EACCES}:
                    raise _no_port(problem) from problem
        try:
            return Listener(LOOPBACK, 0)
        except OSError as problem:
            raise _no_port(problem) from problem


def _listener(host: str, port: int) -> Listener:
    try:
        return Listener(host, port)
    except OSError as problem:
        raise unusable(host, port, problem) from problem


def _no_port(problem: OSError) -> SpecrunnerError:
    return SpecrunnerError(
        f"The API for runs can't listen on {LOOPBACK}: {problem.strerror}.",
        remedy="See whether this machine allows listening on loopback, and has file descriptors left.",
    )
