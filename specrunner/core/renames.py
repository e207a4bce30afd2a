"""Renames: live objects under the keys that the files use now, so that nothing is destroyed only to be made anew.

An object is renamed where the files say so (`metadata.renamedFrom`), the old key is live, ours and declared no
more, and the new one is free. What is in a renamed workspace goes with it, without a step of its own. Names inside
the specs of others that mean a renamed object are respelt, on the live and on the applied side: they follow by
themselves on the target, so that they are no change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from specrunner.core.diff import FieldChange, changes, place_of
from specrunner.core.fields import Action
from specrunner.core.keys import Key, Kind
from specrunner.core.plan import Notice
from specrunner.core.resources import Desired, Live, LiveObject, Owner, Presence, Resource
from specrunner.core.values import Json, JsonObject

_THERE: Final = frozenset({Presence.PRESENT, Presence.RECORDED})
Moved = Mapping[Key, Key]


@dataclass(frozen=True, slots=True)
class Renamed:
    """The live objects by their new keys.

    `former` tells, for each object that is to be renamed, the key it has when that is done: of something inside of
    a renamed workspace, the one that it has there. `origin` tells, for each object that has another key now, the one
    under which the target has it. `blocked` says in words why a rename is not carried out.
    """

    live: Live
    former: Mapping[Key, Key] = field(default_factory=dict)
    origin: Mapping[Key, Key] = field(default_factory=dict)
    blocked: Mapping[Key, str] = field(default_factory=dict)
    notices: tuple[Notice, ...] = ()


def renamed(desired: Desired, live: Live) -> Renamed:
    """What is live, seen through the renames that the files declare: workspaces first, then what is in them."""
    wishing = sorted(key for key, resource in desired.resources.items() if resource.renamed_from is not None)
    found = Renamed(live)
    for kinds in ((Kind.WORKSPACE,), tuple(kind for kind in Kind if kind is not Kind.WORKSPACE)):
        found = _round(desired, found, [key for key in wishing if key.kind in kinds])
    return found


def _round(desired: Desired, found: Renamed, keys: Iterable[Key]) -> Renamed:
    taken: dict[Key, Key] = {}
    notices = list(found.notices)
    for key in keys:
        resource = desired.resources[key]
        old = resource.renamed_from
        if old is None or old == key or old not in found.live or old in desired.resources or old in taken:
            continue
        if why_not := _why_not(resource, old, found.live, desired.owner):
            notices.append(Notice(key, f"it is made anew instead of renamed from {old}: {why_not}"))
        else:
            taken[old] = key
    if not taken:
        return replace(found, notices=tuple(notices))
    moved = {**_contents(found.live, taken), **taken}
    return Renamed(
        live=_through(found.live, moved),
        former={**found.former, **{new: old for old, new in taken.items()}},
        origin={**found.origin, **{new: found.origin.get(old, old) for old, new in moved.items()}},
        blocked={**found.blocked, **_blocked(found.live, taken, desired.owner)},
        notices=tuple(notices),
    )


def _why_not(resource: Resource, old: Key, live: Live, owner: Owner) -> str:
    there = live[old]
    if there.owner is None:
        return "that belongs to nobody"
    if there.owner != owner:
        return f"that belongs to {there.owner}"
    if there.presence not in _THERE:
        return "that is not on the target any more"
    if resource.key in live and live[resource.key].presence is not Presence.LEAVING:
        return "there is an object of the new name already"
    respelt_there = replace(there, key=resource.key)
    if any(change.action is Action.REPLACE for change in changes(resource, respelt_there)):
        return "it would have to be replaced anyway"
    return ""


def _contents(live: Live, taken: Moved) -> dict[Key, Key]:
    """The keys of what is inside of renamed workspaces, old to new."""
    workspaces = {old.name: new.name for old, new in taken.items() if old.kind is Kind.WORKSPACE}
    if not workspaces:
        return {}
    inside = (key for key in live if key.workspace in workspaces)
    return {key: Key(key.kind, workspaces[key.workspace], key.name) for key in inside}


def _blocked(live: Live, taken: Moved, owner: Owner) -> dict[Key, str]:
    """Renames of workspaces that hold what belongs to others: it would be renamed with them."""
    blocked: dict[Key, str] = {}
    workspaces = {old.name: new for old, new in taken.items() if old.kind is Kind.WORKSPACE}
    for key, found in sorted(live.items()) if workspaces else ():
        if key.workspace in workspaces and found.owner not in {None, owner}:
            blocked.setdefault(
                workspaces[key.workspace],
                f"it holds {key}, which belongs to {found.owner} and would be renamed with it; move that one first",
            )
    return blocked


def _through(live: Live, moved: Moved) -> dict[Key, LiveObject]:
    found = {moved.get(key, key): _respelt_object(one, moved) for key, one in live.items() if key not in moved}
    # What is renamed comes last: it takes the place of an object of the new name that is still being deleted.
    return found | {moved[key]: _respelt_object(live[key], moved) for key in moved}


def _respelt_object(found: LiveObject, moved: Moved) -> LiveObject:
    spec = respelt(found.key, found.spec, moved)
    applied = found.applied if found.applied is None else respelt(found.key, found.applied, moved)
    if found.key not in moved and spec is found.spec and applied is found.applied:
        return found
    return replace(found, key=moved.get(found.key, found.key), spec=spec, applied=applied)


def respelt(key: Key, spec: JsonObject, moved: Moved) -> JsonObject:
    """A spec with the names of renamed objects in it as they are now; the very same one where none is in it.

    `key` is the key that the object of this spec had before, `moved` tells the new keys of old ones.
    """
    if key.kind is Kind.CONNECTION:
        new: JsonObject = _respelt_workspaces(spec, moved)
    elif key.kind is Kind.TASK:
        new = _respelt_task(key, spec, moved)
    elif key.kind is Kind.PIPELINE:
        new = _respelt_models(key, spec, moved)
    else:
        return spec
    return spec if all(spec[name] == value for name, value in new.items()) else {**spec, **new}


def _respelt_workspaces(spec: JsonObject, moved: Moved) -> dict[str, Json]:
    names = spec.get("workspaces")
    return {"workspaces": [_name(moved, Kind.WORKSPACE, name, "") for name in names]} if names else {}


def _respelt_task(key: Key, spec: JsonObject, moved: Moved) -> dict[str, Json]:
    new = _respelt_workspaces(spec, moved)
    if spec.get("orchestration"):
        new["orchestration"] = _name(moved, Kind.ORCHESTRATION, spec["orchestration"], key.workspace)
    return new


def _respelt_models(key: Key, spec: JsonObject, moved: Moved) -> JsonObject:
    def model(name: str) -> str:
        return _name(moved, Kind.MODEL, name, key.workspace)

    new: dict[str, Json] = {}
    if spec.get("steps"):
        new["steps"] = [_respelt_step(step, model) for step in spec["steps"]]
    if spec.get("modelShas"):
        new["modelShas"] = {model(name): sha for name, sha in spec["modelShas"].items()}
    return new


def _respelt_step(step: JsonObject, model: Callable[[str], str]) -> JsonObject:
    """`{model, shadow: [models]}` or `{split: [{model, weight}]}`."""
    new = dict(step)
    if "model" in step:
        new["model"] = model(step["model"])
    if step.get("shadow"):
        new["shadow"] = [model(name) for name in step["shadow"]]
    if step.get("split"):
        new["split"] = [{**arm, "model": model(arm["model"])} for arm in step["split"]]
    return new


def _name(moved: Moved, kind: Kind, name: str, workspace: str) -> str:
    old = Key.of(kind, name, workspace)
    return moved.get(old, old).name


def name_change(resource: Resource, old: Key) -> FieldChange:
    """The change that a rename shows."""
    reason = f"renamed in {place_of(resource, ('metadata', 'name'))}"
    return FieldChange("metadata.name", Action.UPDATE, reason, old.name, resource.key.name)
