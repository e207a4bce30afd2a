"""Approval: what was reviewed is what is carried out, and nothing else.

A saved plan is compared with one made now, step by step. A step that is still the same is carried out as it was
approved, against the object that was live then, so that an unrelated change spoils nothing; one that is fulfilled
already is dropped; what was not approved is left out. Anything else means that the plan is stale.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from specrunner.core.decide import Wishes
from specrunner.core.diff import SECRET, FieldChange
from specrunner.core.errors import StalePlan
from specrunner.core.fields import Action
from specrunner.core.keys import Key
from specrunner.core.order import reordered
from specrunner.core.plan import Notice, Plan, Step, told
from specrunner.core.resources import Desired, Resource, intent_of, is_run_once, metadata_of
from specrunner.core.sides import at_dotted, comparable, declared_digest, same

_SHORTEST_HASH: Final = 12
_AGAIN: Final = "Run `specrunner plan --out FILE` again, and have that reviewed."


@dataclass(frozen=True, slots=True)
class Approval:
    """What may be carried out of an approved plan.

    `plan` has its steps, in an order that holds now. `fulfilled` are the objects that are as approved already,
    `left_out` the steps that would be due now and were not approved; the plan's notices tell both in words.
    """

    plan: Plan
    fulfilled: tuple[Key, ...] = ()
    left_out: tuple[Step, ...] = ()


def wishes_of(approved: Plan, desired: Desired) -> Wishes:
    """The wishes to plan with anew, for comparing: what was approved to be adopted. What was blocked stays so."""
    taking = {Action.ADOPT, Action.REPLACE}
    return Wishes(adopt=frozenset(s.key for s in approved.work if s.action in taking and s.key in desired.resources))


def expect(plan: Plan, approved: str) -> None:
    """Raise StalePlan unless the plan has the hash that was approved; its first twelve digits or more will do."""
    wanted = approved.strip().lower()
    if len(wanted) >= _SHORTEST_HASH and plan.hash.startswith(wanted):
        return
    raise StalePlan(
        "This plan is not the one that was approved.",
        detail=f"Its hash is {plan.hash}, the approved one is {approved}.",
        remedy="Look at what `specrunner plan` says now; if it is right, approve its hash.",
    )


def compare(approved: Plan, fresh: Plan, desired: Desired) -> Approval:
    """What may be carried out now of a plan that was approved.

    `fresh` is the plan made now, with `wishes_of` the approved one. Raises StalePlan with every difference.
    """
    now, known = {step.key: step for step in fresh.steps}, {step.key for step in approved.steps}
    differences = [*_of_plans(approved, fresh)]
    steps: list[Step] = []
    fulfilled: list[Key] = []
    for step in approved.steps:
        found, resource = now.get(step.key), desired.resources.get(step.key)
        if step.blocked_by:
            steps += [replace(found, blocked_by=step.blocked_by)] if found else []
        elif found is None and _is_fulfilled(step, resource):
            fulfilled.append(step.key)
        elif found is None:
            differences.append(_without_need(step, resource))
        elif told(found) == told(step):
            steps.append(replace(found, live=step.live))
            differences += _unapproved_needs(found, known)
        else:
            differences += _of_steps(step, found)
    if differences:
        raise StalePlan("This is no longer the plan that was approved.", "\n".join(differences), _AGAIN)
    left_out = tuple(step for step in fresh.steps if step.key not in known)
    notices = (*fresh.notices, *_notices(fulfilled, left_out))
    plan = replace(fresh, steps=reordered(steps, desired.resources), notices=notices)
    return Approval(plan, tuple(fulfilled), left_out)


def differences(approved: Plan, fresh: Plan, desired: Desired) -> tuple[str, ...]:
    """In words, each way in which more or something else is due now than was approved; none where it is the rest of it.

    What is fulfilled already is no difference.
    """
    known = {step.key for step in approved.steps}
    new = tuple(f"{s.key}: {s.action} was not approved: {s.reason}." for s in fresh.steps if s.key not in known)
    try:
        compare(approved, fresh, desired)
    except StalePlan as problem:
        return (*problem.detail.splitlines(), *new)
    return new


def _notices(fulfilled: list[Key], left_out: tuple[Step, ...]) -> Iterator[Notice]:
    for key in fulfilled:
        yield Notice(key, "it is as approved already; nothing is done")
    for step in left_out:
        yield Notice(step.key, f"{step.action} is due by now, and left out: it was not approved", "specrunner plan")


def _of_plans(approved: Plan, fresh: Plan) -> Iterator[str]:
    for name in ("project", "environment", "target"):
        was, now = getattr(approved, name), getattr(fresh, name)
        if was != now:
            yield f"The {name} was {was!r}, and is {now!r} now."


def _is_fulfilled(step: Step, resource: Resource | None) -> bool:
    """Whether what a step was to do is done, given that there is nothing to do for its object now."""
    if step.deletes or resource is None:
        return step.deletes and resource is None
    if step.creates and step.declared != declared_digest(resource):
        return False
    if step.intent and (not is_run_once(resource.spec) or step.intent != intent_of(resource.spec)):
        return False
    wanted = comparable(resource.key.kind, resource.spec, metadata_of(resource))
    return all(_is_wanted(change, resource.key, wanted) for change in step.changes)


def _is_wanted(change: FieldChange, key: Key, wanted: Mapping[str, object]) -> bool:
    if change.path == "metadata.name":
        return bool(change.new == key.name)
    return bool(change.new == SECRET) or same(at_dotted(wanted, change.path), change.new)


def _without_need(step: Step, resource: Resource | None) -> str:
    if step.deletes:
        return f"{step.key} was to be deleted, and the files declare it now."
    if resource is None:
        return f"{step.key} was approved for {step.action}, and no file declares it any more."
    return f"{step.key} was approved for {step.action}, and is declared otherwise now."


def _unapproved_needs(step: Step, known: set[Key]) -> Iterator[str]:
    for key in step.depends_on:
        if key not in known:
            yield f"{step.key} needs a step for {key} by now, which was not approved."


def _of_steps(was: Step, now: Step) -> Iterator[str]:
    """In words, each way in which the step that is due now is another than the approved one."""
    if was.action is not now.action:
        yield f"{was.key} was approved for {was.action}, and would be {now.action} now: {now.reason}."
        return
    if now.blocked_by:
        yield f"{was.key} was approved for {was.action}, and is blocked now: {now.blocked_by}."
    if was.renamed_from != now.renamed_from:
        old, new = (step.renamed_from or "nothing" for step in (was, now))
        yield f"{was.key} was approved to be renamed from {old}, and would be from {new} now."
    if was.declared != now.declared:
        yield f"{was.key} is declared otherwise than it was approved."
    if was.intent != now.intent:
        yield (
            f"{was.key} would run another order than the approved one."
            if now.intent
            else f"{was.key} would not run now."
        )
    if was.gone != now.gone and was.deletes:
        yield f"{was.key} was gone already when this was approved, and is there now."
    yield from _of_changes(was, now)


def _of_changes(was: Step, now: Step) -> Iterator[str]:
    before = {change.path: change for change in was.changes}
    after = {change.path: change for change in now.changes}
    for path in sorted({*before, *after}):
        old, new = _shown(before.get(path)), _shown(after.get(path))
        if old != new:
            yield f"{was.key}: `{path}` was approved {old}, and is {new} now."


def _shown(change: FieldChange | None) -> str:
    if change is None or change.old == change.new == SECRET:
        return "unchanged"
    return f"from {change.old!r} to {change.new!r}"
