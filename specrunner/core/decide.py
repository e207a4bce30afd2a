"""What changes: one pass over the declared and the live objects, a step for each that differs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from specrunner.core.diff import FieldChange, changes, secret_changes
from specrunner.core.errors import Diagnostic, InvalidSpecs, UsageError
from specrunner.core.fields import Action
from specrunner.core.intents import NOTHING_DUE, Order, held_back, notice_of, order_of, quoted
from specrunner.core.keys import Key, Kind, nearest
from specrunner.core.lookalikes import lookalikes
from specrunner.core.order import ordered
from specrunner.core.plan import Plan, Step
from specrunner.core.renames import Renamed, name_change, renamed
from specrunner.core.resources import (
    Desired,
    Live,
    LiveObject,
    Owner,
    Presence,
    Resource,
    intent_of,
    is_run_once,
)
from specrunner.core.sides import declared_digest

_NO_DESTROY: Final = "--no-destroy was given"

Fingerprints = Mapping[Key, Mapping[str, str | None]]


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the user asks for beside the files: objects of nobody to take over, whether to delete."""

    adopt: frozenset[Key] = field(default_factory=frozenset)
    destroy: bool = True


NO_WISHES = Wishes()


def make_plan(desired: Desired, live: Live, fingerprints: Fingerprints, wishes: Wishes = NO_WISHES) -> Plan:
    """The plan that makes `live` what `desired` declares.

    `fingerprints` are those of the secrets as they are now, None where a source can't be read here. Raises
    InvalidSpecs for objects that belong to others, all of them, UsageError for a wish that fits nothing, and
    SpecrunnerError where the references of the steps form a cycle.
    """
    _check_wishes(desired, wishes)
    seen = renamed(desired, live)
    if clashes := [_owned_by_other(*clash) for clash in _clashes(desired, seen.live)]:
        raise InvalidSpecs(clashes)
    steps, orders = [], {}
    for key, resource in sorted(desired.resources.items()):
        step, orders[key] = _decide(resource, seen, fingerprints.get(key, {}), wishes)
        steps += [step] if step else []
    steps = held_back(steps, desired.resources, orders)
    deleted = [_deleted(seen.live[key], wishes) for key in _gone(desired, seen.live)]
    touched, alike = {step.key for step in steps}, lookalikes([*steps, *deleted], desired.resources, seen.live)
    return Plan(
        project=desired.owner.project,
        environment=desired.owner.environment,
        target=desired.target,
        steps=ordered([*steps, *deleted], desired.resources, seen.live),
        notices=(*seen.notices, *alike, *filter(None, map(notice_of, orders, orders.values()))),
        unchanged=sum(key in seen.live and key not in touched for key in desired.resources),
        restores=_restores(desired.owner, live, {step.key for step in deleted if not step.blocked_by}),
    )


def _check_wishes(desired: Desired, wishes: Wishes) -> None:
    unknown = sorted(key for key in wishes.adopt if key not in desired.resources)
    if unknown:
        meant = nearest(unknown[0], desired.resources)
        raise UsageError(
            f"No file declares {', '.join(map(str, unknown))}, so there is nothing to adopt.",
            detail="Only an object that the files declare can be taken over.",
            remedy=f"Did you mean {meant}?" if meant else "Declare it first; `specrunner import` writes what is live.",
        )


def _clashes(desired: Desired, live: Live) -> Iterator[tuple[Resource, Owner]]:
    for key, resource in desired.resources.items():
        found = live.get(key)
        owner = None if found is None or found.presence is Presence.LEAVING else found.owner
        if owner is not None and owner != desired.owner:
            yield resource, owner


def _owned_by_other(resource: Resource, owner: Owner) -> Diagnostic:
    return Diagnostic(
        f"{resource.key} belongs to {owner}.",
        detail="Another project, or another environment of this one, has put it on the same target.",
        remedy="Give it another name (a variable in the name will do) or another workspace, or remove it there.",
        place=resource.place,
    )


def _gone(desired: Desired, live: Live) -> list[Key]:
    """Objects of ours that no file declares any more; those of nobody or of others are never touched."""
    return sorted(
        key
        for key, found in live.items()
        if found.owner == desired.owner
        and key not in desired.resources
        and found.presence is not Presence.LEAVING  # it is on its way out already
    )


def _restores(owner: Owner, live: Live, deleted: set[Key]) -> tuple[Key, ...]:
    """What only the status files know of the owner's, and what stays, by the keys of the record."""
    ours = (key for key, found in live.items() if found.presence is Presence.RECORDED and found.owner == owner)
    return tuple(sorted(key for key in ours if key not in deleted))


