"""A run's log, line by line, also while it grows."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

from specrunner.engine.records import Run

if TYPE_CHECKING:
    from specrunner.engine.engine import Engine

_LOOK = 0.2  # seconds between looks at a log that grows: as soon as a reader notices


def lines(engine: Engine, run_id: str, stopped: threading.Event | None) -> Iterator[tuple[float, str]]:
    """The lines of a run's log with their times, in seconds since the epoch.

    Where `stopped` is given also those to come, until the run has ended or it is set. Another attempt of the run has
    a log of its own, which follows.
    """
    run, offset = engine.history.get(run_id), 0
    while True:
        # Asked before the log is read: what was written before the end is read then.
        ended = stopped is None or _is_over(engine, run)
        found, offset = engine.runs.log(run, offset)
        yield from ((line.time, line.text) for line in found)
        if found:
            continue
        if stopped is None:
            return
        latest = engine.history.get(run_id)
        if ended and not latest.status.ended:
            latest = engine.runs.recovered(latest)
        if latest.attempt != run.attempt:
            offset = 0
        elif (ended and latest.status.ended) or stopped.wait(_LOOK):
            return
        run = latest


def _is_over(engine: Engine, run: Run) -> bool:
    """Whether the process of the run has left, whatever the record says yet."""
    return engine.runs.observed(run).ended
