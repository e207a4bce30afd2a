"""The adapter: the `Target` port over a platform's public routes."""

from __future__ import annotations

import shlex
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from specrunner.core.due import Due, Timing
from specrunner.core.errors import BadInput, Conflict, Diagnostic, NotFound, Unavailable
from specrunner.core.keys import Key, Kind
from specrunner.core.leases import Holder, Lease
from specrunner.core.outcome import RunView
from specrunner.core.plan import Step
from specrunner.core.recorded import Recorded
from specrunner.core.resources import Live, LiveObject, Owner, Resource
from specrunner.core.services import ServiceState
from specrunner.core.values import Json, JsonObject, Secret
from specrunner.targets.base import Note, PutOrder, Stored, silent
from specrunner.targets.memory import MemoryTarget
from specrunner.targets.wallaroo import capabilities, looking, running, writing
from specrunner.targets.wallaroo.http import Platform
from specrunner.targets.wallaroo.memory import Memory

if TYPE_CHECKING:
    import pyarrow as pa

Warn = Callable[[Sequence[Diagnostic]], None]


class WallarooTarget:
    """A platform that speaks the MLOps API, as a target.

    `memory` is what it has no place for. With `warn`, what it can't express is told there and left out; without, a
    plan that asks for it is refused. `leases` is where those are held, since the platform has none.
    """

    name = "wallaroo"

    def __init__(self, platform: Platform, memory: Memory, leases: MemoryTarget, warn: Warn | None = None) -> None:
        self._platform, self._memory, self._warn = platform, memory, warn
        self._told: set[str] = set()
        self._stopped = threading.Event()
        self._leases = leases
        self._place = writing.Place(platform, memory, self._stopped.is_set)

    # Objects

    def read(self) -> Live:
        """Everything live that our token sees, and what is remembered of it."""
        self._memory.refresh()
        known = self._memory.entries()
        entries = {key: self._place.with_prints(key, entry) for key, entry in known.items()}
        return looking.everything(looking.Scene(self._platform), entries, self._memory.left())

    def fingerprint(self, secret: Secret) -> str:
        """This machine's keyed fingerprint of a secret."""
        return self._memory.fingerprint(secret)

    def unsupported(self, resources: Iterable[Resource]) -> list[Diagnostic]:
        """What these declare and the platform can't express; told and left out where that is wanted."""
        found = capabilities.unsupported(resources, self._platform.place)
        if self._warn is None:
            return found
        new = [one for one in found if one.summary not in self._told]
        self._told.update(one.summary for one in new)
        if new:
            self._warn(capabilities.as_warnings(new))
        return []

    def unfit(self, resources: Iterable[Resource]) -> list[Diagnostic]:
        """Nothing is known of files before the platform has them."""
        return []

    def put(self, order: PutOrder, note: Note = silent) -> None:
        """Make one object as declared."""
        writing.put(self._place, order, note)

    def delete(self, step: Step, note: Note = silent) -> None:
        """Remove one object, or let go of it where the platform can't remove it."""
        writing.delete(self._place, step, note)

    def stored(self, key: Key) -> Stored | None:
        """The platform gives no bytes back."""
        return None

    # Memory

    def remembers(self, owner: Owner) -> bool:
        """Always: what is remembered is read with everything else, from the status files."""
        return True

    def remember(self, owner: Owner) -> None:
        """Nothing to be noted."""

    def restore(self, recorded: Recorded, order: PutOrder, note: Note = silent) -> None:
        """Nothing is brought back: what is recorded and not live is missing."""

    # Leases

    def leases(self) -> list[Lease]:
        """Every lease of this machine."""
        return self._leases.leases()

    def take_lease(self, name: str, holder: Holder) -> Lease | None:
        """Take a lease among the processes of this machine."""
        return self._leases.take_lease(name, holder)

    def renew_lease(self, name: str, token: str) -> bool:
        """Hold it for another while."""
        return self._leases.renew_lease(name, token)

    def release_lease(self, name: str, token: str | None) -> bool:
        """Give it back, or break it."""
        return self._leases.release_lease(name, token)

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
        """Run a task to its end, or only start it."""
        found = running.run(self._place, task, intent, args, note)
        return running.wait(self._place, found) if wait else running.started(self._place, found)

    def runs(self, task: Key | None = None) -> list[RunView]:
        """Runs, newest first, as they are now."""
        return running.runs(self._place, task)

    def log(self, run_id: str, *, follow: bool = False) -> Iterator[tuple[float, str]]:
        """The lines of a run's log, also those to come where they are followed."""
        return running.follow(self._place, run_id) if follow else iter(running.log(self._place, run_id))

    def kill_run(self, run_id: str) -> RunView:
        """End a run."""
        return running.end(self._place, run_id)

    def attend(self, run_id: str) -> RunView:
        """Wait for the end of a run."""
        return running.wait(self._place, running.find(self._place, run_id))

    # Schedules

    def host(self) -> Holder | None:
        """The platform itself, which starts what is scheduled; it is no process that has a pid here."""
        return Holder("", self._platform.place, 0, datetime.now(UTC), "")

    def suspend(self, task: Key) -> None:
        """Pause a schedule."""
        self._pause(task, pause=True)

    def resume(self, task: Key) -> None:
        """Pause it no longer."""
        self._pause(task, pause=False)

    def _pause(self, task: Key, *, pause: bool) -> None:
        self._task(task)
        schedules = looking.Scene(self._platform).schedules_of(task)
        if not schedules:
            raise Conflict(f"The task {task.name!r} runs once: there is nothing to hold back.")
        for one in schedules:
            self._platform.tell("task/pause", {"id": one["id"], "pause": pause})

    def service_state(self, task: Key) -> ServiceState | None:
        """None: services are refused."""
        self._task(task)
        return None

    def upcoming(self, task: Key, after: datetime, count: int) -> list[Due]:
        """The next instants of a schedule, by the expression that the platform has."""
        schedule = self._task(task).spec.get("schedule")
        timing = Timing.of(str(task), schedule, False) if schedule else None
        return list(timing.upcoming(after, count)) if timing else []

    def missed(self, task: Key, begin: datetime, end: datetime) -> list[datetime]:
        """The platform does not say which instant a run was for. Raises BadInput, NotFound."""
        self._task(task)
        raise BadInput(
            f"{self._platform.place} does not tell which instants of a schedule had a run.",
            remedy=f"Start one with `specrunner run {shlex.quote(task.name)}`.",
        )

    def backfill(self, task: Key, begin: datetime, end: datetime) -> list[RunView]:
        """Raises as `missed` does."""
        self.missed(task, begin, end)
        return []

    def _task(self, task: Key) -> LiveObject:
        found = self.read().get(task)
        if found is None or task.kind is not Kind.TASK:
            raise NotFound(f"There is no task {task.name!r}.")
        return found

    # Inference

    def infer(self, pipeline: Key, file: Path) -> pa.Table:
        """Infer on the rows of a file."""
        from specrunner.engine import tables

        return self.infer_table(pipeline, lambda: tables.read_table(file))

    def infer_table(self, pipeline: Key, rows: Callable[[], pa.Table]) -> pa.Table:
        """Infer on rows."""
        from specrunner.engine import tables

        path = self._inference(pipeline)
        sent = tables.encode(rows(), tables.Media.ARROW_FILE)
        return tables.decode(self._platform.infer(path, sent), tables.Media.ARROW_FILE)

    def infer_json(self, pipeline: Key, value: Json) -> Json:
        """Infer on custom JSON."""
        return self._platform.infer_json(self._inference(pipeline), value)

    def _inference(self, pipeline: Key) -> str:
        """Where a deployed pipeline is asked. Raises NotFound, Unavailable."""
        found = looking.Scene(self._platform).pipelines.get((pipeline.workspace, pipeline.name))
        deployment = (found or {}).get("deployment")
        if not deployment:
            raise NotFound(f"The pipeline {pipeline.name!r} was never deployed.")
        if not deployment["deployed"]:
            raise Unavailable(f"The pipeline {pipeline.name!r} is not deployed now.")
        return f"pipelines/infer/{deployment['deploy_id']}-{deployment['id']}/{pipeline.name}"

    def stop_waiting(self) -> None:
        """Let whoever waits return soon; what runs on the platform goes on."""
        self._stopped.set()

    def close(self) -> None:
        """Close the connections."""
        self._stopped.set()
        self._platform.close()
