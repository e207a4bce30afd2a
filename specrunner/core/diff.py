"""The diff: what differs between two JSON values, and between the three sides of one object.

Desired is what the files say, applied what this project last put there, live what is there now. Desired
against applied is *your* change; live against applied is *somebody else's* (drift). Only fields that the files
declare, or declared when last applied, are compared; a null, an absent field and an empty mapping are equal, but
not inside of what users make up themselves (`args`, `details`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from specrunner.core.fields import Action, Rule, rule_for
from specrunner.core.keys import Kind
from specrunner.core.resources import LiveObject, Resource, is_run_once, metadata_of
from specrunner.core.values import Json, JsonObject, canonical

SECRET: Final = "(secret)"  # noqa: S105 (what a plan shows in place of one)


VERBATIM: Final = frozenset({"args", "details"})  # fields whose content means something to the user's code only


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
    before = {} if old is None and isinstance(new, Mapping) else old
    after = {} if new is None and isinstance(old, Mapping) else new
    if path and path[0] in VERBATIM and _only_nothing_differs(before, after):
        yield Difference(path, old, new)
    elif isinstance(before, Mapping) and isinstance(after, Mapping):
        for name in sorted({*before, *after}):
            yield from differences(before.get(name), after.get(name), (*path, name))
    elif not _same(old, new):
        yield Difference(path, old, new)


def _only_nothing_differs(old: Json, new: Json) -> bool:
    """Whether two mappings are equal but for which nothings (null, absent, empty) they hold."""
    if not isinstance(old, Mapping) or not isinstance(new, Mapping):
        return False
    return canonical(old) != canonical(new) and next(differences(old, new), None) is None


def _same(old: Json, new: Json) -> bool:
    """Whether nothing differs; 1 and 1.0 are equal, 1 and True are not, inside of lists neither."""
    if isinstance(old, Mapping) or isinstance(new, Mapping):
        return _mapping_or_none(old) and _mapping_or_none(new) and next(differences(old, new), None) is None
    if isinstance(old, list | tuple) and isinstance(new, list | tuple):
        return len(old) == len(new) and all(map(_same, old, new))
    return isinstance(old, bool) == isinstance(new, bool) and bool(old == new)


def _mapping_or_none(value: Json) -> bool:
    return value is None or isinstance(value, Mapping)


def changes(resource: Resource, live: LiveObject) -> tuple[FieldChange, ...]:
    """The field changes that would bring `live` to what `resource` declares."""
    wanted = comparable(resource.key.kind, resource.spec, metadata_of(resource))
    present = comparable(resource.key.kind, live.spec, metadata_of(live))
    # Nobody but apply writes metadata, so what is live there is what was applied.
    applied = comparable(resource.key.kind, live.applied or {}, metadata_of(live))
    visible = {name: value for name, value in present.items() if name in wanted or name in applied}
    before = applied if live.applied is not None else visible
    return tuple(_explained(resource, found, _at(before, found.path)) for found in differences(visible, wanted))


def comparable(kind: Kind, spec: JsonObject, metadata: JsonObject) -> dict[str, Json]:
    """What counts for comparison: the fields of the table that are compared, unordered lists sorted."""
    kept: dict[str, Json] = {"metadata": metadata}
    for name, value in spec.items():
        rule = rule_for(kind, name)
        if rule.compared and value is not None:
            kept[name] = sorted(value, key=canonical) if rule.unordered else value
    return kept


def _at(tree: JsonObject, path: tuple[str, ...]) -> Json:
    value: Json = tree
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _explained(resource: Resource, difference: Difference, applied: Json) -> FieldChange:
    dotted = ".".join(difference.path)
    rule = rule_for(resource.key.kind, dotted)
    drifted = not _same(applied, difference.old)
    if drifted and _same(applied, difference.new):
        reason = "changed on the target by somebody else"
    elif drifted:
        reason = f"changed in {resource.place}, and on the target by somebody else"
    else:
        reason = rule.reason if rule.derived else f"changed in {resource.place}"
    return FieldChange(
        path=dotted,
        action=field_action(rule, resource.spec),
        reason=reason,
        old=applied,
        new=difference.new,
        live=difference.old if drifted else None,
        drift=drifted and _same(applied, difference.new),
    )


def field_action(rule: Rule, spec: JsonObject) -> Action:
    """What the row means for this object: only a run-once task runs because of a change."""
    return Action.UPDATE if rule.action is Action.RUN and not is_run_once(spec) else rule.action


def secret_changes(
    resource: Resource, live: LiveObject, fingerprints: Mapping[str, str | None]
) -> tuple[FieldChange, ...]:
    """Changes of secret values, seen by their keyed fingerprints; None is a source that can't be read now."""
    found = []
    for path in resource.secrets:
        before, now = live.secrets.get(path), fingerprints.get(path)
        if now is not None and before == now:
            continue
        reason = "its value changed" if now is not None else "its source can't be read here: unknown until apply"
        if now is None and before is not None:
            continue  # not readable now, applied before: nothing says that it changed
        rule = rule_for(resource.key.kind, path)
        old = SECRET if before is not None else None
        found.append(FieldChange(path, field_action(rule, resource.spec), reason, old, SECRET))
    return tuple(found)
