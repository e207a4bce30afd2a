"""The log of a run: a page of it from an offset on, or line by line as it grows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from specrunner.core.access import Identity, Scope
from specrunner.core.errors import BadInput, NotFound
from specrunner.engine.records import Run
from specrunner.server.api.runs import visible_run
from specrunner.server.api.table import JSON, PREFIX, Operation, Query, Service
from specrunner.targets.wire.codec import EVENTS, encode
from specrunner.targets.wire.events import ALIVE, DONE, LINES, Event, written
from specrunner.targets.wire.records import Done, LogLine, LogPage

_LOOK: Final = 0.2  # seconds between looks at a log that grows: as soon as a reader notices
_HEARTBEAT: Final = 5  # looks without news, after which a sign of life is sent: readers may want to leave
_LONGEST: Final = 15  # digits of a number


@dataclass(slots=True)
class _Reading:
    """Where a reader is: in the log of which attempt, and how far."""

    service: Service
    run_id: str
    attempt: int
    offset: int

    def page(self) -> tuple[Run, bool, LogPage]:
        """The run, whether that attempt had ended before this look, and the new lines."""
        engine = self.service.engine
        run = engine.runs.recovered(engine.history.get(self.run_id))
        if self.attempt > run.attempt:
            raise BadInput(f"The run has had {run.attempt} attempts so far.")
        over = run.status.ended or run.attempt > self.attempt
        found, self.offset = engine.runs.log(replace(run, attempt=self.attempt), self.offset)
        return run, over, LogPage(self.attempt, self.offset, [LogLine(line.time, line.text) for line in found])


async def _log(request: Request, service: Service, identity: Identity) -> Response:
    run = await run_in_threadpool(visible_run, service, identity, request.path_params["run_id"])
    follow = request.query_params.get("follow", "false") == "true"
    reading = _Reading(service, run.id, *_from(request, run, follow=follow))
    if not follow:
        _, _, page = await run_in_threadpool(reading.page)
        return Response(encode(page), media_type=JSON)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_followed(reading), media_type=EVENTS, headers=headers)


def _from(request: Request, run: Run, *, follow: bool) -> tuple[int, int]:
    """The attempt and the offset to go on from: those of the last event that came, of the query, or the beginning."""
    last, _, after = request.headers.get("last-event-id", "").partition(":")
    if follow and last:
        return _number(last), _number(after)
    query = request.query_params
    return _number(query.get("attempt", str(run.attempt))) or run.attempt, _number(query.get("offset", "0"))


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= _LONGEST):
        raise BadInput(f"A whole number was expected; {text[:50]!r} came.")
    return int(text)


async def _followed(reading: _Reading) -> AsyncIterator[bytes]:
    """The lines as events, until the run has ended, all of its attempts, or the server stops."""
    silent = 0
    while not reading.service.news.is_leaving:
        try:
            run, over, page = await run_in_threadpool(reading.page)
        except NotFound:  # its record is gone
            return
        if page.lines:
            silent = 0
            # All lines of a look are one event: a reader that is cut off goes on behind whole events.
            yield written(Event(LINES, encode(page), f"{page.attempt}:{page.offset}"))
            continue
        if over and run.attempt == reading.attempt:
            yield written(Event(DONE, encode(Done())))
            return
        if over:
            reading.attempt, reading.offset = reading.attempt + 1, 0
            continue
        silent += 1
        if silent % _HEARTBEAT == 0:
            yield ALIVE
        await asyncio.sleep(_LOOK)


OPERATIONS = [
    Operation(
        "GET",
        f"{PREFIX}/runs/{{run_id}}/log",
        Scope.READ,
        "Complete lines of a run's log from an offset on; followed, as server-sent events until the run ends",
        LogPage,
        raw=_log,
        query=(
            Query("attempt", int, "Of which attempt; default: the last."),
            Query("offset", int, "The offset that an earlier page told.", default=0),
            Query("follow", bool, "Go on with what is written from now on.", default=False),
        ),
    ),
]
