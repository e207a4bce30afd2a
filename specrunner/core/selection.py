"""Selection: of a plan, only the steps of some objects, and all that these need."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

from specrunner.core.errors import UsageError
from specrunner.core.keys import Key, nearest
from specrunner.core.order import reordered
from specrunner.core.plan import Notice, Plan
from specrunner.core.resources import Desired


def named(text: str, known: Collection[Key]) -> Key:
    """The known key that somebody typed. Raises UsageError, with the nearest one, where it is none."""
    try:
        key = Key.parse(text)
    except ValueError as problem:
        detail = f"{problem}.".capitalize() if text else ""
        remedy = "Write it as plan prints it: `Kind/workspace/name`, or `Kind/name`."
        raise UsageError(f"{text!r} is no key.", detail, remedy) from problem
    _check(key, known)
    return key


def selected(plan: Plan, desired: Desired, keys: Iterable[Key]) -> Plan:
    """The plan with the steps of these objects and all they need, for deletes what must be deleted before.

    Everything that is brought back stays. A notice says how many steps were left out. Raises UsageError for a key
    that is neither declared nor has a step.
    """
    steps = {step.key: step for step in plan.steps}
    known = desired.resources.keys() | steps.keys()
    wanted: set[Key] = set()
    for key in keys:
        _check(key, known)
        wanted.add(key)
    pending = [key for key in wanted if key in steps]
    kept = {*pending}
    while pending:
        needed = [key for key in steps[pending.pop()].depends_on if key not in kept]
        kept.update(needed)
        pending += needed
    left = [step.key for step in plan.steps if step.key not in kept]
    if not left:
        return plan
    chosen = reordered((step for step in plan.steps if step.key in kept), desired.resources)
    notices = (*(one for one in plan.notices if one.key not in left), _left_out(left))
    return replace(plan, steps=chosen, notices=notices)


def _left_out(left: list[Key]) -> Notice:
    others = len(left) - 1
    and_others = f" (nor were {others} others)" if others > 1 else " (nor was another one)" if others else ""
    return Notice(left[0], f"it would change too, and is left out: it was not selected{and_others}")


def _check(key: Key, known: Collection[Key]) -> None:
    if key in known:
        return
    meant = nearest(key, known)
    raise UsageError(
        f"There is no {key}, neither in the files nor among what would change.",
        remedy=f"Did you mean {meant}?" if meant else "`specrunner plan` prints the keys of what would change.",
    )
