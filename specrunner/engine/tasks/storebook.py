"""The book on the store: a few statements for however many tasks, each step one transaction.

What changed is read from the events, which are written in the transaction of every change: their last number is the
generation. Starting is left to whoever carries runs out in this process, and never waited for.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from specrunner.core.lifecycle import Reason, RunState, TaskState
from specrunner.core.overlap import Waiting
from specrunner.core.values import parse_iso
from specrunner.engine.context import Context, stored_instant
from specrunner.engine.records import Origin, Task
from specrunner.engine.store import tables
from specrunner.engine.tasks.book import Changes, OpenRuns, Scheduled, Settling
from specrunner.engine.tasks.claims import Entry, chunks, timing_of, write_entries
from specrunner.engine.tasks.tasks import SELECT, records_of

_T = tables.tasks
_R = tables.runs
_E = tables.events
_OPEN = (str(RunState.PENDING), str(RunState.RUNNING))
_DOWN = (str(TaskState.PENDING_KILL), str(TaskState.KILLED))
_MOST_REMEMBERED = 50_000  # waiting runs
_FEW = 200  # ids, up to which it pays to name them in a statement instead of reading all open runs


class Carrying(Protocol):
    """Carries runs out in this process. Nothing here waits."""

    def take(self, run_id: str, task_id: str) -> None:
        """Carry it out, or go on with it; one that is carried out already is fine."""

    def end(self, run_id: str, grace: bool) -> None:
        """Have it killed."""

    def carried(self) -> Collection[str]:
        """The runs that are being carried out here."""


@dataclass(frozen=True, slots=True)
class StoreBook:
    """The `Book` of one host. `told` hears of tasks that were made or changed, and the ids of those that are gone."""

    context: Context
    carrier: Carrying
    told: Callable[[Sequence[Task], Collection[str]], None] = lambda _tasks, _gone: None
    _waiting: dict[str, str] = field(default_factory=dict)  # run -> task, as last seen
    _own: list[tuple[int, int]] = field(default_factory=list)  # events that this host wrote: after one, up to another

    def changes_since(self, generation: int | None) -> Changes:
        """What changed after a generation; the port says how."""
        with self.context.database.snapshot(), self.context.database.read() as connection:
            latest = _last_event(connection)
            if generation is None:
                changed = set(connection.execute(sa.select(_T.c.id)).scalars())
                query = sa.select(_R.c.task_id).where(_R.c.status.in_(_OPEN)).distinct()
                touched = tuple(connection.execute(query).scalars())
            elif latest == generation:
                return Changes(latest)
            else:
                changed = _changed_tasks(connection, generation)
                touched = tuple(connection.execute(self._touched(latest), {"after": generation}).scalars())
            found = _tasks_of(connection, changed)
            orphans = connection.execute(_ORPHANS.where(_R.c.task_id.in_(touched))).all() if touched else ()
        here = [task for task in found if task.status not in _DOWN]
        gone = changed - {task.id for task in here}
        if here or gone:
            self.told(here, gone)
        for orphan in orphans:  # no rules of a task hold for them; who carries them out finds and says why they end
            self.carrier.take(orphan.id, orphan.task_id)
        return Changes(
            latest, tuple(Scheduled(task.id, timing_of(task), task.since) for task in here), tuple(gone), touched
        )

    def settle(self, found: Sequence[Settling]) -> Mapping[str, datetime]:
        """Claim, skip and move `since` in one transaction; the port says how."""
        with self.context.database.write() as connection:
            tasks = {task.id: task for task in _tasks_of(connection, [settling.task_id for settling in found])}
            since = {task_id: task.since for task_id, task in tasks.items() if task.status not in _DOWN}
            taken = [settling for settling in found if since.get(settling.task_id) == settling.since]
            before = _last_event(connection)
            entries: list[Entry] = []
            for settling in taken:
                task = tasks[settling.task_id]
                entries += [Entry(task, passed) for passed in settling.passed]
                entries += [Entry(task, due) for due in settling.claims]
            write_entries(self.context, connection, entries)
            if taken:
                values = [{"this": one.task_id, "now": stored_instant(one.settled)} for one in taken]
                connection.execute(_SETTLE, values)
            written = (before, _last_event(connection))
        if entries:
            self._own.append(written)
        return since | {settling.task_id: settling.settled for settling in taken}

    def open_runs(self, task_ids: Collection[str]) -> Mapping[str, OpenRuns]:
        """The runs of these tasks that have not ended; one that lives and that nobody here waits for is taken on."""
        carried = self.carrier.carried()
        if len(self._waiting) > _MOST_REMEMBERED:  # those that were killed as they waited are never asked for
            self._waiting.clear()
        waiting: dict[str, list[Waiting]] = {}
        live: dict[str, list[str]] = {}
        for row in self._open(task_ids):
            if _is_live(row) or row.id in carried:
                live.setdefault(row.task_id, []).append(row.id)
                self.carrier.take(row.id, row.task_id)
            else:
                due = parse_iso(row.due_at or row.created_at)
                run = Waiting(row.id, due, asked=row.origin != Origin.SCHEDULE)
                waiting.setdefault(row.task_id, []).append(run)
                self._waiting[row.id] = row.task_id
        return {
            task_id: OpenRuns(tuple(waiting.get(task_id, ())), tuple(live.get(task_id, ())))
            for task_id in waiting.keys() | live.keys()
        }

    def skip(self, runs: Sequence[tuple[str, Reason]]) -> None:
        """End waiting runs as skipped; the port says how."""
        carried = self.carrier.carried()
        for run_id, _ in runs:
            self._waiting.pop(run_id, None)
        reasons = {run_id: reason for run_id, reason in runs if run_id not in carried}
        with self.context.database.write() as connection:
            waiting = [
                run_id for part in chunks(reasons) for run_id in connection.execute(_still_waiting(part)).scalars()
            ]
            if waiting:
                now = self.context.now()
                connection.execute(_SKIP, [{"this": run_id, "why": reasons[run_id], "now": now} for run_id in waiting])
                said = [(f"run:{run_id}", RunState.SKIPPED, {"reason": reasons[run_id]}) for run_id in waiting]
                self.context.events(connection, said)

    def live(self) -> int:
        """How many runs take up a slot; services take up none, or a few of them would stop everything else."""
        with self.context.database.read() as connection:
            rows = connection.execute(_OPEN_ROWS.where(_R.c.origin != Origin.SERVICE)).all()
        carried = self.carrier.carried()
        return sum(_is_live(row) or row.id in carried for row in rows)

    def start(self, run_id: str) -> bool:
        """Hand a waiting run to who carries it out; the port says how."""
        task_id = self._waiting.pop(run_id, None) or self._task_of_waiting(run_id)
        if task_id is None:
            return False
        # Whether it still waits is seen by who carries it out; asking here for a thousand runs would take a second.
        self.carrier.take(run_id, task_id)
        return True

    def _touched(self, latest: int) -> sa.Select[Any]:
        """The tasks with news of their runs; what this host has claimed itself is none, and would be looked at twice.

        Nobody else writes during a transaction that does, so that what came between its begin and its end is its own.
        """
        query = _TOUCHED
        for after, until in self._own:
            query = query.where(sa.or_(_E.c.seq <= after, _E.c.seq > until))
        self._own[:] = [(after, until) for after, until in self._own if until > latest]
        return query

    def end(self, run_id: str, grace: bool) -> None:
        """Have a live run ended; the port says how."""
        self.carrier.end(run_id, grace)

    def _task_of_waiting(self, run_id: str) -> str | None:
        with self.context.database.read() as connection:
            row = connection.execute(_OPEN_ROWS.where(_R.c.id == run_id)).first()
        return None if row is None or _is_live(row) else str(row.task_id)

    def _open(self, task_ids: Collection[str]) -> Iterable[Any]:
        query = _OPEN_ROWS
        if len(task_ids) <= _FEW:
            query = query.where(_R.c.task_id.in_(list(task_ids)))
        with self.context.database.read() as connection:
            rows = connection.execute(query).all()
        # A service that waits for its start is its keeper's matter.
        return [row for row in rows if row.task_id in task_ids and (row.origin != Origin.SERVICE or _is_live(row))]


_OPEN_ROWS = sa.select(
    _R.c.id, _R.c.task_id, _R.c.status, _R.c.attempt, _R.c.due_at, _R.c.created_at, _R.c.origin
).where(_R.c.status.in_(_OPEN))
_TOUCHED = (
    sa.select(_R.c.task_id)
    .join(_E, _R.c.id == sa.func.substr(_E.c.subject, len("run:") + 1))
    .where(_E.c.seq > sa.bindparam("after"), _E.c.subject.startswith("run:"))
    .distinct()
)
_ORPHANS = (
    sa.select(_R.c.id, _R.c.task_id)
    .join(_T, _T.c.id == _R.c.task_id, isouter=True)
    .where(_R.c.status.in_(_OPEN), sa.or_(_T.c.id.is_(None), _T.c.status.in_(_DOWN)))
)
_SETTLE = sa.update(_T).where(_T.c.id == sa.bindparam("this")).values(since=sa.bindparam("now"))
_SKIP = (
    sa.update(_R)
    .where(_R.c.id == sa.bindparam("this"))
    .values(status=str(RunState.SKIPPED), reason=sa.bindparam("why"), ended_at=sa.bindparam("now"))
)


def _last_event(connection: Connection) -> int:
    return int(connection.execute(sa.select(sa.func.max(_E.c.seq))).scalar() or 0)


def _is_live(row: Any) -> bool:
    """Whether its process was started, or it is between two attempts."""
    return bool(row.status == RunState.RUNNING or row.attempt > 1)


def _still_waiting(ids: Collection[str]) -> sa.Select[Any]:
    return sa.select(_R.c.id).where(_R.c.id.in_(ids), _R.c.status == str(RunState.PENDING), _R.c.attempt == 1)


def _changed_tasks(connection: Connection, after: int) -> set[str]:
    query = sa.select(_E.c.subject).where(_E.c.seq > after, _E.c.subject.startswith("task:")).distinct()
    return {subject.removeprefix("task:") for subject in connection.execute(query).scalars()}


def _tasks_of(connection: Connection, ids: Collection[str]) -> list[Task]:
    found: list[Task] = []
    for part in chunks(ids):
        found += records_of(connection.execute(SELECT.where(_T.c.id.in_(part))).all())
    return found
