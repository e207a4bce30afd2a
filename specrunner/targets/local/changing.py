"""One write: look at the object, refuse if it is another than planned for, change it, remember whose it is.

Looking and changing are one transaction, so nobody can come between. What takes long stays outside: bytes are taken
in before it, and packaging and deploying follow after it. Whoever is cut off there has left an object of his own,
of which nothing was applied yet.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from specrunner.core.diff import changes, secret_changes
from specrunner.core.errors import SpecrunnerError, StalePlan
from specrunner.core.fields import Action
from specrunner.core.keys import Key, Kind
from specrunner.core.lifecycle import RunState
from specrunner.core.plan import Step
from specrunner.core.recorded import Recorded
from specrunner.core.resources import LiveObject, Presence
from specrunner.engine.records import Ownership
from specrunner.targets.base import SUSPENDED, Note, PutOrder
from specrunner.targets.local import reading, writing
from specrunner.targets.stale import check

if TYPE_CHECKING:
    from specrunner.engine.engine import Engine


@dataclass(frozen=True)
class Change:
    """One `put`."""

    engine: Engine
    order: PutOrder

    def make(self, note: Note) -> None:
        """Carry it out. Raises StalePlan where the object is no longer the one that was planned for."""
        resource = self.order.resource
        if (resource.payload is not None or self._replaces) and not self._prepared(note):
            return
        with self.engine.transaction():
            unfinished = self._write()
        if self._replaces:
            writing.swept(self.engine, resource.key)
        if unfinished:
            writing.finish(self.engine, resource, note)
            self._remember(self.record)

    @cached_property
    def prints(self) -> Mapping[str, str]:
        """The fingerprints of the secrets that go with it."""
        return {path: self.engine.fingerprint(secret) for path, secret in self.order.secrets.items()}

    @cached_property
    def record(self) -> Ownership:
        """Whose it is from now on, and what is applied."""
        resource = self.order.resource
        return Ownership(
            owner=self.order.owner,
            applied=resource.spec,
            secrets=self.prints,
            labels=resource.labels,
            description=resource.description,
            protect=resource.protect,
        )

    def check(self, live: LiveObject | None) -> None:
        """Raise StalePlan if this is another object than the one that was planned for."""
        ours = live is not None and live.presence is Presence.MISSING and live.owner == self.order.owner
        if not (ours and self.order.step.creates):
            check(self.order.step, live)

    def written(self, *, made: bool) -> None:
        """The rows are there, or were there if not `made` now; what belongs into the same transaction follows here."""

    @property
    def _replaces(self) -> bool:
        return self.order.step.action is Action.REPLACE

    def _prepared(self, note: Note) -> bool:
        """Do what must not hold others up; False where the object is as declared already."""
        live = reading.read_one(self.engine, self.order.resource.key)
        if self._is_done(live):
            with self.engine.transaction():
                self.written(made=False)
            return False
        if self._replaces:
            self.check(live)
            writing.stop(self.engine, self.order.resource.key)
        writing.prepare(self.engine, self.order, note)
        return True

    def _write(self) -> bool:
        """Write the rows; whether something is left to be done."""
        key = self.order.resource.key
        at, live = self._found()
        if at == key and self._is_done(live):
            self.written(made=False)
            return False
        self.check(live)
        if at != key:
            self.engine.rename(at, key)
        if self._replaces and _is_there(live):
            writing.delete(self.engine, key)
        writing.put(self.engine, self.order)
        if live is not None and live.presence is Presence.MISSING:
            writing.succeed(self.engine, key)
        unfinished = writing.is_unfinished(self.engine, self.order.resource)
        if not unfinished:
            self._remember(self.record)
        elif not _is_there(live):
            self._remember(Ownership(self.order.owner, applied={}))
        self.written(made=not _is_there(live))
        return unfinished

    def _found(self) -> tuple[Key, LiveObject | None]:
        """The key that the object has now, and what it is."""
        key, old = self.order.resource.key, self.order.step.renamed_from
        live = reading.read_one(self.engine, key)
        former = reading.read_one(self.engine, old) if old is not None else None
        if old is None or not _is_there(former):
            return key, live
        if _is_there(live):
            raise StalePlan(
                f"{old} can't be renamed to {key}: that exists by now.",
                remedy="Run `specrunner plan` again and look at what it says now.",
            )
        return old, former

    def _is_done(self, live: LiveObject | None) -> bool:
        if live is None or live.owner != self.order.owner or live.presence is not Presence.PRESENT:
            return False
        resource = self.order.resource
        return not changes(resource, live) and not secret_changes(resource, live, self.prints)

    def _remember(self, record: Ownership) -> None:
        self.engine.ownership.put(self.order.resource.key, record)


@dataclass(frozen=True)
class Restoring(Change):
    """One `restore`: what was recorded is made as it was, by whatever step."""

    recorded: Recorded

    def check(self, live: LiveObject | None) -> None:
        """Raise StalePlan if somebody else has made an object of this name meanwhile."""
        if _is_there(live) and live is not None and live.owner != self.order.owner:
            raise StalePlan(
                f"{self.recorded.key} can't be restored: somebody else has made one of this name.",
                remedy="Run `specrunner plan` again and look at what it says now.",
            )

    def _is_done(self, live: LiveObject | None) -> bool:
        """What is here already stays as it is: what was recorded may be older."""
        if _is_there(live) and live is not None and live.owner == self.order.owner and live.applied:
            return True
        return super()._is_done(live)

    def written(self, *, made: bool) -> None:
        """What was carried out is not carried out again, and what was held back is: known in the task's own moment."""
        is_held = made and self.recorded.state == SUSPENDED
        if not (self.recorded.intents or is_held):
            return
        key = self.recorded.key
        task = self.engine.tasks.named(self.engine.workspaces.named(key.workspace).id, key.name)
        for intent, state in self.recorded.intents.items():
            run = self.recorded.runs.get(intent, "")
            self.engine.runs.restore(task, intent, _state(state), run, self.recorded.times.get(run))
        if is_held:
            self.engine.tasks.suspend(task)


def remove(engine: Engine, step: Step, note: Note) -> None:
    """Carry out one `delete`; of an object that is missing, only the record is left to be removed."""
    note("removing")
    if step.key.kind is Kind.TASK and _is_there(live := reading.read_one(engine, step.key)):
        check(step, live)
        writing.stop(engine, step.key)  # it may take a while, and nobody else should wait for it
    with engine.transaction():
        live = reading.read_one(engine, step.key)
        if _is_there(live):
            check(step, live)
            writing.delete(engine, step.key)
        if live is not None:
            engine.ownership.delete(step.key)
    writing.swept(engine, step.key)


def _is_there(live: LiveObject | None) -> bool:
    return live is not None and live.presence is Presence.PRESENT


def _state(text: str) -> RunState:
    try:
        return RunState(text)
    except ValueError as problem:
        raise SpecrunnerError(
            f"The status files tell of a run in a state {text!r}, which this specrunner does not know.",
            remedy="Update specrunner, or mend the file.",
        ) from problem
