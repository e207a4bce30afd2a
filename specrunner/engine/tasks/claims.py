"""Writing down what came of schedules: runs that are claimed, skips, and where a changed schedule begins anew.

Everything here happens in the transaction of whoever moves a task's `since`; the unique constraint on (task, instant)
stands behind it.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from specrunner.core.due import Due, Passed, Timing, effective_since, superseded, unrecorded
from specrunner.core.lifecycle import RunState
from specrunner.core.values import parse_iso
from specrunner.engine.context import Context, stored_instant
from specrunner.engine.records import Origin, Task
from specrunner.engine.store import tables
from specrunner.engine.tasks.history import fresh

_logger = logging.getLogger(__name__)

_R = tables.runs
_O = tables.orchestrations
MOST = 5000  # ids in one statement


@dataclass(frozen=True, slots=True)
class Entry:
    """Something to be written down of a task: an instant to run, or instants that come to nothing."""

    task: Task
    what: Due | Passed
    origin: Origin = Origin.SCHEDULE
    instant: str = field(init=False, compare=False)  # what the record is known by

    def __post_init__(self) -> None:
        known_by = self.what.instant if isinstance(self.what, Due) else self.what.last
        object.__setattr__(self, "instant", stored_instant(known_by))

    @property
    def earliest(self) -> str:
        """The first instant that it says something of."""
        return self.instant if isinstance(self.what, Due) else stored_instant(self.what.first)


def _shortened(entry: Entry, known: Collection[tuple[str, str]]) -> Entry | None:
    """Without the last instants of a skip that have a record already: they would leave the others without one."""
    if isinstance(entry.what, Due) or (entry.task.id, entry.instant) not in known:
        return entry
    timing = timing_of(entry.task)
    recorded = {parse_iso(instant) for task_id, instant in known if task_id == entry.task.id}
    found = unrecorded(timing, entry.what, recorded) if timing else None
    return None if found is None else replace(entry, what=found)


def timing_of(task: Task) -> Timing | None:
    """When a task runs; None where it has no schedule, or one that can't be read any more."""
    schedule = task.spec.get("schedule")
    if schedule is None:
        return None
    try:
        return Timing.of(str(task.key), schedule, task.suspended)
    except ValueError:
        _logger.exception("action=schedule task=%s its schedule can't be read, and starts nothing", task.key)
        return None


def write_entries(context: Context, connection: Connection, entries: Sequence[Entry]) -> list[str]:
    """Insert what has no record yet; the ids of the new runs.

    What a person asks for comes on top of the skip of the same instant: it leaves the instant's identity to that.
    """
    if not entries:
        return []
    known = _known(connection, entries)
    entries = [found for entry in entries if (found := _shortened(entry, known))]
    versions = _versions(connection, {entry.task.orchestration_id for entry in entries})
    now, rows = context.now(), []
    for entry in entries:
        row = fresh(entry.task, *versions[entry.task.orchestration_id], entry.origin) | _said(entry, now)
        if (entry.task.id, entry.instant) not in known:
            known.add((entry.task.id, entry.instant))
            rows.append(row)
        elif entry.origin is Origin.BACKFILL:
            rows.append(row | {"scheduled_at": None})
    insert_runs(context, connection, rows)
    return [row["id"] for row in rows]


def insert_runs(context: Context, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert whole rows, each with its line of history."""
    if rows:
        connection.execute(sa.insert(_R), rows)
        context.events(connection, [(f"run:{row['id']}", row["status"], {"reason": row["reason"]}) for row in rows])


def left_behind(context: Context, connection: Connection, task: Task, new: Timing | None) -> datetime:
    """A task's schedule becomes another: what was due and unclaimed gets its record; from where the new one counts."""
    now, old = context.clock.now(), timing_of(task)
    if old is not None and (passed := superseded(old, task.since, now)):
        write_entries(context, connection, [Entry(task, passed)])
    return now if new is None else effective_since(old, new, task.since, now)


def chunks(ids: Collection[str]) -> Iterator[list[str]]:
    """The ids in parts, each small enough for one statement."""
    rest = iter(ids)
    while part := list(islice(rest, MOST)):
        yield part


def _said(entry: Entry, now: str) -> dict[str, Any]:
    """The columns in which runs and skips differ; every row names all of them, as one statement inserts both."""
    what, ended = entry.what, {"ended_at": None, "created_at": now, "scheduled_at": entry.instant}
    if isinstance(what, Due):
        return ended | {"due_at": entry.instant if what.at == what.instant else stored_instant(what.at)}
    several = {"first_at": stored_instant(what.first)} if what.first != what.last else {}
    skipped = {"status": RunState.SKIPPED, "reason": what.reason, "detail": what.detail, "ended_at": now}
    return ended | skipped | several


def _known(connection: Connection, entries: Sequence[Entry]) -> set[tuple[str, str]]:
    """Task and instant of the records that are there already, from the earliest of the entries on."""
    earliest, found = min(entry.earliest for entry in entries), set()
    for part in chunks({entry.task.id for entry in entries}):
        query = sa.select(_R.c.task_id, _R.c.scheduled_at).where(_R.c.task_id.in_(part), _R.c.scheduled_at >= earliest)
        found |= {(row.task_id, row.scheduled_at) for row in connection.execute(query)}
    return found


def _versions(connection: Connection, ids: Collection[str]) -> dict[str, tuple[str, str]]:
    """By orchestration id, the sha and the environment of a version."""
    found: dict[str, tuple[str, str]] = {}
    for part in chunks(ids):
        query = sa.select(_O.c.id, _O.c.sha, _O.c.environment).where(_O.c.id.in_(part))
        found |= {row.id: (row.sha, row.environment) for row in connection.execute(query)}
    return found
