"""What changes: one pass over the declared and the live objects, a step for each that differs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from specrunner.core.diff import FieldChange, changes, comparable, secret_changes
from specrunner.core.errors import SpecrunnerError
from specrunner.core.fields import Action
from specrunner.core.keys import Key, Kind
from specrunner.core.lifecycle import RunState
from specrunner.core.order import ordered
from specrunner.core.plan import Notice, Plan, Step
from specrunner.core.resources import (
    Desired,
    Live,
    LiveObject,
    Owner,
    Resource,
    intent_of,
    is_run_once,
    metadata_of,
)
from specrunner.core.values import digest

# What a shell takes as it is, beside letters and digits.
_PLAIN = str.maketrans("", "", "-_./")

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
    SpecrunnerError where the references of the steps form a cycle.
    """
    steps, notices = [], []
    for key, resource in sorted(desired.resources.items()):
        step, notice = _decide(resource, live.get(key), desired.owner, fingerprints.get(key, {}), wishes)
        steps += [step] if step else []
        notices += [notice] if notice else []
    steps += [_deleted(live[key], wishes) for key in _gone(desired, live)]
    touched = {step.key for step in steps}
    return Plan(
        project=desired.owner.project,
        environment=desired.owner.environment,
        target=desired.target,
        steps=ordered(steps, desired.resources, live),
        notices=tuple(notices),
        unchanged=sum(key in live and key not in touched for key in desired.resources),
    )


def _gone(desired: Desired, live: Live) -> list[Key]:
    """Objects of ours that no file declares any more; those of nobody or of others are never touched."""
    return sorted(key for key, found in live.items() if found.owner == desired.owner and key not in desired.resources)


def _decide(
    resource: Resource, live: LiveObject | None, owner: Owner, secrets: Mapping[str, str | None], wishes: Wishes
) -> tuple[Step | None, Notice | None]:
    if live is None:
        return _created(resource), None
    if live.owner is not None and live.owner != owner:
        raise _owned_by_other(resource, live)
    found = (*changes(resource, live), *secret_changes(resource, live, secrets))
    intent, notice = _due(resource, live)
    if live.owner is None:
        return _adopted(resource, live, Step(resource.key, Action.ADOPT, "", found, intent=intent), wishes), notice
    if not found and not intent:
        return None, notice
    action = max((change.action for change in found), key=lambda action: action.severity, default=Action.NONE)
    if intent:
        action = max(action, Action.RUN, key=lambda action: action.severity)
    elif action is Action.RUN:
        action = Action.UPDATE  # the order it changes back to was already carried out
    return Step(resource.key, action, _why(found, live, intent), found, intent=intent, live=live.fingerprint), notice


def _created(resource: Resource) -> Step:
    runs = resource.key.kind is Kind.TASK and is_run_once(resource.spec)
    reason = f"declared in {resource.place}, not on the target yet"
    declared = digest(comparable(resource.key.kind, resource.spec, metadata_of(resource)))
    return Step(resource.key, Action.CREATE, reason, intent=intent_of(resource.spec) if runs else "", declared=declared)


def _adopted(resource: Resource, live: LiveObject, step: Step, wishes: Wishes) -> Step:
    blocked = ""
    if resource.key not in wishes.adopt:
        command = f"specrunner apply --adopt {_quoted(str(resource.key))}"
        blocked = f"it is on the target and belongs to nobody; take it over with `{command}`"
    return Step(
        step.key,
        Action.ADOPT,
        "on the target already, without an owner",
        step.changes,
        blocked_by=blocked,
        intent=step.intent,
        live=live.fingerprint,
    )


def _owned_by_other(resource: Resource, live: LiveObject) -> SpecrunnerError:
    return SpecrunnerError(
        f"{resource.key} belongs to {live.owner}.",
        detail="Another project, or another environment of this one, has put it on the same target.",
        remedy="Give it another name (a variable in the name will do) or another workspace, or remove it there.",
        place=resource.place,
    )


def _due(resource: Resource, live: LiveObject) -> tuple[str, Notice | None]:
    """The intent that has yet to be carried out, or word of one that ended badly."""
    if resource.key.kind is not Kind.TASK or not is_run_once(resource.spec):
        return "", None
    intent = intent_of(resource.spec)
    state = live.intents.get(intent)
    if state is None or not RunState(state).ended:
        return intent, None
    if state == RunState.SUCCESS:
        return "", None
    text = f"its last run ended as {state}; apply does not repeat a run"
    return "", Notice(resource.key, text, f"specrunner run {_quoted(resource.key.name)}")


def _quoted(name: str) -> str:
    """A name as one word of a POSIX shell."""
    return name if name.translate(_PLAIN).isalnum() else "'" + name.replace("'", "'\"'\"'") + "'"


def _why(found: tuple[FieldChange, ...], live: LiveObject, intent: str) -> str:
    if found:
        worst = max(found, key=lambda change: change.action.severity)
        return f"{worst.path}: {worst.reason}"
    return "its run has not ended" if intent in live.intents else "it has not run yet"


def _deleted(live: LiveObject, wishes: Wishes) -> Step:
    blocked = ""
    if live.protect:
        blocked = "it is protected; put it back with `metadata: {protect: false}`, apply, then remove it"
    elif not wishes.destroy:
        blocked = "--no-destroy was given"
    return Step(live.key, Action.DELETE, "no file declares it any more", blocked_by=blocked, live=live.fingerprint)


def emptied(desired: Desired) -> Desired:
    """The same project with nothing declared: what `destroy` plans towards."""
    return replace(desired, resources={})
