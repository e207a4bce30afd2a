"""A run's log as it grows, over connections that may break: each goes on behind the last line that came."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Final
from urllib.parse import quote

from specrunner.core.errors import Transient
from specrunner.targets.server.http import Connection, Sent
from specrunner.targets.wire import events
from specrunner.targets.wire.codec import decode
from specrunner.targets.wire.records import LogPage

_PAUSE: Final = 0.5  # seconds before a connection that broke is made anew
_TRIES: Final = 60  # breaks in a row, without a line between them


def lines(http: Connection, run_id: str, stopped: threading.Event) -> Iterator[tuple[float, str]]:
    """The lines with their times, until the run has ended or `stopped` is set. Raises Transient at many breaks."""
    last, broken = "", 0
    path = f"/runs/{quote(run_id, safe='')}/log"
    while not stopped.is_set():
        try:
            sent = Sent("GET", path, query={"follow": True}, events=True, last_event=last)
            with http.stream(sent, stopped.is_set) as found:
                for event in found:
                    if event.name == events.DONE:
                        return
                    page = decode(event.data, LogPage)
                    yield from ((line.time, line.text) for line in page.lines)
                    last, broken = event.id, 0
            broken += 1
        except Transient:
            broken += 1
            if broken > _TRIES:
                raise
        stopped.wait(_PAUSE)
