"""The diff: what differs between two JSON values, and between the three sides of one object.

Desired is what the files say, applied what this project last put there, live what is there now. Desired
against applied is *your* change; live against applied is *somebody else's* (drift). Only fields that the files
declare, or declared when last applied, are compared: whatever else a server fills in, beside or inside of them,
does not count. Null, an absent field, an empty text, list and mapping are equal. What users make up themselves
(`args`, `env`, `details`) is theirs whole, and there every difference counts, as it does in labels that are ours.
The three sides are brought into one writing by `core/sides` first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from specrunner.core.errors import Place
from specrunner.core.fields import VERBATIM, Action, Rule, rule_for
from specrunner.core.resources import LiveObject, Presence, Resource, is_run_once
from specrunner.core.sides import Sides, at, comparable, same, sides_of
from specrunner.core.values import Json, JsonObject

__all__ = ["HIDDEN", "SECRET", "VERBATIM", "Difference", "FieldChange", "changes", "comparable", "differences", "drift"]

SECRET: Final = "(secret)"  # noqa: S105 (what a plan shows in place of one)
HIDDEN: Final = "(hidden)"  # what a plan shows in place of a value that may be one
SOMEBODY_ELSE: Final = "changed on the target by somebody else"
ALREADY_SO: Final = "already so on the target; only the record is brought up to date"


@dataclass(frozen=True, slots=True)
class Difference:
    """`old` became `new` at `path`; None stands for absent."""

    path: tuple[str, ...]
    old: Json
    new: Json


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One changed field of a step: from what was applied (`old`) to what is declared (`new`).

    `live` is what the target has now where that is a third value, else None. `drift` says that somebody else
    changed it. `reason` is in words.
    """

    path: str
    action: Action
    reason: str
    old: Json = None
    new: Json = None
    live: Json = None
    drift: bool = False


def differences(old: Json, new: Json, path: tuple[str, ...] = ()) -> Iterator[Difference]:
    """What differs, mapping by mapping; lists and scalars are compared whole, in sorted order of paths."""
    strict = _is_strict(path)
    before = {} if old is None and isinstance(new, Mapping) else old
    after = {} if new is None and isinstance(old, Mapping) else new
    if not isinstance(before, Mapping) or not isinstance(after, Mapping):
        if not same(before, after, strict=strict):
            yield Difference(path, old, new)
        return
    found = [
        difference
        for name in sorted({*before, *after})
        for difference in differences(before.get(name), after.get(name), (*path, name))
    ]
    if strict and not found and not same(before, after, strict=True):
        found = [Difference(path, old, new)]  # they hold other nothings, and here that counts
    yield from found


def _is_strict(path: tuple[str, ...]) -> bool:
    """Whether nothing and absent are two things here: in what users make up themselves."""
    return bool(path) and (path[0] in VERBATIM or path[:2] == ("metadata", "labels"))


def changes(resource: Resource, live: LiveObject) -> tuple[FieldChange, ...]:
    """The field changes that would bring `live` to what `resource` declares.

    Of an object of nobody they don't hold what somebody made up himself: nothing says which of it is secret.
    """
    sides = sides_of(resource, live)
    if sides is None:
        return ()
    found = (_explained(resource, sides, difference) for difference in differences(sides.live, sides.wanted))
    if live.applied is None:
        return tuple(map(_without_values, found))
    return (*map(_without_strangers, found), *_unrecorded(sides))


def _unrecorded(sides: Sides) -> Iterator[FieldChange]:
    """What is live as declared and was never recorded as applied: left out, it would look like drift ever after."""
    for difference in differences(sides.applied, sides.wanted):
        strict = _is_strict(difference.path)
        if same(at(sides.live, difference.path), difference.new, strict=strict):
            dotted = ".".join(difference.path)
            yield FieldChange(dotted, Action.UPDATE, ALREADY_SO, difference.old, difference.new)


def _without_values(change: FieldChange) -> FieldChange:
    if change.old is None or change.path.partition(".")[0] not in VERBATIM:
        return change
    return replace(change, old=HIDDEN)


def _without_strangers(change: FieldChange) -> FieldChange:
    """Of a field that only somebody else has put there nothing says whether it is secret."""
    strange = change.old is None and change.new is None and change.path.partition(".")[0] in VERBATIM
    return replace(change, live=HIDDEN) if strange and change.live is not None else change


