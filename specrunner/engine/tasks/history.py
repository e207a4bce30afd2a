"""The records of runs: rows that only move along the table of legal transitions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from specrunner.core.errors import NotFound
from specrunner.core.lifecycle import RUN_TRANSITIONS, Reason, RunState, moved
from specrunner.core.recorded import RunTimes
from specrunner.core.values import JsonObject, iso, parse_iso
from specrunner.engine.context import Context, new_id, stored_instant
from specrunner.engine.records import Orchestration, Origin, Run, Task
from specrunner.engine.store import tables

_T = tables.runs
_E = tables.events
_ELSEWHERE = "restored from its record; it ran on another machine, or before this state folder"
_ENDED = [str(state) for state in RunState if state.ended]


_SELECT = sa.select(_T).order_by(_T.c.created_at.desc(), _T.c.scheduled_at.desc(), _T.c.id)
_OF_INTENTS = _SELECT.where(_T.c.intent.is_not(None))
_OF_INTENTS_OF = _OF_INTENTS.where(_T.c.task_id == sa.bindparam("this"))
_GONE = _T.c.task_id.not_in(sa.select(tables.tasks.c.id))


class History:
    """The service for run records."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def of_task(self, task_id: str) -> list[Run]:
        """The runs of a task, newest first."""
        return self._select(_T.c.task_id == task_id)

    def newest(self, task_id: str, count: int) -> list[Run]:
        """The newest runs of a task, newest first."""
        with self._context.database.read() as connection:
            query = _SELECT.where(_T.c.task_id == task_id).limit(count)
            return [_record(row) for row in connection.execute(query)]

    def of_key(self, task_key: str) -> list[Run]:
        """The runs of every task that ever had this key, newest first."""
        return self._select(_T.c.task_key == task_key)

    def all(self) -> list[Run]:
        """Every run, newest first."""
        return self._select(sa.true())

    def counts(self) -> dict[RunState, int]:
        """How many runs are on record in each state; none of a state that no run is in."""
        query = sa.select(_T.c.status, sa.func.count()).group_by(_T.c.status)
        with self._context.database.read() as connection:
            return {RunState(state): count for state, count in connection.execute(query)}

    def active(self) -> list[Run]:
        """The runs that have not ended."""
        return self._select(_T.c.status.notin_(_ENDED))

    def last_event(self) -> int:
        """The number of the newest event, from which on `ended_after` tells; 0 where there is none."""
        with self._context.database.read() as connection:
            return int(connection.execute(sa.select(sa.func.max(_E.c.seq))).scalar() or 0)

    def ended_after(self, event: int, most: int = 200) -> tuple[int, list[Run]]:
        """The runs whose end is an event after that one, oldest first, and the number of the last event looked at.

        What was only restored from records did not end now.
        """
        query = sa.select(_E.c.seq, _E.c.subject, _E.c.event, _E.c.data).where(_E.c.seq > event)
        with self._context.database.read() as connection:
            rows = connection.execute(query.order_by(_E.c.seq).limit(most)).all()
            ended = [row for row in rows if row.event in _ENDED and (row.data or {}).get("reason") != "recorded"]
            ids = [row.subject.removeprefix("run:") for row in ended if row.subject.startswith("run:")]
            found = {run.id: run for run in map(_record, connection.execute(_SELECT.where(_T.c.id.in_(ids))))}
        return (rows[-1].seq if rows else event), [found[one] for one in ids if one in found]

    def last_per_intent(self, task_id: str | None = None) -> dict[str, dict[str, Run]]:
        """By task id and intent, the newest run of that intent whose code may have begun, or has yet to.

        Of one task, or of all.
        """
        query = _OF_INTENTS if task_id is None else _OF_INTENTS_OF
        with self._context.database.read() as connection:
            runs = [_record(row) for row in connection.execute(query, {"this": task_id})]
        found: dict[str, list[Run]] = {}
        for run in runs:
            found.setdefault(run.task_id, []).append(run)
        return {task: _newest_per_intent(of_task) for task, of_task in found.items()}

    def intents_left(self, task_key: str) -> dict[str, Run]:
        """By intent, the newest run of the tasks of this key that are gone, as `last_per_intent` has it."""
        with self._context.database.read() as connection:
            rows = connection.execute(_OF_INTENTS.where(_T.c.task_key == task_key, _GONE))
            return _newest_per_intent([_record(row) for row in rows])

    def hand_over(self, task: Task) -> None:
        """What the tasks of this key that are gone have carried out counts as carried out by this one."""
        left = sa.update(_T).where(_T.c.task_key == str(task.key), _T.c.intent.is_not(None), _GONE)
        with self._context.database.write() as connection:
            connection.execute(left.values(task_id=task.id))

    def get(self, run_id: str) -> Run:
        """The run of that id. Raises NotFound."""
        found = self._select(_T.c.id == run_id)
        if not found:
            raise NotFound(f"There is no run {run_id!r}.")
        return found[0]

    def matching(self, prefix: str) -> list[Run]:
        """The runs whose id begins so."""
        return self._select(_T.c.id.startswith(prefix, autoescape=True))

    def add(
        self, task: Task, version: Orchestration, args: JsonObject, intent: str | None, origin: Origin = Origin.HAND
    ) -> Run:
        """A new run, pending; for an intent that is under way or was carried out, the run that does or did it."""
        with self._context.database.write() as connection:
            found = connection.execute(_carrying_out(task.id, intent)).first() if intent is not None else None
            if found is not None:
                return _record(found)
            row = fresh(task, version.sha, version.environment, origin) | {
                "args": dict(args),
                "intent": intent,
                "created_at": self._context.now(),
                **({"origin": Origin.INTENT} if intent is not None else {}),
            }
            inserted = connection.execute(sa.insert(_T).values(row).returning(_T)).one()
            self._context.event(connection, f"run:{row['id']}", RunState.PENDING, intent=intent)
        return _record(inserted)

    def add_recorded(
        self,
        task: Task,
        version: Orchestration,
        intent: str,
        state: RunState,
        run_id: str,
        times: RunTimes | None = None,
    ) -> None:
        """A run of an intent of which only a record tells: it has ended, elsewhere. One that is known is fine.

        Of a run that was under way when it was recorded, nobody knows how it ended. Without its times, it counts as
        made and ended now.
        """
        ended = state if state.ended else RunState.LOST
        recorded = {"status": ended, "detail": _ELSEWHERE, "code_started": True, **self._instants(times)}
        known = (_T.c.id == run_id) | ((_T.c.task_id == task.id) & (_T.c.intent == intent))
        with self._context.database.write() as connection:
            if connection.execute(sa.select(_T.c.id).where(known)).first() is not None:
                return
            row = fresh(task, version.sha, version.environment, Origin.INTENT) | recorded | {"intent": intent}
            row["id"] = run_id or row["id"]
            row["reason"] = Reason.LOST if ended is RunState.LOST else ""
            connection.execute(sa.insert(_T).values(row))
            self._context.event(connection, f"run:{row['id']}", ended, reason="recorded", intent=intent)

    def _instants(self, times: RunTimes | None) -> dict[str, str]:
        now = self._context.now()
        if times is None:
            return {"created_at": now, "ended_at": now}
        found = {"created_at": times.created, "started_at": times.started, "ended_at": times.ended}
        return {"ended_at": now, **{name: stored_instant(moment) for name, moment in found.items() if moment}}

    def started(self, run: Run) -> Run:
        """Its supervisor was started."""
        return self._move(run, RunState.RUNNING, started_at=self._context.now(), code_started=True)

    def unstarted(self, run: Run) -> Run:
        """What was taken for its start came to nothing: it waits for another."""
        return self._move(run, RunState.PENDING, started_at=None, code_started=run.attempt > 1)

    def retried(self, run: Run) -> Run:
        """Another attempt of the same run waits."""
        return self._move(run, RunState.PENDING, attempt=run.attempt + 1)

    def ended(self, run: Run, state: RunState, reason: Reason | None, **values: Any) -> Run:
        """It ended; `values` are further columns."""
        return self._move(run, state, **{"ended_at": self._context.now(), "reason": reason or "", **values})

    def _move(self, run: Run, state: RunState, **values: Any) -> Run:
        with self._context.database.write() as connection:
            current = _record(connection.execute(sa.select(_T).where(_T.c.id == run.id)).one())
            # Whoever came first is right: a terminal state never changes, what is said of an attempt that another
            # followed is out of date, and two hosts may both see the same change.
            if current.status.ended or current.attempt != run.attempt or current.status is state:
                return current
            moved(RUN_TRANSITIONS, current.status, state)
            change = sa.update(_T).where(_T.c.id == run.id).values(status=state, **values).returning(_T)
            row = connection.execute(change).one()
            self._context.event(connection, f"run:{run.id}", state, reason=values.get("reason", ""))
        return _record(row)

    def _select(self, condition: sa.ColumnElement[bool]) -> list[Run]:
        with self._context.database.read() as connection:
            return [_record(row) for row in connection.execute(_SELECT.where(condition))]


