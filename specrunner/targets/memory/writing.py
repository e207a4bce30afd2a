"""Writing to a memory target: what each write checks, and what it leaves behind. All inside `writing()`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from specrunner.core.errors import BadInput, Conflict, NotFound, PackagingFailed, StalePlan, Transient, Unavailable
from specrunner.core.fields import Action, rule_for
from specrunner.core.keys import Key, Kind
from specrunner.core.plan import Step
from specrunner.core.resources import LiveObject, Presence, Resource, references_of
from specrunner.core.values import Json, canonical
from specrunner.targets.base import PutOrder
from specrunner.targets.memory import quirks, reading, renaming
from specrunner.targets.memory.quirks import Quirk
from specrunner.targets.memory.raw import RawObject, Record
from specrunner.targets.memory.running import Crew
from specrunner.targets.memory.state import MemoryState


@dataclass(frozen=True, slots=True)
class Writer:
    """Puts and deletes objects of a state."""

    state: MemoryState
    crew: Crew

    def put(self, order: PutOrder, prints: Mapping[str, str], failure: PackagingFailed | None) -> None:
        """Make one object as declared. `prints` are its secrets' fingerprints, `failure` why it can't be packaged."""
        key, step = order.resource.key, order.step
        if self.is_as_declared(order, prints):
            return
        former = step.renamed_from if self._is_free(key) else None
        if former is not None:
            check(step, reading.read_one(self.state, former))
        else:
            self._check_put(order)
        self._check_needs(order.resource)
        if former is not None:
            renaming.rename(self.state, former, key)
        there = self._there(order)
        if there is not None and step.action is Action.REPLACE:
            self._remove(there)
            there = None
        self._store(order, there, prints, failure)

    def is_as_declared(self, order: PutOrder, prints: Mapping[str, str]) -> bool:
        """Whether nothing is left to do for this order."""
        resource, there = order.resource, self.state.find(order.resource.key)
        record = self.state.records.get(resource.key)
        if there is None or record is None or there.looks or there.state == "error":
            return False
        if Quirk.TWINS in self.state.quirks and there.fresh and not _same_create(there, order):
            return False  # no listing has shown it yet
        same = canonical(kept(resource)) == canonical(there.spec) and dict(there.secrets) == dict(prints)
        return same and canonical(_memory(record)) == canonical(_memory(record_of(order, prints)))

    def delete(self, step: Step) -> None:
        """Remove one object and forget whose it was."""
        live = reading.read_one(self.state, step.key)
        if live is None or live.presence is Presence.LEAVING:
            return
        check(step, live)
        there = self.state.find(step.key)
        if there is not None:
            if users := self.state.users(step.key):
                raise _needed(step.key, users)
            self._remove(there)
        self.state.records.pop(step.key, None)

    def _is_free(self, key: Key) -> bool:
        return self.state.find(key) is None

    def _check_put(self, order: PutOrder) -> None:
        live = reading.read_one(self.state, order.resource.key)
        if live is not None and live.presence is Presence.LEAVING:
            self._look_at(live)
            raise not_free(live.key)
        unseen = Quirk.TWINS in self.state.quirks and self._unseen(order.resource.key)
        if not (unseen and order.step.creates):
            check(order.step, live)

    def _look_at(self, live: LiveObject) -> None:
        thing = self.state.objects[live.id]
        self.state.drop(thing.id)
        if thing.looks > 1:
            self.state.keep(replace(thing, looks=thing.looks - 1))

    def _unseen(self, key: Key) -> bool:
        return all(thing.fresh for thing in self.state.all_of(key))

    def _there(self, order: PutOrder) -> RawObject | None:
        """The object that is to be changed; None where one is to be made, which a server does that sees none."""
        found = self.state.all_of(order.resource.key)
        if Quirk.TWINS in self.state.quirks and order.step.creates and found and self._unseen(order.resource.key):
            return next((thing for thing in found if _same_create(thing, order)), None)
        return self.state.find(order.resource.key)

    def _check_needs(self, resource: Resource) -> None:
        for needed in references_of(resource.key, resource.spec):
            found = self.state.find(needed)
            if found is None or found.looks:
                raise NotFound(f"{resource.key} needs {needed}, which is not there.")
        if resource.key.kind is Kind.TASK:
            source = self.state.find(Key(Kind.ORCHESTRATION, resource.key.workspace, resource.spec["orchestration"]))
            if source is None or source.spec.get("sha") != resource.spec.get("orchestrationSha"):
                raise Unavailable(f"The orchestration of {resource.key} is not ready in the declared version.")

    def _store(
        self, order: PutOrder, there: RawObject | None, prints: Mapping[str, str], failure: PackagingFailed | None
    ) -> None:
        resource, record = order.resource, record_of(order, prints)
        thing = there or self._made(order)
        if there is None and resource.key in self.state.records:
            self.state.hand_over(resource.key, thing.id)
        if failure is not None:
            usable = there is not None and "sha" in there.spec  # the version before stays in force
            state = "ready" if usable else "error"
            self.state.keep(replace(thing, state=state, detail=failure.detail or failure.summary))
            self.state.records.setdefault(resource.key, Record(order.owner, applied={}))
            return
        if resource.payload is not None:
            self.state.blobs[resource.payload.sha] = resource.payload.read()
            thing = replace(thing, file_name=resource.payload.file_name)
        self.state.keep(replace(thing, spec=kept(resource), state="ready", detail="", secrets=dict(prints)))
        self.state.records[resource.key] = record

    def _made(self, order: PutOrder) -> RawObject:
        key = order.resource.key
        name = quirks.server_name(self.state.quirks, key)
        if name != key.name and any(t.name == name and t.key != key for t in self._beside(key)):
            raise Conflict(f"Something else is called {name!r} on the server already.")
        return RawObject(self.state.new_id(), key, name, {}, token=order.token)

    def _beside(self, key: Key) -> list[RawObject]:
        return [t for t in self.state.objects.values() if (t.key.kind, t.key.workspace) == (key.kind, key.workspace)]

    def _remove(self, thing: RawObject) -> None:
        self.crew.kill(thing.id)
        if Quirk.LINGERS in self.state.quirks:
            self.state.keep(replace(thing, looks=self.state.lingers))
        else:
            self.state.drop(thing.id)


def check(step: Step, live: LiveObject | None) -> None:
    """Refuse to write to another object than the one that was planned for. Raises StalePlan."""
    if live is not None and live.presence is Presence.MISSING and step.creates and not step.live:
        return
    if (live.fingerprint if live else "") != step.live:
        raise StalePlan(
            f"{step.key} is no longer as it was when this was planned.",
            detail="Somebody else has changed, made or removed it meanwhile." if step.live else "It exists by now.",
            remedy="Run `specrunner plan` again and look at what it says now.",
        )


def not_free(key: Key) -> Transient:
    """The error while a name is not free."""
    return Transient(f"The name of {key} is not free yet: what had it is still being deleted.")


def check_details(order: PutOrder) -> None:
    """Raises BadInput where the secret part of a connection's details is no mapping."""
    found = order.secrets.get("detailsFrom")
    if found is not None and not isinstance(found.reveal(), Mapping):
        raise BadInput(
            f"The secret behind `detailsFrom` of {order.resource.key} is no mapping.",
            remedy="Point `detailsFrom` at a .json or .yaml file that holds an object.",
            place=order.resource.place,
        )


def _same_create(thing: RawObject, order: PutOrder) -> bool:
    return bool(order.token) and thing.token == order.token


def _needed(key: Key, users: list[Key]) -> Conflict:
    return Conflict(f"{key} can't be removed: {', '.join(map(str, users))} can't do without it.")


def kept(resource: Resource) -> dict[str, Json]:
    """What the server keeps of a spec: everything that counts for it."""
    kind = resource.key.kind
    return {name: value for name, value in resource.spec.items() if rule_for(kind, name).compared}


def record_of(order: PutOrder, prints: Mapping[str, str]) -> Record:
    """What is to be remembered of an order that was carried out."""
    resource = order.resource
    return Record(
        owner=order.owner,
        applied=resource.spec,
        secrets=dict(prints),
        labels=dict(resource.labels),
        description=resource.description,
        protect=resource.protect,
    )


def _memory(record: Record) -> list[Json]:
    told = [str(record.owner), record.applied, dict(record.secrets), dict(record.labels)]
    return [*told, record.description, record.protect]
