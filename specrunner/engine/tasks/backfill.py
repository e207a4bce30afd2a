"""Making up for missed instants because a person asks for it: each gets a run, however long ago it was."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from specrunner.core.due import Due, Timing
from specrunner.core.errors import BadInput
from specrunner.core.lifecycle import RunState
from specrunner.core.values import iso, utc
from specrunner.engine.context import Context, stored_instant
from specrunner.engine.records import Origin, Task
from specrunner.engine.store import tables
from specrunner.engine.tasks.claims import Entry, timing_of, write_entries

_R = tables.runs
MOST = 1000  # instants at once


def missed(context: Context, task: Task, begin: datetime, end: datetime) -> list[datetime]:
    """The instants of a span that have had no run: none was made, or what was made is a skip. Raises BadInput."""
    with context.database.read() as connection:
        return _missed(context, connection, task, begin, end)


def backfilled(context: Context, task: Task, begin: datetime, end: datetime) -> list[str]:
    """Make a run for each of them; their ids, oldest first. Raises BadInput."""
    with context.database.write() as connection:
        instants = _missed(context, connection, task, begin, end)
        entries = [Entry(task, Due(instant, instant), Origin.BACKFILL) for instant in instants]
        return write_entries(context, connection, entries)


def _missed(context: Context, connection: Connection, task: Task, begin: datetime, end: datetime) -> list[datetime]:
    begin, end = utc(begin), min(utc(end), utc(context.clock.now()))
    timing = timing_of(task)
    if timing is None:
        raise BadInput(
            f"The task {task.name!r} has no schedule, and so has missed nothing.",
            remedy=f"`specrunner run {shlex.quote(task.name)}` runs it now.",
        )
    if begin > end:
        raise BadInput(
            f"There is no time between {iso(begin)} and {iso(end)}.",
            remedy="Give a beginning that lies before the end, and in the past.",
        )
    had = _had(connection, task.id)
    return [instant for instant in _instants(timing, begin, end, task.name) if stored_instant(instant) not in had]


def _instants(timing: Timing, begin: datetime, end: datetime, name: str) -> Sequence[datetime]:
    found: list[datetime] = []
    instant = timing.fire(begin - timedelta.resolution)
    while instant is not None and instant <= end:
        found.append(instant)
        if len(found) > MOST:
            raise BadInput(
                f"The schedule of {name!r} has more than {MOST} instants from {iso(begin)} to {iso(end)}.",
                remedy=f"Go in parts: the first {MOST} end at {iso(found[-2])}.",
            )
        instant = timing.fire(instant)
    return found


def _had(connection: Connection, task_id: str) -> set[str]:
    """The instants of a task that have a run, ended or not, and not only a skip."""
    instant = sa.func.coalesce(_R.c.scheduled_at, _R.c.due_at)
    query = sa.select(instant).where(
        _R.c.task_id == task_id, _R.c.status != str(RunState.SKIPPED), instant.is_not(None)
    )
    return set(connection.execute(query).scalars())
