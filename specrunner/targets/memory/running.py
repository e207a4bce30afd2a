"""Runs on a memory target: in place of a process, a function is called in a thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from specrunner.core.errors import SpecrunnerError
from specrunner.core.keys import Key
from specrunner.core.lifecycle import Reason, RunState
from specrunner.core.outcome import RunView
from specrunner.core.ports import Clock
from specrunner.core.values import Json, JsonObject
from specrunner.targets.memory import processes
from specrunner.targets.memory.raw import RawObject, RawRun
from specrunner.targets.memory.state import MemoryState

_POLL = 0.05  # seconds between looks at a file that another process may write


@dataclass(frozen=True, slots=True)
class Job:
    """What is run: the task, its resolved arguments, the zip of its orchestration.

    `say` writes a line to the run's log. `killed` is set when the run is to end: code that waits, waits for it.
    """

    run_id: str
    task: Key
    args: JsonObject
    bundle: bytes
    say: Callable[[str], None]
    killed: threading.Event


@dataclass(frozen=True, slots=True)
class Ended:
    """How a job ended."""

    status: RunState = RunState.SUCCESS
    reason: Reason | None = None
    exit_code: int | None = 0
    detail: str = ""
    results: Json = None


Code = Callable[[Job], Ended]


def succeed(_job: Job) -> Ended:
    """The job that is done at once."""
    return Ended()


@dataclass(frozen=True, slots=True)
class Crew:
    """Carries out the runs of a state, one thread each.

    Whoever kills a run writes so into the state; code of another process learns nothing of it, and how it ends then
    no longer counts.
    """

    state: MemoryState
    clock: Clock
    code: Code = succeed

    def submit(self, task: RawObject, intent: str, args: JsonObject, scheduled: datetime | None = None) -> RawRun:
        """Record a run; for an intent that is under way or was carried out well, that run. Inside `writing()`."""
        earlier = [run for run in self.state.runs_of(task.id) if intent and run.intent == intent]
        if earlier and (not earlier[-1].status.ended or earlier[-1].status is RunState.SUCCESS):
            return earlier[-1]
        sha = str(task.spec.get("orchestrationSha", ""))
        name, now = f"run-{self.state.new_id()}", self.clock.now()
        run = RawRun(name, task.key, task.id, now, intent=intent, args=args, sha=sha, scheduled=scheduled)
        return self.state.keep_run(run)

    def start(self, run_id: str) -> None:
        """Begin a run that nobody has begun, or whose worker died before it did anything."""
        with self.state.writing():
            run = self.state.keep_run(as_seen(self.state, self.state.runs[run_id]))
            if run.status is not RunState.PENDING:
                return
            self.state.keep_run(
                replace(run, status=RunState.RUNNING, worker=processes.identity(), started=self.clock.now())
            )
            killed = self.state.killed[run_id] = threading.Event()
        threading.Thread(target=self._work, args=(run_id, killed), name=run_id, daemon=True).start()

    def wait(self, run_id: str, stopped: threading.Event) -> RawRun:
        """The run as it is when it has ended, or when nobody wants to wait any longer."""
        patience = _POLL if self.state.is_shared else None
        with self.state.changed:
            while True:
                with self.state.reading():
                    run = self.state.runs[run_id]
                if run.status.ended or stopped.is_set():
                    return run
                self.state.changed.wait(patience)

    def lines(
        self, run_id: str, told: int, stopped: threading.Event, *, wait: bool
    ) -> tuple[list[tuple[float, str]], bool]:
        """The lines of a log after those that were told, and whether the run has ended; where wanted, waits for one."""
        patience = _POLL if self.state.is_shared else None
        with self.state.changed:
            while True:
                with self.state.reading():
                    found = self.state.logs.get(run_id, [])[told:]
                    ended = as_seen(self.state, self.state.runs[run_id]).status.ended
                if found or ended or not wait or stopped.is_set():
                    return found, ended or stopped.is_set()
                self.state.changed.wait(patience)

    def kill(self, task_id: str) -> None:
        """End what runs of a task. Inside `writing()`."""
        for run in self.state.runs_of(task_id):
            self.end(run)

    def end(self, run: RawRun) -> None:
        """End a run that has not ended. Inside `writing()`."""
        if not run.status.ended:
            self.state.keep_run(
                replace(run, status=RunState.KILLED, reason=Reason.KILLED, exit_code=143, ended=self.clock.now())
            )
            if run.id in self.state.killed:
                self.state.killed[run.id].set()

    def _work(self, run_id: str, killed: threading.Event) -> None:
        run = self.state.runs[run_id]
        bundle = self.state.blobs.get(run.sha, b"")
        try:
            ended = self.code(Job(run_id, run.task, run.args, bundle, lambda text: self._say(run_id, text), killed))
        except SpecrunnerError as problem:
            ended = Ended(RunState.FAILURE, Reason.EXIT, 1, problem.summary)
        except Exception as problem:  # whatever the user's function raises is how its run went
            ended = Ended(RunState.FAILURE, Reason.EXIT, 1, f"{type(problem).__name__}: {problem}")
        self._end(run_id, ended)

    def _say(self, run_id: str, text: str) -> None:
        with self.state.writing():
            self.state.logs.setdefault(run_id, []).append((time.time(), text))

    def _end(self, run_id: str, ended: Ended) -> None:
        with self.state.writing():
            self.state.killed.pop(run_id, None)
            run = self.state.runs[run_id]
            if run.status.ended:  # killed meanwhile
                return
            self.state.keep_run(
                replace(
                    run,
                    status=ended.status,
                    reason=ended.reason,
                    exit_code=ended.exit_code,
                    detail=ended.detail,
                    results=ended.results,
                    ended=self.clock.now(),
                )
            )


def as_seen(state: MemoryState, run: RawRun) -> RawRun:
    """A run as it really is: one whose process died is lost, or not begun if it never said anything."""
    if run.status is not RunState.RUNNING or processes.lives(run.worker):
        return run
    if state.logs.get(run.id):
        return replace(run, status=RunState.LOST, reason=Reason.LOST, detail="Its process is gone.")
    return replace(run, status=RunState.PENDING, worker="", started=None)


def view(run: RawRun, tail: tuple[str, ...] = ()) -> RunView:
    """A run as records and reports show it."""
    return RunView(
        id=run.id,
        task=run.task,
        status=run.status,
        created=run.created,
        reason=run.reason,
        detail=run.detail,
        exit_code=run.exit_code,
        intent=run.intent,
        scheduled=run.scheduled,
        started=run.started,
        ended=run.ended,
        args=run.args,
        results=run.results,
        sha=run.sha,
        log_tail=tail,
    )