def _decide(
    resource: Resource, seen: Renamed, secrets: Mapping[str, str | None], wishes: Wishes
) -> tuple[Step | None, Order]:
    live, old = seen.live.get(resource.key), seen.former.get(resource.key)
    if live is None or live.presence is Presence.LEAVING:
        return _created(resource, leaving=live is not None), NOTHING_DUE
    order = order_of(resource, live)
    if live.presence is Presence.MISSING:
        return _made_again(resource, live, order.intent), order
    found = (*changes(resource, live), *secret_changes(resource, live, secrets))
    if old is not None:
        found = (name_change(resource, old), *found)
    if not found and not order.intent and live.owner is not None:
        return None, order
    step = Step(
        resource.key,
        _action(found, order.intent),
        _why(found, live, order.intent),
        found,
        intent=order.intent,
        live=live.fingerprint,
        renamed_from=old,
    )
    if live.owner is None:
        return _adopted(step, wishes), order
    return replace(step, blocked_by=seen.blocked.get(step.key) or _replacing(step, live, wishes)), order


def _action(found: tuple[FieldChange, ...], intent: str) -> Action:
    """The worst field decides; a run that is due is at least a run, and one that is not is none."""
    action = max((change.action for change in found), key=lambda action: action.severity, default=Action.NONE)
    if intent:
        return max(action, Action.RUN, key=lambda action: action.severity)
    # Where the order that it changes back to was already carried out, it is only changed.
    return Action.UPDATE if action is Action.RUN else action


def _created(resource: Resource, leaving: bool) -> Step:
    runs = resource.key.kind is Kind.TASK and is_run_once(resource.spec)
    reason = f"declared in {resource.place}, not on the target yet"
    if leaving:
        reason = f"declared in {resource.place}; an object of that name is still being deleted, and is waited for"
    intent = intent_of(resource.spec) if runs else ""
    return Step(resource.key, Action.CREATE, reason, intent=intent, declared=declared_digest(resource))


def _made_again(resource: Resource, live: LiveObject, intent: str) -> Step:
    reason = f"declared in {resource.place}; somebody else has removed it from the target"
    if resource.key.kind is Kind.TASK and is_run_once(resource.spec) and not intent:
        reason += ", after its run; it is not run again"
    return Step(
        resource.key,
        Action.CREATE,
        reason,
        intent=intent,
        live=live.fingerprint,
        declared=declared_digest(resource),
        gone=True,
    )


def _replacing(step: Step, live: LiveObject, wishes: Wishes) -> str:
    """Why an object is not replaced: that deletes it."""
    if step.action is not Action.REPLACE:
        return ""
    if live.protect:
        fields = ", ".join(f"`{change.path}`" for change in step.changes if change.action is Action.REPLACE)
        lift = "apply `metadata: {protect: false}` first"
        return f"it is protected, and to change {fields} it would be deleted; {lift}"
    return "" if wishes.destroy else _NO_DESTROY


def _adopted(step: Step, wishes: Wishes) -> Step:
    """Taking over what belongs to nobody; where that means replacing it, the step says so."""
    blocked = ""
    if step.key not in wishes.adopt:
        command = f"specrunner apply --adopt {quoted(str(step.key))}"
        blocked = f"it is on the target and belongs to nobody; take it over with `{command}`"
    elif step.action is Action.REPLACE and not wishes.destroy:
        blocked = _NO_DESTROY
    reason = "on the target already, without an owner"
    if step.action is Action.REPLACE:
        return replace(step, reason=f"{reason}; {step.reason}", blocked_by=blocked)
    return replace(step, action=Action.ADOPT, reason=reason, blocked_by=blocked)


def _why(found: tuple[FieldChange, ...], live: LiveObject, intent: str) -> str:
    if found:
        worst = max(found, key=lambda change: change.action.severity)
        return f"{worst.path}: {worst.reason}"
    return "its run has not ended" if intent in live.intents else "it has not run yet"


def _deleted(live: LiveObject, wishes: Wishes) -> Step:
    if live.presence is Presence.MISSING:
        reason = "no file declares it any more, and it is gone already; only its record is removed"
        return Step(live.key, Action.DELETE, reason, live=live.fingerprint, gone=True)
    blocked = ""
    if live.protect:
        blocked = "it is protected; put it back with `metadata: {protect: false}`, apply, then remove it"
    elif not wishes.destroy:
        blocked = _NO_DESTROY
    return Step(live.key, Action.DELETE, "no file declares it any more", blocked_by=blocked, live=live.fingerprint)


def emptied(desired: Desired) -> Desired:
    """The same project with nothing declared: what `destroy` plans towards."""
    return replace(desired, resources={})
