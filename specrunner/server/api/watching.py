"""How the server is: for load balancers and for Prometheus."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from specrunner.core import access
from specrunner.core.access import Identity
from specrunner.core.errors import SpecrunnerError
from specrunner.core.lifecycle import RunState
from specrunner.server.api.table import JSON, Operation, Service
from specrunner.targets.wire.codec import encode
from specrunner.targets.wire.records import Health

TEXT: Final = "text/plain; version=0.0.4"
_BEGAN: Final = time.time()


class Counting:
    """Middleware that counts requests by method and status, and adds their seconds up."""

    def __init__(self, app: ASGIApp, counts: Counts) -> None:
        self._app = app
        self._counts = counts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and count it once it was answered."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.monotonic(), 500

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            self._counts.add(scope["method"], status, time.monotonic() - began)


class Counts:
    """What `Counting` has counted. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: Counter[tuple[str, int]] = Counter()
        self._seconds = 0.0

    def add(self, method: str, status: int, seconds: float) -> None:
        """Count a request; methods that HTTP has not are one."""
        known = method if method in {"GET", "HEAD", "POST", "PUT", "DELETE"} else "other"
        with self._lock:
            self._requests[known, status] += 1
            self._seconds += seconds

    def lines(self) -> Iterator[str]:
        """What Prometheus reads."""
        with self._lock:
            requests, seconds = dict(self._requests), self._seconds
        yield from _metric("specrunner_http_requests_total", "counter", "Requests that were answered.")
        for (method, status), count in sorted(requests.items()):
            yield f'specrunner_http_requests_total{{method="{method}",status="{status}"}} {count}'
        yield from _metric("specrunner_http_request_seconds_total", "counter", "Seconds spent on them.")
        yield f"specrunner_http_request_seconds_total {seconds:.6f}"


def _metric(name: str, kind: str, words: str) -> Iterator[str]:
    yield f"# HELP {name} {words}"
    yield f"# TYPE {name} {kind}"


async def _healthy(_request: Request, _service: Service, _identity: Identity) -> Response:
    return Response(encode(Health("ok")), media_type=JSON)


async def _ready(_request: Request, service: Service, _identity: Identity) -> Response:
    """Whether requests are taken: the store answers, and the server does not stop."""
    try:
        await run_in_threadpool(service.engine.facts.get, "id")
        is_ready = not service.news.is_leaving
    except SpecrunnerError:
        is_ready = False
    return Response(encode(Health("ready" if is_ready else "not ready")), 200 if is_ready else 503, media_type=JSON)


async def _metrics(request: Request, service: Service, identity: Identity) -> Response:
    counts: Counts = request.app.state.counts
    lines = await run_in_threadpool(lambda: [*_gauges(service, identity), *counts.lines()])
    return Response("\n".join([*lines, ""]), media_type=TEXT)


def _gauges(service: Service, identity: Identity) -> Iterator[str]:
    engine = service.engine
    runs = engine.history.counts()
    yield from _metric("specrunner_runs", "gauge", "Runs on record, by status.")
    if not identity.is_limited:  # they are counted over all workspaces
        for state in RunState:
            yield f'specrunner_runs{{status="{state}"}} {runs.get(state, 0)}'
    tasks = [task for task in engine.tasks.all() if identity.sees_workspace(task.workspace)]
    kinds = Counter(
        "schedule" if task.spec.get("schedule") else "service" if task.spec.get("service") else "once" for task in tasks
    )
    yield from _metric("specrunner_tasks", "gauge", "Live tasks, by what starts them.")
    for kind in ("once", "schedule", "service"):
        yield f'specrunner_tasks{{kind="{kind}"}} {kinds[kind]}'
    yield from _metric("specrunner_hosting", "gauge", "Whether this process starts what is scheduled.")
    yield f"specrunner_hosting {int(engine.hosting.is_here)}"
    yield from _metric("process_start_time_seconds", "gauge", "When this process began, in seconds since the epoch.")
    yield f"process_start_time_seconds {_BEGAN:.3f}"


OPERATIONS = [
    Operation(
        "GET", "/healthz", None, "Whether the process answers; needs no token and tells nothing", Health, raw=_healthy
    ),
    Operation(
        "GET", "/readyz", None, "Whether it takes requests; needs no token and tells nothing else", Health, raw=_ready
    ),
    Operation("GET", "/metrics", access.Scope.READ, "Figures for Prometheus", "text/plain", raw=_metrics),
]
