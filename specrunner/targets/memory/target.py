"""The adapter: the `Target` port over a `MemoryState`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from specrunner.core.due import Due
from specrunner.core.errors import Diagnostic, NotFound, PackagingFailed, Unavailable
from specrunner.core.keys import Key, Kind
from specrunner.core.leases import Holder, Lease
from specrunner.core.outcome import RunView
from specrunner.core.plan import Step
from specrunner.core.ports import Clock
from specrunner.core.recorded import Recorded
from specrunner.core.resources import Live, Owner, Payload, Resource
from specrunner.core.services import ServiceState
from specrunner.core.values import Json, JsonObject, Secret
from specrunner.engine.clock import SystemClock
from specrunner.targets.base import Note, PutOrder, Stored, silent
from specrunner.targets.memory import leasing, processes, reading, restoring, scheduling
from specrunner.targets.memory.raw import RawRun
from specrunner.targets.memory.running import Code, Crew, as_seen, succeed, view
from specrunner.targets.memory.state import MemoryState
from specrunner.targets.memory.writing import Writer, check_details

if TYPE_CHECKING:
    import pyarrow as pa

_TAIL_LINES = 40


def _nothing_wrong(_resources: Iterable[Resource]) -> list[Diagnostic]:
    return []


_Asked = TypeVar("_Asked")


def _packaged(_bundle: Payload) -> None:
    """Every bundle can be packaged."""


def _as_it_came(_pipeline: Key, rows: _Asked) -> _Asked:
    return rows


@dataclass(frozen=True, slots=True)
class Hooks:
    """What is done in place of the real thing.

    `run` is called for each run in a thread of its own. `package` raises PackagingFailed for a bundle that can't be
    run, `infer` gives the outputs for a table of rows and `infer_json` the answer to custom JSON, `unsupported` and
    `unfit` are those of the port.
    """

    run: Code = succeed
    package: Callable[[Payload], None] = _packaged
    infer: Callable[[Key, pa.Table], pa.Table] = _as_it_came
    infer_json: Callable[[Key, Json], Json] = _as_it_came
    unsupported: Callable[[Iterable[Resource]], list[Diagnostic]] = _nothing_wrong
    unfit: Callable[[Iterable[Resource]], list[Diagnostic]] = _nothing_wrong


class MemoryTarget:
    """A target that needs no engine and no disk. Several may share one state, as processes share a database."""

    name = "memory"

    def __init__(
        self,
        state: MemoryState | None = None,
        hooks: Hooks | None = None,
        clock: Clock | None = None,
        alive: leasing.Alive = processes.may_live,
    ) -> None:
        self.state = state if state is not None else MemoryState()
        self._hooks = hooks or Hooks()
        self._clock = clock or SystemClock()
        self._alive = alive
        self._crew = Crew(self.state, self._clock, self._hooks.run)
        self._writer = Writer(self.state, self._crew)
        self._stopped = threading.Event()

    # Objects

    def read(self) -> Live:
        """Everything live, as the server tells it."""
        with self.state.reading():
            found = reading.read(self.state)
            if reading.is_changed_by_looking(self.state):
                with self.state.writing():
                    reading.look(self.state)
        return found

    def fingerprint(self, secret: Secret) -> str:
        """The keyed fingerprint of a secret."""
        with self.state.reading():
            return self.state.fingerprint(secret)

    def unsupported(self, resources: Iterable[Resource]) -> list[Diagnostic]:
        """What the hook says."""
        return self._hooks.unsupported(resources)

    def unfit(self, resources: Iterable[Resource]) -> list[Diagnostic]:
        """What the hook says."""
        return self._hooks.unfit(resources)

    def put(self, order: PutOrder, note: Note = silent) -> None:
        """Make one object as declared and remember whose it is."""
        check_details(order)
        note("writing")
        failure = self._packaging_failure(order.resource)
        with self.state.writing():
            prints = {path: self.state.fingerprint(secret) for path, secret in order.secrets.items()}
            self._writer.put(order, prints, failure)
        if failure is not None:
            raise failure

    def _packaging_failure(self, resource: Resource) -> PackagingFailed | None:
        if resource.key.kind is not Kind.ORCHESTRATION or resource.payload is None:
            return None
        try:
            self._hooks.package(resource.payload)
        except PackagingFailed as problem:
            return problem
        return None

    def delete(self, step: Step, note: Note = silent) -> None:
        """Remove one object and forget whose it was."""
        note("removing")
        with self.state.writing():
            self._writer.delete(step)

    def stored(self, key: Key) -> Stored | None:
        """The bytes of a model or an orchestration."""
        with self.state.reading():
            found = self.state.find(key)
            data = self.state.blobs.get(str(found.spec.get("sha", ""))) if found is not None else None
            return Stored(found.file_name, data) if found is not None and data is not None else None

    # Memory

    def remembers(self, owner: Owner) -> bool:
        """Whether `remember` was called for this owner."""
        with self.state.reading():
            return owner in self.state.remembered

    def remember(self, owner: Owner) -> None:
        """Everything of this owner is here from now on."""
        with self.state.writing():
            self.state.remembered.add(owner)

    def restore(self, recorded: Recorded, order: PutOrder, note: Note = silent) -> None:
        """Bring an object back that only the status files know; one that is there stays as it is."""
        note("restoring")
        with self.state.writing():
            prints = {path: self.state.fingerprint(secret) for path, secret in order.secrets.items()}
            restoring.restore(self.state, recorded, order, prints, self._clock.now())

    # Leases

    def leases(self) -> list[Lease]:
        """Every lease, expired ones too."""
        with self.state.reading():
            return sorted(self.state.leases.values(), key=lambda lease: lease.name)

    def take_lease(self, name: str, holder: Holder) -> Lease | None:
        """Take a lease; the one that excludes it otherwise."""
        with self.state.writing():
            return leasing.take(self.state, name, holder, self._clock.now(), self._alive)

    def renew_lease(self, name: str, token: str) -> bool:
        """Hold it for another while."""
        with self.state.writing():
            return leasing.renew(self.state, name, token, self._clock.now())

    def release_lease(self, name: str, token: str | None) -> bool:
        """Give it back, or break it."""
        with self.state.writing():
            return leasing.release(self.state, name, token)

    # Runs

    def run(
        self,
        task: Key,
        intent: str | None,
        args: JsonObject | None = None,
        note: Note = silent,
        *,
        wait: bool = True,
    ) -> RunView:
        """Run a task and wait for the end."""
        with self.state.writing():
            found = scheduling.task_of(self.state, task)
            run = self._crew.submit(found, intent or "", found.spec.get("args", {}) if args is None else args)
        note(f"running, {run.id}")
        if wait:
            return self.attend(run.id)
        self._crew.start(run.id)
        with self.state.reading():
            return view(self.state.runs[run.id])

    def runs(self, task: Key | None = None) -> list[RunView]:
        """Runs, newest first."""
        with self.state.reading():
            found = [
                view(as_seen(self.state, run)) for run in self.state.runs.values() if task is None or run.task == task
            ]
        return found[::-1]

    def log(self, run_id: str, *, follow: bool = False) -> Iterator[tuple[float, str]]:
        """The lines of a run's log, also those to come where they are followed."""
        with self.state.reading():
            self._existing(run_id)
        told = 0
        while True:
            lines, ended = self._crew.lines(run_id, told, self._stopped, wait=follow)
            yield from lines
            told += len(lines)
            if ended or not follow:
                return

    def kill_run(self, run_id: str) -> RunView:
        """End a run."""
        with self.state.writing():
            self._crew.end(self._existing(run_id))
            return view(self.state.runs[run_id])

    def _existing(self, run_id: str) -> RawRun:
        if run_id not in self.state.runs:
            raise NotFound(f"There is no run {run_id!r}.")
        return self.state.runs[run_id]

    def host(self) -> Holder | None:
        """Nobody: schedules are stored here and never fire."""
        return None

    def suspend(self, task: Key) -> None:
        """Hold a task back."""
        with self.state.writing():
            scheduling.hold_back(self.state, task, suspended=True)

    def resume(self, task: Key) -> None:
        """Hold a task back no longer."""
        with self.state.writing():
            scheduling.hold_back(self.state, task, suspended=False)

    def service_state(self, task: Key) -> ServiceState | None:
        """How a service is; nobody keeps one alive here."""
        with self.state.reading():
            return scheduling.service_state(self.state, task)

    def upcoming(self, task: Key, after: datetime, count: int) -> list[Due]:
        """The next instants of a task's schedule."""
        with self.state.reading():
            timing = scheduling.timing_of(self.state, task)
        return list(timing.upcoming(after, count)) if timing else []

    def missed(self, task: Key, begin: datetime, end: datetime) -> list[datetime]:
        """The instants of a span that have had no run."""
        with self.state.reading():
            return scheduling.missed(self.state, task, begin, min(end, self._clock.now()))

    def backfill(self, task: Key, begin: datetime, end: datetime) -> list[RunView]:
        """Make a run for each of them."""
        with self.state.writing():
            instants = scheduling.missed(self.state, task, begin, min(end, self._clock.now()))
            found = scheduling.task_of(self.state, task)
            args = found.spec.get("args", {})
            return [view(self._crew.submit(found, "", args, instant)) for instant in instants]

    def attend(self, run_id: str) -> RunView:
        """Carry a run out, or wait for whoever does."""
        with self.state.reading():
            self._existing(run_id)
        self._crew.start(run_id)
        ended = self._crew.wait(run_id, self._stopped)
        return view(ended, tuple(text for _, text in self.log(run_id))[-_TAIL_LINES:])

    def stop_waiting(self) -> None:
        """Let every `run` return soon; the runs themselves go on."""
        self._stopped.set()
        with self.state.changed:
            self.state.changed.notify_all()

    def infer(self, pipeline: Key, file: Path) -> pa.Table:
        """Infer on the rows of a file with the hook."""
        from specrunner.engine import tables

        return self.infer_table(pipeline, lambda: tables.read_table(file))

    def infer_table(self, pipeline: Key, rows: Callable[[], pa.Table]) -> pa.Table:
        """Infer on rows with the hook."""
        self._check_serves(pipeline)
        return self._hooks.infer(pipeline, rows())

    def infer_json(self, pipeline: Key, value: Json) -> Json:
        """Infer on custom JSON with the hook."""
        self._check_serves(pipeline)
        return self._hooks.infer_json(pipeline, value)

    def _check_serves(self, pipeline: Key) -> None:
        with self.state.reading():
            found = self.state.find(pipeline)
        if found is None or "deployed" not in found.spec:
            raise NotFound(f"The pipeline {pipeline.name!r} was never deployed.")
        if not found.spec["deployed"]:
            raise Unavailable(f"The pipeline {pipeline.name!r} is not deployed now.")

    def close(self) -> None:
        """Nothing is held: the state goes on without it, and so do runs."""
