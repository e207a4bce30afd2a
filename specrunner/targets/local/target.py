"""The adapter: the `Target` port over an embedded engine."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from specrunner.core.due import Due
from specrunner.core.errors import Diagnostic, SpecrunnerError
from specrunner.core.keys import Key
from specrunner.core.leases import Holder, Lease
from specrunner.core.outcome import RunView
from specrunner.core.plan import Step
from specrunner.core.recorded import Recorded
from specrunner.core.resources import Live, Owner, Resource
from specrunner.core.services import ServiceState
from specrunner.core.values import Json, JsonObject, Secret
from specrunner.engine.records import Run, Task
from specrunner.targets.base import Note, PutOrder, Stored, silent
from specrunner.targets.local import capabilities, following, reading, serving
from specrunner.targets.local.changing import Change, Restoring, remove
from specrunner.targets.serving import LogRows, PipelineView, Span

if TYPE_CHECKING:
    import pyarrow as pa

    from specrunner.engine.engine import Engine
    from specrunner.engine.looking import Look

_logger = logging.getLogger(__name__)

_TAIL_LINES = 40


class LocalTarget:
    """The embedded engine as a target; it owns the engine and closes it.

    Given what opens the engine when it is needed first, and a look at the store, it reads without an engine, and
    without writing to the state folder, as far as that goes.
    """

    name = "local"

    def __init__(self, engine: Engine | Callable[[], Engine], look: Look | None = None) -> None:
        self._given = engine
        self._look = look
        self._stopped = threading.Event()

    @cached_property
    def _engine(self) -> Engine:
        return self._given() if callable(self._given) else self._given

    @property
    def _is_open(self) -> bool:
        return "_engine" in vars(self) or not callable(self._given)

    def read(self) -> Live:
        """Everything live."""
        seen = None if self._look is None or self._is_open else reading.seen(self._look)
        return reading.read(self._engine) if seen is None else seen

    def fingerprint(self, secret: Secret) -> str:
        """The keyed fingerprint of a secret."""
        return self._engine.fingerprint(secret) if self._look is None else self._look.fingerprint(secret)

    def unsupported(self, resources: Iterable[Resource]) -> list[Diagnostic]:
        """What these declare and this engine cannot do."""
        return capabilities.unsupported(resources)

    def unfit(self, resources: Iterable[Resource]) -> list[Diagnostic]:
        """Which model files do not load."""
        return capabilities.unfit(self._engine, resources)

    def put(self, order: PutOrder, note: Note = silent) -> None:
        """Make one object as declared and remember whose it is."""
        Change(self._engine, order).make(note)

    def delete(self, step: Step, note: Note = silent) -> None:
        """Remove one object and forget whose it was."""
        remove(self._engine, step, note)

    def restore(self, recorded: Recorded, order: PutOrder, note: Note = silent) -> None:
        """Make one object as it was recorded; its intents become runs that have ended."""
        Restoring(self._engine, order, recorded).make(note)

    def remembers(self, owner: Owner) -> bool:
        """Whether all that was applied for this owner is here."""
        seen = None if self._look is None else self._look.remembers(owner)
        return self._engine.facts.remembers(owner) if seen is None else seen

    def remember(self, owner: Owner) -> None:
        """All of this owner is here from now on."""
        self._engine.facts.remember(owner)

    def stored(self, key: Key) -> Stored | None:
        """The bytes of a model or an orchestration as it is in force."""
        return reading.stored(self._engine, key)

    def leases(self) -> list[Lease]:
        """Every lease."""
        return self._engine.leases.all()

    def take_lease(self, name: str, holder: Holder) -> Lease | None:
        """Take a lease, or give the one that excludes it."""
        return self._engine.leases.take(name, holder)

    def renew_lease(self, name: str, token: str) -> bool:
        """Hold a lease for longer; False where it is lost."""
        return self._engine.leases.renew(name, token)

    def release_lease(self, name: str, token: str | None) -> bool:
        """Give a lease back, or break it."""
        return self._engine.leases.release(name, token)

    def run(
        self,
        task: Key,
        intent: str | None,
        args: JsonObject | None = None,
        note: Note = silent,
        *,
        wait: bool = True,
    ) -> RunView:
        """Run a task to its end, or only start it."""
        found = self._task(task)
        run = self._engine.runs.submit(found, intent, args)
        host = self.host()
        by = f", by `specrunner serve` (process {host.pid})" if host else ""
        note(f"running, run {run.id[:8]}{by}")
        if not wait:
            return self._view(self._engine.runs.begin(run.id))
        ended = self._engine.runs.carry_out(run.id)
        return self._view(ended, self._tail(ended))

    def runs(self, task: Key | None = None) -> list[RunView]:
        """Runs, newest first, as they are now."""
        runs = self._engine.history.all() if task is None else self._engine.history.of_key(str(task))
        return [self._view(self._engine.runs.recovered(run)) for run in runs]

    def look(self, run_id: str, *, closely: bool = True) -> RunView:
        """One run with the tail of its log, as it is now, or as it was last written down. Raises NotFound."""
        run = self._engine.history.get(run_id)
        run = self._engine.runs.recovered(run) if closely else run
        return self._view(run, self._tail(run))

    def shown(self, run: Run) -> RunView:
        """A run as records show it."""
        return self._view(run)

    def log(self, run_id: str, *, follow: bool = False) -> Iterator[tuple[float, str]]:
        """The complete lines of a run's log, also those to come where they are followed."""
        self._engine.history.get(run_id)  # one that there is not is said at once, not at the first line
        return following.lines(self._engine, run_id, self._stopped if follow else None)

    def kill_run(self, run_id: str) -> RunView:
        """End a run."""
        return self._view(self._engine.runs.kill(run_id))

    def host(self) -> Holder | None:
        """The living `specrunner serve` on this state folder."""
        return self._engine.hosting.living()

    def suspend(self, task: Key) -> None:
        """Hold a task back."""
        self._engine.tasks.suspend(self._task(task))

    def resume(self, task: Key) -> None:
        """Hold a task back no longer."""
        self._engine.tasks.resume(self._task(task))

    def service_state(self, task: Key) -> ServiceState | None:
        """How a service is just now."""
        return self._engine.services.state(self._task(task))

    def upcoming(self, task: Key, after: datetime, count: int) -> list[Due]:
        """The next instants of a task's schedule."""
        timing = self._engine.tasks.timing(self._task(task))
        return list(timing.upcoming(after, count)) if timing else []

    def missed(self, task: Key, begin: datetime, end: datetime) -> list[datetime]:
        """The instants of a span that have had no run."""
        return self._engine.runs.missed(self._task(task), begin, end)

    def backfill(self, task: Key, begin: datetime, end: datetime) -> list[RunView]:
        """Make a run for each of them."""
        return [self._view(run) for run in self._engine.runs.backfill(self._task(task), begin, end)]

    def attend(self, run_id: str) -> RunView:
        """Carry a run out, or wait for whoever does."""
        ended = self._engine.runs.carry_out(run_id)
        return self._view(ended, self._tail(ended))

    def infer(self, pipeline: Key, file: Path) -> pa.Table:
        """Infer on the rows of a file."""
        from specrunner.engine import tables

        return self.infer_table(pipeline, lambda: tables.read_table(file))

    def infer_table(self, pipeline: Key, rows: Callable[[], pa.Table]) -> pa.Table:
        """Infer on rows, which are read once it is known that the pipeline serves."""
        usable = serving.usable(self._engine, pipeline)
        return self._engine.planes.infer(usable, rows())

    def infer_json(self, pipeline: Key, value: Json) -> Json:
        """Infer on custom JSON."""
        return self._engine.planes.infer_json(serving.usable(self._engine, pipeline), value)

    def pipelines(self) -> Sequence[PipelineView]:
        """All pipelines."""
        return serving.pipelines(self._engine)

    def deploy(self, pipeline: Key, version: str | None = None) -> PipelineView:
        """Hold a version of a pipeline as this user."""
        return serving.deploy(self._engine, pipeline, version)

    def undeploy(self, pipeline: Key, *, force: bool = False) -> PipelineView:
        """Give back this user's hold, with `force` also that of the specs."""
        return serving.undeploy(self._engine, pipeline, force=force)

    def logged(self, pipeline: Key, limit: int | None, span: Span) -> LogRows:
        """Rows of an inference log."""
        return serving.logged(self._engine, pipeline, limit, span)

    def export(self, pipeline: Key, path: Path, span: Span) -> int:
        """An inference log, or a span of it, as a file."""
        return serving.export(self._engine, pipeline, path, span)

    def stop_waiting(self) -> None:
        """Let every `run` return soon; the runs themselves go on under their supervisors."""
        self._stopped.set()
        self._engine.runs.stop_waiting()

    def close(self) -> None:
        """Close the engine; before that, what is no longer kept of the runs that ended here goes."""
        if not self._is_open:
            return
        try:
            self._engine.sweep()
        except SpecrunnerError:
            _logger.exception("action=retention the next one will try again")
        finally:
            self._engine.close()

    def _task(self, key: Key) -> Task:
        return self._engine.tasks.named(self._engine.workspaces.named(key.workspace).id, key.name)

    def _tail(self, run: Run) -> tuple[str, ...]:
        return tuple(text for _, text in self.log(run.id))[-_TAIL_LINES:]

    def _view(self, run: Run, tail: tuple[str, ...] = ()) -> RunView:
        return RunView(
            id=run.id,
            task=Key.parse(run.task_key),
            status=run.status,
            created=run.created_at,
            reason=run.reason,
            detail=run.detail,
            attempt=run.attempt,
            exit_code=run.exit_code,
            intent=run.intent or "",
            scheduled=run.scheduled_at,
            started=run.started_at,
            ended=run.ended_at,
            args=run.args,
            results=run.results,
            sha=run.sha,
            environment=run.environment,
            log_tail=tail,
            first=run.first_at,
            beside=run.beside,
        )
