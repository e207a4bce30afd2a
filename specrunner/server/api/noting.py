"""Answering what takes long: notes as it goes on, then the answer, as server-sent events."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from specrunner.core.errors import SpecrunnerError
from specrunner.server.news import News
from specrunner.targets.base import Note
from specrunner.targets.wire.codec import EVENTS, encode
from specrunner.targets.wire.events import ALIVE, DONE, FAILED, NOTE, Event, written
from specrunner.targets.wire.faults import fault_of

_HEARTBEAT: Final = 10  # seconds; proxies give a silent answer up after a minute or so
_NO_BUFFER: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
_logger = logging.getLogger(__name__)


def noted(work: Callable[[Note], bytes], news: News) -> StreamingResponse:
    """Do the work in a thread, and tell what it notes. It goes on where nobody listens any more."""
    loop = asyncio.get_running_loop()
    events: asyncio.Queue[Event] = asyncio.Queue()

    def note(text: str) -> None:
        loop.call_soon_threadsafe(events.put_nowait, Event(NOTE, encode(text)))

    async def done() -> None:
        await events.put(await run_in_threadpool(_outcome, work, note))

    async def stream() -> AsyncIterator[bytes]:
        doing = asyncio.create_task(done())
        try:
            silent = 0
            while not news.is_leaving:
                try:
                    event = await asyncio.wait_for(events.get(), 1.0)
                except TimeoutError:
                    silent += 1
                    if silent % _HEARTBEAT == 0:
                        yield ALIVE
                    continue
                yield written(event)
                if event.name in {DONE, FAILED}:
                    return
        finally:
            _KEPT.add(doing)
            doing.add_done_callback(_KEPT.discard)

    return StreamingResponse(stream(), media_type=EVENTS, headers=_NO_BUFFER)


def _outcome(work: Callable[[Note], bytes], note: Note) -> Event:
    try:
        return Event(DONE, work(note))
    except SpecrunnerError as problem:
        return Event(FAILED, encode(fault_of(problem)))
    except Exception:
        _logger.exception("action=request the engine failed")
        fault = SpecrunnerError("The engine failed at this request; its log says why.")
        return Event(FAILED, encode(fault_of(fault)))


_KEPT: Final[set[asyncio.Task[None]]] = set()  # asyncio itself keeps no task alive