def _newest_per_intent(newest_first: Sequence[Run]) -> dict[str, Run]:
    begun = (run for run in reversed(newest_first) if run.status is not RunState.LOST or run.code_started)
    return {run.intent: run for run in begun if run.intent}


def fresh(task: Task, sha: str, environment: str, origin: Origin) -> dict[str, Any]:
    """The row of a new run with the task's own arguments, pending; `created_at` is still to be said."""
    return {
        "id": new_id(),
        "task_id": task.id,
        "task_key": str(task.key),
        "workspace_id": task.workspace_id,
        "orchestration_id": task.orchestration_id,
        "sha": sha,
        "environment": environment,
        "intent": None,
        "scheduled_at": None,
        "first_at": None,
        "due_at": None,
        "attempt": 1,
        "args": dict(task.spec.get("args", {})),
        "status": RunState.PENDING,
        "reason": "",
        "detail": "",
        "code_started": False,
        "origin": origin,
    }


def _carrying_out(task_id: str, intent: str) -> sa.Select[Any]:
    """The newest run of an intent that is not to be repeated of itself: under way, or a success."""
    kept = _T.c.status.notin_(_ENDED) | (_T.c.status == RunState.SUCCESS)
    known = (_T.c.task_id == task_id) & (_T.c.intent == intent) & kept
    return sa.select(_T).where(known).order_by(_T.c.created_at.desc()).limit(1)


def _record(row: Any) -> Run:
    is_beside = row.origin == Origin.BACKFILL and row.scheduled_at is None
    return Run(
        id=row.id,
        task_id=row.task_id,
        task_key=row.task_key,
        workspace_id=row.workspace_id,
        orchestration_id=row.orchestration_id,
        sha=row.sha,
        environment=row.environment,
        intent=row.intent,
        scheduled_at=_instant(row.due_at if is_beside else row.scheduled_at),
        attempt=row.attempt,
        args=row.args,
        status=RunState(row.status),
        reason=Reason(row.reason) if row.reason else None,
        detail=row.detail,
        exit_code=row.exit_code,
        code_started=row.code_started,
        results=row.results,
        created_at=parse_iso(row.created_at),
        started_at=_instant(row.started_at),
        ended_at=_instant(row.ended_at),
        origin=Origin(row.origin),
        first_at=_instant(row.first_at),
        beside=is_beside,
    )


def _instant(text: str | None) -> datetime | None:
    return parse_iso(text) if text else None


def epoch(seconds: float | None) -> str | None:
    """Seconds since the epoch as the store writes instants."""
    return iso(datetime.fromtimestamp(seconds, UTC)) if seconds is not None else None