def _explained(resource: Resource, sides: Sides, difference: Difference) -> FieldChange:
    dotted = ".".join(difference.path)
    rule = rule_for(resource.key.kind, dotted)
    applied = at(sides.applied, difference.path)
    theirs = same(applied, difference.new, strict=_is_strict(difference.path))
    drifted = theirs or not same(applied, difference.old)
    action = field_action(rule, resource.spec, difference.old, difference.new)
    return FieldChange(
        path=dotted,
        action=action,
        reason=SOMEBODY_ELSE if theirs else _reason(resource, rule, action, difference.path, drifted),
        old=applied,
        new=difference.new,
        live=difference.old if drifted else None,
        drift=theirs,
    )


def _reason(resource: Resource, rule: Rule, action: Action, path: tuple[str, ...], drifted: bool) -> str:
    if rule.derived and not drifted:
        return rule.reason
    words = f"changed in {place_of(resource, path)}"
    if drifted:
        return f"{words}, and on the target by somebody else"
    return f"{words}: {rule.reason}" if action in {Action.REPLACE, Action.KILL} else words


def place_of(resource: Resource, path: tuple[str, ...]) -> Place:
    """Where a field is written, as far as known."""
    return resource.locate(path) if resource.locate else resource.place


def field_action(rule: Rule, spec: JsonObject, old: Json = None, new: Json = None) -> Action:
    """What the row means for this object: only a run-once task runs because of a change."""
    if rule.off is not None and old is True and new is False:
        return rule.off
    return Action.UPDATE if rule.action is Action.RUN and not is_run_once(spec) else rule.action


def drift(live: LiveObject) -> tuple[FieldChange, ...]:
    """What somebody else changed, whatever the files say now: live against applied alone.

    Nothing for objects of nobody and for those that are not on the target.
    """
    if live.applied is None or live.presence is not Presence.PRESENT:
        return ()
    found = changes(_as_applied(live, live.applied), live)
    exchanged = (_exchanged(live, path) for path in sorted(live.secrets) if _is_exchanged(live, path))
    return (*(change for change in found if change.drift), *exchanged)


def _as_applied(live: LiveObject, applied: JsonObject) -> Resource:
    labels = live.labels if live.applied_labels is None else live.applied_labels
    return Resource(live.key, applied, Place(""), labels, live.description, live.protect)


def secret_changes(
    resource: Resource, live: LiveObject, fingerprints: Mapping[str, str | None]
) -> tuple[FieldChange, ...]:
    """Changes of secret values, seen by their keyed fingerprints; None is a source that can't be read now.

    An object that is only recorded has none: nobody kept the fingerprints, and it is brought back with the secrets
    as they are now.
    """
    if live.presence is Presence.RECORDED:
        return ()
    found = (_secret_change(resource, live, path, fingerprints.get(path)) for path in resource.secrets)
    return tuple(change for change in found if change is not None)


def _secret_change(resource: Resource, live: LiveObject, path: str, now: str | None) -> FieldChange | None:
    before, exchanged = live.secrets.get(path), _is_exchanged(live, path)
    if before is not None and now in (before, None):  # one that can't be read now: nothing says that it changed
        return _exchanged(live, path, resource.spec) if exchanged else None
    change = FieldChange(
        path,
        field_action(rule_for(resource.key.kind, path), resource.spec),
        "its value changed" if now else "its source can't be read here: unknown until apply",
        None if before is None else SECRET,
        SECRET,
    )
    if exchanged and _held(live, path) == now:
        return replace(change, action=Action.UPDATE, reason=ALREADY_SO)
    if exchanged:
        reason = f"{change.reason}, and on the target by somebody else"
        return replace(change, reason=reason, live=SECRET if _held(live, path) else None)
    return change


def _is_exchanged(live: LiveObject, path: str) -> bool:
    """Whether the target has another secret there than the one that was applied, as far as it can tell."""
    before = live.secrets.get(path)
    return before is not None and live.held is not None and _held(live, path) != before


def _held(live: LiveObject, path: str) -> str | None:
    return None if live.held is None else live.held.get(path)


def _exchanged(live: LiveObject, path: str, spec: JsonObject | None = None) -> FieldChange:
    action = field_action(rule_for(live.key.kind, path), live.applied or {} if spec is None else spec)
    now = None if _held(live, path) is None else SECRET
    return FieldChange(path, action, SOMEBODY_ELSE, SECRET, SECRET, now, drift=True)
