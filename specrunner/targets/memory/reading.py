"""What a memory target tells of its objects, in the shape of the specs and with the quirks of its server."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from specrunner.core.keys import Key, Kind
from specrunner.core.lifecycle import TaskState
from specrunner.core.resources import LiveObject, Presence, is_run_once
from specrunner.targets.base import SUSPENDED
from specrunner.targets.memory import quirks
from specrunner.targets.memory.quirks import Quirk
from specrunner.targets.memory.raw import RawObject, RawRun, Record
from specrunner.targets.memory.running import as_seen
from specrunner.targets.memory.state import MemoryState


def read(state: MemoryState) -> dict[Key, LiveObject]:
    """Every live object by key, and what was applied and is gone; of twins the one made first."""
    found: dict[Key, LiveObject] = {}
    for thing in state.objects.values():
        key = known_as(state, thing)
        if key not in found or state.find(key) is thing:
            found[key] = told(state, thing)
    for key, record in state.records.items():
        if key not in found:
            found[key] = missing(state, key, record)
    return found


def read_one(state: MemoryState, key: Key) -> LiveObject | None:
    """What `read` tells of one object."""
    thing = state.find(key)
    if thing is not None:
        return told(state, thing)
    record = state.records.get(key)
    return missing(state, key, record) if record is not None else None


def look(state: MemoryState) -> None:
    """A listing was seen: what is new is new no longer, and what is leaving is seen once less."""
    for thing in list(state.objects.values()):
        if thing.looks == 1:
            state.drop(thing.id)
        elif thing.looks or thing.fresh:
            state.keep(replace(thing, looks=max(0, thing.looks - 1), fresh=False))


def is_changed_by_looking(state: MemoryState) -> bool:
    """Whether a listing makes a difference to what the next one shows."""
    return bool(state.quirks & {Quirk.LINGERS, Quirk.TWINS})


def known_as(state: MemoryState, thing: RawObject) -> Key:
    """The key of an object: what the adapter remembers, or what the server calls what nobody owns."""
    return thing.key if thing.key in state.records else thing.key.named(thing.name)


def told(state: MemoryState, thing: RawObject) -> LiveObject:
    """One object as the target tells it."""
    record = None if thing.looks else state.records.get(thing.key)
    kind = thing.key.kind
    return LiveObject(
        key=known_as(state, thing),
        spec=quirks.told_spec(state.quirks, kind, thing.spec),
        id=thing.id,
        state=SUSPENDED if thing.id in state.suspended else _state(state, thing),
        detail=thing.detail,
        owner=record.owner if record else None,
        applied=record.applied if record else None,
        protect=record.protect if record else False,
        labels=quirks.told_labels(state.quirks, record.labels if record else {}),
        description=record.description if record else "",
        secrets=record.secrets if record else {},
        intents=_intents(state, state.runs_of(thing.id)),
        presence=Presence.LEAVING if thing.looks else Presence.PRESENT,
        opaque=quirks.opaque_paths(state.quirks, kind),
        applied_labels=record.labels if record else None,
        held={path: thing.secrets[path] for path in record.secrets if path in thing.secrets} if record else None,
    )


def missing(state: MemoryState, key: Key, record: Record) -> LiveObject:
    """An object that was applied and that somebody else has removed; what a task has carried out is still known."""
    return LiveObject(
        key=key,
        spec={},
        id="",
        owner=record.owner,
        applied=record.applied,
        protect=record.protect,
        labels=record.labels,
        description=record.description,
        secrets=record.secrets,
        intents=_intents(state, state.left_runs(key)) if key.kind is Kind.TASK else {},
        presence=Presence.MISSING,
    )


def _state(state: MemoryState, thing: RawObject) -> str:
    """The state in the words of the embedded engine, which the schema of status files knows."""
    if thing.key.kind is Kind.PIPELINE:
        return "running" if thing.spec.get("deployed") else "undeployed"
    if thing.key.kind is not Kind.TASK:
        return thing.state
    if not is_run_once(thing.spec):
        return str(TaskState.STARTED)
    runs = [as_seen(state, run).status for run in state.runs_of(thing.id)]
    if not runs:
        return str(TaskState.PENDING)
    return str(TaskState.COMPLETED if all(status.ended for status in runs) else TaskState.STARTED)


def _intents(state: MemoryState, runs: Iterable[RawRun]) -> Mapping[str, str]:
    return {run.intent: str(as_seen(state, run).status) for run in runs if run.intent}
