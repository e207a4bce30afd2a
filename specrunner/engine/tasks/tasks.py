"""Tasks: orders to run an orchestration. What comes of an order is a run, see `runs`."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from specrunner.core.due import Timing
from specrunner.core.errors import Conflict, NotFound
from specrunner.core.lifecycle import TASK_TRANSITIONS, TaskState, moved
from specrunner.core.resources import is_run_once
from specrunner.core.values import JsonObject, parse_iso
from specrunner.engine.context import Context, new_id, stored_instant
from specrunner.engine.records import Task
from specrunner.engine.rekeying import check_in_force
from specrunner.engine.store import tables
from specrunner.engine.store.columns import decoded, text_of
from specrunner.engine.tasks.claims import left_behind, timing_of

_T = tables.tasks
_W = tables.workspaces
_PLAIN = (
    _T.c.id,
    _T.c.workspace_id,
    _T.c.name,
    _T.c.orchestration_id,
    _T.c.status,
    _T.c.created_at,
    _T.c.updated_at,
    _T.c.since,
    _T.c.suspended,
)
SELECT = sa.select(*_PLAIN, text_of(_T.c.spec), _W.c.name.label("workspace")).join_from(_T, _W)


_IN = _T.c.workspace_id == sa.bindparam("in_workspace")
_STATES = {str(state): state for state in TaskState}
_HERE = _IN & (_T.c.name == sa.bindparam("this_name"))
_NAMED = SELECT.where(_HERE)
_INSERT = sa.insert(_T)
_UPDATE = sa.update(_T).where(_HERE)
_DOWN = frozenset({TaskState.PENDING_KILL, TaskState.KILLED})


class Tasks:
    """The service for tasks."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def all(self, workspace_id: int | None = None) -> list[Task]:
        """All tasks, or those of a workspace, newest change first."""
        condition = sa.true() if workspace_id is None else _T.c.workspace_id == workspace_id
        return self._select(condition)

    def being_killed(self) -> list[Task]:
        """Those of which somebody has begun to end what runs."""
        return self._select(_T.c.status == str(TaskState.PENDING_KILL))

    def get(self, task_id: str) -> Task:
        """The task of that id. Raises NotFound."""
        return self._one(_T.c.id == task_id, task_id)

    def named(self, workspace_id: int, name: str) -> Task:
        """The task of that name. Raises NotFound."""
        with self._context.database.read() as connection:
            row = connection.execute(_NAMED, {"in_workspace": workspace_id, "this_name": name}).first()
        if row is None:
            raise NotFound(f"There is no task {name!r}.")
        return records_of([row])[0]

    def put(
        self, workspace_id: int, name: str, orchestration_id: str, spec: JsonObject, secret_env: Mapping[str, str]
    ) -> Task:
        """Create the task or change it in place; `secret_env` is stored encrypted."""
        now = self._context.now()
        values = {
            "orchestration_id": orchestration_id,
            "spec": dict(spec),
            "secret_env": self._context.vault.encrypt(dict(secret_env)),
            "updated_at": now,
        }
        # A schedule is in force as soon as it is stored; a run-once task starts with its run.
        initial = TaskState.PENDING if is_run_once(spec) else TaskState.STARTED
        with self._context.database.write() as connection:
            check_in_force(connection, self._context.vault)
            here = {"in_workspace": workspace_id, "this_name": name}
            found = connection.execute(_NAMED, here).first()
            if found is not None:
                connection.execute(_UPDATE, here | values | self._changed(connection, records_of([found])[0], values))
            else:
                row = {"id": new_id(), "workspace_id": workspace_id, "name": name, "status": initial, "created_at": now}
                connection.execute(_INSERT, row | values | {"since": now, "suspended": False})
                self._context.event(connection, f"task:{row['id']}", initial)
        return self.named(workspace_id, name)

    def suspend(self, task: Task) -> Task:
        """Hold the schedule or the service back: nothing of it starts until it is resumed. Raises Conflict."""
        return self._held_back(task, True)

    def resume(self, task: Task) -> Task:
        """Let it start again; what was missed is not made up for. What its spec suspends stays so. Raises Conflict."""
        return self._held_back(task, False)

    def timing(self, task: Task) -> Timing | None:
        """When it runs, as is in force now; None without a schedule."""
        return timing_of(task)

    def _held_back(self, task: Task, suspended: bool) -> Task:
        if is_run_once(task.spec):
            raise Conflict(
                f"The task {task.name!r} runs once: it has no schedule that could be held back.",
                remedy=f"`specrunner kill {shlex.quote(task.name)}` ends what runs of it.",
            )
        with self._context.database.write() as connection:
            row = connection.execute(SELECT.where(_T.c.id == task.id)).first()
            if row is None:
                raise NotFound(f"There is no task {task.name!r}.")
            current = records_of([row])[0]
            if current.status in _DOWN:
                raise Conflict(
                    f"The task {task.name!r} was killed: nothing of it starts any more.",
                    remedy="Remove it from the files and apply, or give it another name there.",
                )
            if current.suspended != suspended:
                since = left_behind(
                    self._context, connection, current, timing_of(replace(current, suspended=suspended))
                )
                values = {"suspended": suspended, "since": stored_instant(since)}
                connection.execute(sa.update(_T).where(_T.c.id == task.id).values(values))
                self._context.event(connection, f"task:{task.id}", "suspended" if suspended else "resumed")
        return self.get(task.id)

    def _changed(self, connection: Connection, task: Task, values: Mapping[str, Any]) -> dict[str, Any]:
        """Further columns of a task that is put: where another order counts from."""
        spec, version = values["spec"], values["orchestration_id"]
        if task.spec == spec and task.orchestration_id == version:
            return {}
        new = timing_of(replace(task, spec=spec))
        since = left_behind(self._context, connection, task, new)
        self._context.event(connection, f"task:{task.id}", "changed")
        return {"since": stored_instant(since)}

    def move(self, task: Task, state: TaskState) -> None:
        """Change the task's state; staying where it is is fine. Raises NotFound and IllegalTransition."""
        with self._context.database.write() as connection:
            # What the caller holds may be out of date: somebody may have killed the task meanwhile.
            current = connection.execute(sa.select(_T.c.status).where(_T.c.id == task.id)).scalar()
            if current is None:
                raise NotFound(f"There is no task {task.name!r}.")
            if current == state:
                return
            moved(TASK_TRANSITIONS, TaskState(current), state)
            values = {"status": state, "updated_at": self._context.now()}
            connection.execute(sa.update(_T).where(_T.c.id == task.id).values(values))
            self._context.event(connection, f"task:{task.id}", state)

    def secret_env(self, task_id: str) -> dict[str, str]:
        """The secret part of the task's environment, revealed: for its run. Raises NotFound."""
        with self._context.database.read() as connection:
            row = connection.execute(sa.select(_T.c.secret_env).where(_T.c.id == task_id)).first()
        if row is None:
            raise NotFound(f"There is no task {task_id!r}.")
        return dict(self._context.vault.decrypt(row.secret_env))

    def delete(self, task_id: str) -> None:
        """Remove the task; its runs stay as records. Kill it first."""
        with self._context.database.write() as connection:
            connection.execute(sa.delete(_T).where(_T.c.id == task_id))
            self._context.event(connection, f"task:{task_id}", "deleted")

    def _one(self, condition: sa.ColumnElement[bool], asked: object) -> Task:
        found = self._select(condition)
        if not found:
            raise NotFound(f"There is no task {asked!r}.")
        return found[0]

    def _select(self, condition: sa.ColumnElement[bool]) -> list[Task]:
        query = SELECT.where(condition).order_by(_T.c.updated_at.desc(), _T.c.name)
        with self._context.database.read() as connection:
            return records_of(connection.execute(query).all())


def records_of(rows: Sequence[sa.Row[Any]]) -> list[Task]:
    """The tasks of rows that `SELECT` gave, in their order."""
    specs = decoded([row.spec for row in rows])
    return [_record(row, spec) for row, spec in zip(rows, specs, strict=True)]


def _record(row: sa.Row[Any], spec: JsonObject) -> Task:
    return Task(
        id=row.id,
        workspace_id=row.workspace_id,
        workspace=row.workspace,
        name=row.name,
        orchestration_id=row.orchestration_id,
        spec=spec,
        status=_STATES[row.status],
        created_at=parse_iso(row.created_at),
        updated_at=parse_iso(row.updated_at),
        since=parse_iso(row.since),
        suspended=row.suspended,
    )
