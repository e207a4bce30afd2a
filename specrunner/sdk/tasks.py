"""Tasks: orders to run an orchestration, and what came of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any

from specrunner.sdk import display
from specrunner.sdk.entity import Entity, Listing
from specrunner.sdk.exceptions import ApiError
from specrunner.sdk.object import EntityNotFoundError, RequiredAttributeMissing
from specrunner.sdk.session import Session

_STATUSES = ("all", "running", "success", "failure", "killed", "timed_out", "unknown")
_TYPES = {"CronJob": "Scheduled Run", "NetworkService": "Service Run", "Oneshot": "Temporary Run"}


class ArbexStatus(str, Enum):  # noqa: UP042  # Python 3.9
    """How a task is, by the platform's name for the kind of status; equal to its text."""

    PENDING = "pending"
    STARTED = "started"
    PAUSED = "paused"
    PENDING_KILL = "pending_kill"

    def __str__(self) -> str:
        return str(self.value)


class Task(Entity):
    """One task."""

    def name(self) -> str:
        """The name that it was given."""
        return str(self._get("name"))

    def status(self) -> str:
        """How it is, asked anew: `pending`, `started`, `paused` or `pending_kill`."""
        self._refresh()
        return str(self._get("status"))

    def workspace_id(self) -> int:
        """The number of its workspace."""
        return int(self._get("workspace_id"))

    def input_data(self) -> dict[str, Any]:
        """The arguments that its runs are given."""
        return dict(self._get("input_data"))

    def task_type(self) -> str:
        """`Temporary Run`, `Scheduled Run` or `Service Run`."""
        kind = str(self._get("run_type"))
        return _TYPES.get(kind, kind)

    def schedule(self) -> str:
        """The cron expression; `-` where it has none."""
        return str(self._data.get("schedule") or "-")

    def active(self) -> bool:
        """Whether nobody has killed it, asked anew."""
        self._refresh()
        return not self._get("killed")

    def created_at(self) -> str:
        """When it was made, ISO 8601."""
        return str(self._get("created_at"))

    def updated_at(self) -> str:
        """When it, or a run of it, last changed, ISO 8601."""
        return str(self._get("updated_at"))

    def last_runs(self, limit: int | None = None, status: str | None = None) -> TaskRunList:
        """Its runs, newest first; `status` is `all` (the default), `running`, `success` or `failure`.

        Raises ValueError for another status.
        """
        if status is not None and status not in _STATUSES:
            raise ValueError(f"{status!r} is no status of runs; there are {', '.join(_STATUSES)}")
        body = {"task_id": self.id(), "limit": limit, "status": status}
        return TaskRunList(TaskRun(self._session, item) for item in self._session.post("task/list_task_runs", body))

    def kill(self) -> ArbexStatus:
        """End what runs of it and let nothing more start; the platform does so after this returns."""
        self._data.update(self._session.post("task/kill", {"id": self.id()}))
        return ArbexStatus(self._data["status"])

    def pause(self) -> Task:
        """Hold its schedule or service back. Raises ApiError for a task that runs once."""
        return self._paused(True)

    def resume(self) -> Task:
        """Let it start again."""
        return self._paused(False)

    def _paused(self, pause: bool) -> Task:
        self._data.update(self._session.post("task/pause", {"id": self.id(), "pause": pause}))
        return self

    def _last_run_status(self) -> str:
        runs = self._get("last_runs")
        return str(runs[-1]["status"]) if runs else "unknown"

    def _fetched(self) -> Mapping[str, Any]:
        return _fetch(self._session, self.id())

    def _fields(self) -> dict[str, object]:
        self._refresh()
        return {
            "ID": self.id(),
            "Name": self.name(),
            "Last Run Status": self._last_run_status(),
            "Type": self.task_type(),
            "Active": not self._get("killed"),
            "Schedule": self.schedule(),
            "Created At": display.short_time(self.created_at()),
            "Updated At": display.short_time(self.updated_at()),
        }

    def __repr__(self) -> str:
        return f"Task(id={self.id()!r}, name={self.name()!r}, status={self._get('status')!r})"

    def _repr_html_(self) -> str:
        return display.fields_table(self._fields())


class TaskList(Listing[Task]):
    """Tasks, shown as a table in notebooks."""

    _columns = ("id", "name", "last run status", "type", "active", "schedule", "created at", "updated at")
    _nothing = "(no tasks)"

    def _row(self, one: Task) -> Sequence[object]:
        return tuple(one._fields().values())


class TaskRun:
    """One run of a task, which the platform also calls a pod."""

    def __init__(self, session: Session, data: Mapping[str, Any]) -> None:
        for key in ("task", "run_id"):
            if key not in data:
                raise RequiredAttributeMissing("TaskRun", key)
        self._session = session
        self._data = dict(data)

    def id(self) -> str:
        """The run's id, a UUID."""
        return str(self._data["run_id"])

    def task_id(self) -> str:
        """The id of its task."""
        return str(self._data["task"])

    def status(self) -> str:
        """How it was when it was asked for: `running`, `success`, `failure`, `killed` or `timed_out`."""
        return str(self._data["status"])

    def logs(self, limit: int | None = None) -> TaskRunLogs:
        """Its lines, or the last `limit` of them; each says when it was written, and on which stream."""
        found = self._session.post("task/get_logs_for_run", {"id": self.id(), "lines": limit})
        return TaskRunLogs(found["logs"])

    def _fields(self) -> dict[str, object]:
        return {
            "Task": self.task_id(),
            "Pod ID": self.id(),
            "Status": self.status(),
            "Created At": display.short_time(self._data["created_at"]),
            "Updated At": display.short_time(self._data["updated_at"]),
        }

    def __repr__(self) -> str:
        return f"TaskRun(id={self.id()!r}, task={self.task_id()!r}, status={self.status()!r})"

    def _repr_html_(self) -> str:
        return display.fields_table(self._fields())


class TaskRunList(Listing[TaskRun]):
    """Runs, shown as a table in notebooks."""

    _columns = ("task id", "pod id", "status", "created at", "updated at")
    _nothing = "(no task runs)"

    def _row(self, one: TaskRun) -> Sequence[object]:
        return tuple(one._fields().values())


class TaskRunLogs(list[str]):
    """The lines of a run, shown as text in notebooks."""

    def _repr_html_(self) -> str:
        from html import escape

        if not self:
            return "(no logs yet)"
        lines = "\n".join(escape(_shown(line), quote=False) for line in self)
        return f"<pre><code>{lines}</code></pre>"


def _shown(line: str) -> str:
    """A line as people read it: when, and what."""
    when, _, rest = line.partition(" ")
    text = rest.partition(" F")[2]
    return f"{display.short_time(when)}{text}"


def get_task(session: Session, task_id: str) -> Task:
    """The task of that id. Raises EntityNotFoundError."""
    return Task(session, _fetch(session, task_id))


def list_tasks(session: Session, workspace_id: int | None, killed: bool) -> TaskList:
    """The tasks of a workspace, or of all, newest change first; with `killed` only those that were."""
    found = session.post("task/list", {"killed": killed, "workspace_id": workspace_id})
    return TaskList(Task(session, item) for item in found)


def _fetch(session: Session, task_id: str) -> dict[str, Any]:
    try:
        return dict(session.post("task/get_by_id", {"id": task_id}))
    except ApiError as fault:
        if fault.status == 404:
            raise EntityNotFoundError("Task", {"id": task_id}) from fault
        raise
