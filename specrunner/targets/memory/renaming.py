"""Another name for an object of a memory target: it keeps its id and its runs, and who named it names it anew."""

from __future__ import annotations

from dataclasses import replace

from specrunner.core.keys import Key, Kind
from specrunner.core.renames import respelt
from specrunner.targets.memory import quirks
from specrunner.targets.memory.state import MemoryState


def rename(state: MemoryState, old: Key, new: Key) -> None:
    """Call an object by another key; the contents of a workspace follow. Inside `writing()`."""
    moved = {key: renamed_key(key, old, new) for key in {old, *state.records, *_live(state)}}
    state.records.pop(new, None)  # of something that had the name and that somebody has removed
    for thing in list(state.objects.values()):
        key, spec = moved[thing.key], respelt(thing.key, thing.spec, moved)
        if spec is not thing.spec or key != thing.key:
            name = quirks.server_name(state.quirks, key)
            state.keep(replace(thing, key=key, name=name, spec=spec))
    for key, record in list(state.records.items()):
        applied = respelt(key, record.applied, moved)
        if applied is not record.applied or moved[key] != key:
            del state.records[key]
            state.records[moved[key]] = replace(record, applied=applied)
    for run in list(state.runs.values()):
        if (key := renamed_key(run.task, old, new)) != run.task:
            state.keep_run(replace(run, task=key))


def _live(state: MemoryState) -> set[Key]:
    return {thing.key for thing in state.objects.values()}


def renamed_key(key: Key, old: Key, new: Key) -> Key:
    """The key that `key` becomes when `old` becomes `new`."""
    if key == old:
        return new
    return key.inside(new.name) if old.kind is Kind.WORKSPACE and key.workspace == old.name else key
