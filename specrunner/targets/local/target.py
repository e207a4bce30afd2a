"""The adapter: the `Target` port over an embedded engine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from specrunner.core.diff import changes, secret_changes
from specrunner.core.errors import Diagnostic, NotFound, StalePlan
from specrunner.core.keys import Key
from specrunner.core.outcome import RunView
from specrunner.core.plan import Step
from specrunner.core.resources import Live, LiveObject, Owner, Resource
from specrunner.core.values import JsonObject, Secret
from specrunner.engine.engine import Engine
from specrunner.engine.records import Ownership, Run, Task
from specrunner.targets.base import Note, PutOrder, silent
from specrunner.targets.local import capabilities, reading, writing

if TYPE_CHECKING:
    import pyarrow as pa

_TAIL_LINES = 40


class LocalTarget:
    """The embedded engine as a target; it owns the engine and closes it."""

    name = "local"

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def read(self) -> Live:
        """Everything live."""
        return reading.read(self._engine)

    def fingerprint(self, secret: Secret) -> str:
        """The keyed fingerprint of a secret."""
        return self._engine.fingerprint(secret)

    def unsupported(self, resources: Iterable[Resource]) -> list[Diagnostic]:
        """What these declare and this engine cannot do."""
        return capabilities.unsupported(resources)

    def unfit(self, resources: Iterable[Resource]) -> list[Diagnostic]:
        """Which model files do not load."""
        return capabilities.unfit(self._engine, resources)

    def put(self, order: PutOrder, note: Note = silent) -> None:
        """Make one object as declared and remember whose it is."""
        resource, live = order.resource, self._live(order.step.key)
        secrets = {path: self.fingerprint(secret) for path, secret in order.secrets.items()}
        if live is not None and live.owner == order.owner and _is_as_declared(resource, live, secrets):
            return
        self._check(order.step, live)
        with self._claimed(resource.key, order.owner if live is None else None):
            writing.put(self._engine, order, note)
        record = Ownership(
            owner=order.owner,
            applied=resource.spec,
            secrets=secrets,
            labels=resource.labels,
            description=resource.description,
            protect=resource.protect,
        )
        self._engine.ownership.put(resource.key, record)

    @contextmanager
    def _claimed(self, key: Key, owner: Owner | None) -> Iterator[None]:
        """Say whose an object is before it is there, so that one that is left half made belongs to somebody."""
        if owner is not None:
            self._engine.ownership.put(key, Ownership(owner, applied={}))
        try:
            yield
        except BaseException:
            if owner is not None and self._live(key) is None:
                self._engine.ownership.delete(key)
            raise

    def delete(self, step: Step, note: Note = silent) -> None:
        """Remove one object and forget whose it was."""
        live = self._live(step.key)
        if live is not None:
            self._check(step, live)
            note("removing")
        writing.delete(self._engine, step.key)
        self._engine.ownership.delete(step.key)

    def run(self, task: Key, intent: str | None, args: JsonObject | None = None, note: Note = silent) -> RunView:
        """Run a task to its end."""
        found = self._task(task)
        run = self._engine.runs.submit(found, intent, args)
        note(f"running, run {run.id[:8]}")
        ended = self._engine.runs.carry_out(run.id)
        return self._view(ended, self._tail(ended))

    def runs(self, task: Key | None = None) -> list[RunView]:
        """Runs, newest first, as they are now."""
        runs = self._engine.history.all() if task is None else self._engine.history.of_key(str(task))
        return [self._view(self._engine.runs.recovered(run)) for run in runs]

    def log(self, run_id: str) -> Iterator[tuple[float, str]]:
        """The complete lines of a run's log so far."""
        run, offset = self._engine.history.get(run_id), 0
        while True:
            lines, offset = self._engine.runs.log(run, offset)
            if not lines:
                return
            yield from ((line.time, line.text) for line in lines)

    def infer(self, pipeline: Key, file: Path) -> pa.Table:
        """Infer on the rows of a file."""
        from specrunner.engine import tables

        workspace = self._engine.workspaces.named(pipeline.workspace)
        found = self._engine.pipelines.named(workspace.id, pipeline.name)
        deployment = self._engine.deployments.of_pipeline(found.id)
        if deployment is None:
            raise NotFound(
                f"The pipeline {pipeline.name!r} was never deployed.",
                remedy="Declare `deployed: true` in its spec and apply.",
            )
        usable = self._engine.deployments.usable(deployment.id, self._engine.user_holder)
        return self._engine.planes.infer(usable, tables.read_table(file))

    def stop_waiting(self) -> None:
        """Let every `run` return soon; the runs themselves go on under their supervisors."""
        self._engine.runs.stop_waiting()

    def close(self) -> None:
        """Close the engine."""
        self._engine.close()

    def _live(self, key: Key) -> LiveObject | None:
        return reading.read(self._engine, [key.kind]).get(key)

    def _check(self, step: Step, live: LiveObject | None) -> None:
        """Refuse to write to another object than the one that was planned for."""
        if (live.fingerprint if live else "") != step.live:
            raise StalePlan(
                f"{step.key} is no longer as it was when this was planned.",
                detail="Somebody else has changed, made or removed it meanwhile." if step.live else "It exists by now.",
                remedy="Run `specrunner plan` again and look at what it says now.",
            )

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
        )


def _is_as_declared(resource: Resource, live: LiveObject, secrets: Mapping[str, str]) -> bool:
    return not changes(resource, live) and not secret_changes(resource, live, secrets)
