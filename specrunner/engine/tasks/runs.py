"""Runs: from the decision to run to the record of how it ended.

A run is a row before it is a process, and its folder says more than the row: whoever finds a row that has not
ended asks the executor what became of the process, adopts it if it lives, and writes down how it ended if not.
So a host that is killed costs a run nothing.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from filelock import FileLock

from specrunner.core.errors import Busy, Conflict, IllegalTransition, NotFound, PackagingFailed, SpecrunnerError
from specrunner.core.lifecycle import Reason, RunState, TaskState
from specrunner.core.recorded import RunTimes
from specrunner.core.resources import is_run_once
from specrunner.core.values import JsonObject
from specrunner.engine.connections import Connections
from specrunner.engine.context import Context, new_id
from specrunner.engine.packaging.orchestrations import Orchestrations
from specrunner.engine.ports import DEFAULT_GRACE, Executor, LogLine, RunApi, RunExit, RunOrder
from specrunner.engine.records import Run, Task
from specrunner.engine.serving.deployments import Deployments, run_holder
from specrunner.engine.tasks.backfill import backfilled, missed
from specrunner.engine.tasks.history import History, epoch
from specrunner.engine.tasks.runenv import named_variables, redactions, run_environment
from specrunner.engine.tasks.tasks import Tasks

_GLANCE = 0.05  # seconds between looks at the record of a run that another process carries out
_BEGUN_WITHIN = 10.0  # seconds that a host is given to start a run before somebody is told that it waits
_LOOK = 0.5  # seconds between looks: short enough that a host that is told to leave does so at once


@dataclass(frozen=True, slots=True)
class Colleagues:
    """The other services that a run needs."""

    tasks: Tasks
    history: History
    orchestrations: Orchestrations
    connections: Connections
    deployments: Deployments


@dataclass(slots=True)
class Runs:
    """The service that carries runs out."""

    context: Context
    with_: Colleagues
    executor: Executor
    api: Callable[[], RunApi]
    host_environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    named: Mapping[str, str] = field(default_factory=dict)
    ended: Callable[[Run], None] = lambda _run: None
    hosted_elsewhere: Callable[[], bool] = lambda: False
    ring: Callable[[], None] = lambda: None  # wakes the host
    _stopping: threading.Event = field(default_factory=threading.Event)

    def pass_on(self, words: Sequence[str]) -> None:
        """Give every run from now on these variables: `NAME`, with the value that it has here, or `NAME=VALUE`.

        Raises UsageError for one that has no value here, and for one that a run can't be given.
        """
        self.named = named_variables(words, self.host_environment)

    def submit(self, task: Task, intent: str | None = None, args: JsonObject | None = None) -> Run:
        """Record a run of the task; for an intent that is under way or was carried out, that run.

        An intent whose run ended otherwise than well is another matter: it gets a new run.
        """
        version = self.with_.orchestrations.get(task.orchestration_id)
        wanted = task.spec.get("args", {}) if args is None else args
        return self.with_.history.add(task, version, wanted, intent)

    def carry_out(self, run_id: str) -> Run:
        """Run to the end, retries included, and give the record of it; blocks meanwhile.

        A run that somebody started already is waited for, not started again. Where another process hosts this
        state, the run is left to it and its record is watched.
        """
        run = self.recovered(self.with_.history.get(run_id))
        while not run.status.ended and not self._stopping.is_set():
            if self.hosted_elsewhere():
                run = self._watched(run)
                continue
            if run.status is RunState.PENDING:
                run = self._start(run) if self._is_due(run) else self.with_.history.get(run.id)
            if run.status is RunState.RUNNING:
                found = self._wait(run)
                # None: this host is leaving, and the run goes on under its supervisor.
                run = self._close(run, found) if found else run
        return run

    def begin(self, run_id: str) -> Run:
        """Start a run that waits for its start, and give its record without waiting for the end."""
        run = self.recovered(self.with_.history.get(run_id))
        if self.hosted_elsewhere():
            return self._watched(run, lambda now: now.status is not RunState.PENDING, _BEGUN_WITHIN)
        return self._start(run) if run.status is RunState.PENDING and run.attempt == 1 else run

    def restore(self, task: Task, intent: str, state: RunState, run_id: str, times: RunTimes | None = None) -> None:
        """Count an intent as carried out, as a record says; nothing is started. Once is as good as twice."""
        version = self.with_.orchestrations.get(task.orchestration_id)
        self.with_.history.add_recorded(task, version, intent, state, run_id, times)
        if task.status is TaskState.PENDING:
            self.with_.tasks.move(task, TaskState.STARTED)
            self.with_.tasks.move(task, TaskState.COMPLETED)

    def recovered(self, run: Run) -> Run:
        """The record as it should be, from what the executor knows of the run's process."""
        folder = self.folder(run)
        if run.status.ended or not folder.exists():
            return self._lost(run) if run.status is RunState.RUNNING and self._is_gone(folder) else run
        found = self.executor.exit(folder)
        if found is None:  # it lives
            return self.with_.history.started(run) if run.status is RunState.PENDING else run
        if run.status is RunState.PENDING and _never_began(found):
            return run  # its host died before the start: it can be started as if nothing had been
        if run.status is RunState.PENDING and found.code_started:
            run = self.with_.history.started(run)
        return self._close(run, found)

    def observed(self, run: Run) -> RunState:
        """The state that `recovered` would find, without writing it down; a pending run stays pending.

        Of a pending run nobody asks the executor: whoever starts it may be between making its folder and
        claiming it, and to ask then would put the run down as one that never began.
        """
        folder = self.folder(run)
        if run.status is not RunState.RUNNING or not folder.exists():
            return run.status
        found = self.executor.exit(folder)
        return found.state if found and found.code_started else run.status

    def kill(self, run_id: str, grace: float = DEFAULT_GRACE) -> Run:
        """End a run; when this returns nothing of it is alive. An ended one stays as it is."""
        run = self.recovered(self.with_.history.get(run_id))
        while not run.status.ended:
            folder = self.folder(run)
            # A folder that the executor has put down starts no more, not even by a host that is about to.
            folder.mkdir(parents=True, exist_ok=True)
            self.executor.kill(folder, grace)
            found = self.executor.exit(folder)
            if run.status is RunState.PENDING and found is not None and _never_began(found):
                detail = "killed before it started"
                return self._record_end(run, RunState.KILLED, Reason.KILLED, detail=detail)
            run = self.recovered(self.with_.history.get(run_id))
        return run

    def kill_task(self, task: Task) -> None:
        """End every run of a task and let no other start; when this returns nothing of it is alive."""
        if self.with_.tasks.get(task.id).status is TaskState.KILLED:
            return
        self.with_.tasks.move(task, TaskState.PENDING_KILL)
        for run in self.with_.history.of_task(task.id):
            if not run.status.ended:
                self.kill(run.id)
        self.with_.tasks.move(task, TaskState.KILLED)

    def log(self, run: Run, offset: int = 0) -> tuple[list[LogLine], int]:
        """Lines of the run's log from an offset on, and the offset after them; empty where it never started."""
        folder = self.folder(run)
        return self.executor.log(folder, offset) if folder.exists() else ([], offset)

    def folder(self, run: Run) -> Path:
        """The folder of the run's current attempt."""
        name = run.id if run.attempt == 1 else f"{run.id}.{run.attempt}"
        return self.context.folder / "runs" / name

    def token(self, run_id: str) -> str:
        """The run's token for the engine's API; it dies with the run."""
        return f"{run_id}.{self.context.vault.sign(run_id)}"

    def missed(self, task: Task, begin: datetime, end: datetime) -> list[datetime]:
        """The instants from `begin` to `end`, both included, that have had no run; none that is yet to come.

        Raises BadInput where the task has no schedule, and for more than a thousand.
        """
        return missed(self.context, task, begin, end)

    def backfill(self, task: Task, begin: datetime, end: datetime) -> list[Run]:
        """A run for each instant that was missed, oldest first; they wait for their start. Raises as `missed`."""
        found = [self.with_.history.get(run_id) for run_id in backfilled(self.context, task, begin, end)]
        self.ring()
        return found

    def stop_waiting(self) -> None:
        """This host is leaving: waits end, runs go on."""
        self._stopping.set()

    def _watched(
        self, run: Run, seen: Callable[[Run], bool] = lambda run: run.status.ended, patience: float | None = None
    ) -> Run:
        """The record of a run that another process carries out, once it is as wanted, or nobody carries it out."""
        self.ring()
        until = None if patience is None else self.context.clock.monotonic() + patience
        while not seen(run) and (until is None or self.context.clock.monotonic() < until):
            if self._stopping.wait(_GLANCE) or not self.hosted_elsewhere():
                break
            run = self.with_.history.get(run.id)
        return run

    def _is_due(self, run: Run) -> bool:
        """Wait until a further attempt is due; False if somebody changed the run meanwhile, or this host leaves."""
        left = run_retries(self._spec(run))[1] if run.attempt > 1 else 0.0
        while left > 0 and not self._stopping.wait(min(left, _LOOK)):
            left -= _LOOK
            found = self.with_.history.get(run.id)
            if found.status is not RunState.PENDING or found.attempt != run.attempt:
                return False
        return not self._stopping.is_set()

    def _start(self, run: Run) -> Run:
        try:
            task = self.with_.tasks.get(run.task_id)
            order = self._order(task, run)
            self.with_.tasks.move(task, TaskState.STARTED)
            return self._launched(run, order)
        except IllegalTransition:
            return self._record_end(run, RunState.KILLED, Reason.KILLED, detail="its task was killed")
        except (SpecrunnerError, OSError) as problem:
            reason = Reason.ENV_FAILED if isinstance(problem, PackagingFailed) else Reason.LOST
            return self._record_end(run, RunState.FAILURE, reason, detail=_words(problem))

    def _launched(self, run: Run, order: RunOrder) -> Run:
        """Start the process, or find that another host has."""
        while True:
            order.folder.mkdir(parents=True, exist_ok=True)
            try:
                self.executor.start(order)
            except (Busy, Conflict):
                if self._was_left(order.folder):
                    continue
                return self.recovered(self.with_.history.get(run.id))
            started = self.with_.history.started(run)
            if started.status.ended:  # killed while it was being started
                self.executor.kill(order.folder)
            return started

    def _was_left(self, folder: Path) -> bool:
        """Whether a start that came to nothing has used the folder up; it is put aside then, for a fresh one."""
        with _changing(folder):
            found = self.executor.exit(folder)
            if found is None or not _never_began(found):
                return False
            aside = folder.rename(folder.with_name(f"{folder.name}.left-{new_id()}"))
            folder.mkdir()
        shutil.rmtree(aside, ignore_errors=True)  # nothing ever ran in it
        return True

    def _is_gone(self, folder: Path) -> bool:
        """Whether it is not there, and nobody is just about to make it anew."""
        if not folder.parent.exists():
            return True
        with suppress(OSError), _changing(folder):  # on a full disk there is no lock, and nothing is made anew
            return not folder.exists()
        return not folder.exists()

    def _order(self, task: Task, run: Run) -> RunOrder:
        version = self.with_.orchestrations.get(run.orchestration_id)
        environment = self.with_.orchestrations.environment(version)
        secrets = self.with_.tasks.secret_env(task.id)
        hidden = [self.with_.connections.secret_details(name).reveal() for name in self._readable(task)]
        api = (self.api().address(), self.token(run.id))
        spec = task.spec
        return RunOrder(
            run_id=run.id,
            folder=self.folder(run),
            bundle=self.context.artifacts.path(run.sha),
            entry=version.entry,
            python=environment.python,
            arguments=run.args,
            env=run_environment(task, run, environment.python, api, secrets, self.host_environment, self.named),
            redact=redactions([secrets, *hidden, api[1]]),
            timeout=spec.get("timeout"),
            memory=spec.get("resources", {}).get("memory"),
        )

    def _readable(self, task: Task) -> list[str]:
        """The connections whose details the run may read."""
        workspaces = {task.workspace, *task.spec.get("workspaces", ())}
        return [found.name for found in self.with_.connections.all() if workspaces & set(found.workspaces)]

    def _wait(self, run: Run) -> RunExit | None:
        # A run that was adopted finds its API where the host that started it had it.
        self.api().address()
        folder = self.folder(run)
        while not self._stopping.is_set():
            found = self.executor.wait(folder, timeout=_LOOK)
            if found is not None:
                return found
        return None

    def _close(self, run: Run, found: RunExit) -> Run:
        """Write down how a process ended, or that another attempt follows; what never began is started anew."""
        if _never_began(found):
            return self.with_.history.unstarted(run)
        limit, _ = run_retries(self._spec(run))
        if found.state in {RunState.FAILURE, RunState.TIMED_OUT} and run.attempt <= limit:
            return self.with_.history.retried(run)
        began = found.code_started or run.attempt > 1
        values = {"detail": found.detail, "exit_code": found.exit_code, "results": found.results}
        instants = {"started_at": epoch(found.started), "ended_at": epoch(found.ended)}
        kept = {name: value for name, value in instants.items() if value}
        return self._record_end(run, found.state, found.reason, code_started=began, **values, **kept)

    def _spec(self, run: Run) -> JsonObject:
        with suppress(SpecrunnerError):  # its task may be gone
            return self.with_.tasks.get(run.task_id).spec
        return {}

    def _lost(self, run: Run) -> Run:
        return self._record_end(run, RunState.LOST, Reason.LOST, detail="its folder is gone")

    def _record_end(self, run: Run, state: RunState, reason: Reason | None, **values: object) -> Run:
        # One transaction: a host that dies in between would leave a task that has run and is started for ever.
        with self.context.database.transaction():
            ended = self.with_.history.ended(run, state, reason, **values)
            if not ended.status.ended:  # another host has begun another attempt: what we know is out of date
                return ended
            self.with_.deployments.forget(run_holder(run.id))
            self._complete(run.task_id)
        self.ended(ended)
        return ended

    def _complete(self, task_id: str) -> None:
        with suppress(NotFound):  # its task may be gone
            task = self.with_.tasks.get(task_id)
            if task.status is TaskState.STARTED and is_run_once(task.spec):
                self.with_.tasks.move(task, TaskState.COMPLETED)


def _changing(folder: Path) -> FileLock:
    """Held by whoever puts the folder of a run aside, until a fresh one is in its place."""
    return FileLock(folder.with_name("starting.lock"))


def _never_began(found: RunExit) -> bool:
    """Whether the record says only that a start came to nothing; a kill before the start is an end like any other."""
    return found.state is RunState.LOST and not found.code_started


def _words(problem: SpecrunnerError | OSError) -> str:
    if isinstance(problem, OSError):
        return f"its folder can't be made: {problem.strerror}"
    return "\n".join(part for part in (problem.summary, problem.detail) if part)


def run_retries(spec: JsonObject) -> tuple[int, float]:
    """How many further attempts a task allows, and the seconds between them."""
    retries = spec.get("retries") or {}
    return int(retries.get("limit", 0)), float(retries.get("backoff", 0))
