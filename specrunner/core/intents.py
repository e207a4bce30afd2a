"""Run-once tasks: whether an order is due, and what to know of one that is not repeated.

An order whose run has ended is done, well or badly. Where only a record tells of a run that had not ended, it may go
on elsewhere, so that it is not started a second time here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from specrunner.core.keys import Key, Kind
from specrunner.core.lifecycle import RunState
from specrunner.core.plan import Notice, Step
from specrunner.core.resources import LiveObject, Presence, Resource, intent_of, is_run_once

# What a shell takes as it is, beside letters and digits.
_PLAIN = str.maketrans("", "", "-_./")


@dataclass(frozen=True, slots=True)
class Order:
    """What a task is told to do: `intent` is due, empty where none is.

    `trouble` says of its last run why nothing that depends on the task can go on; empty where there is none.
    """

    intent: str = ""
    trouble: str = ""


NOTHING_DUE = Order()


def order_of(resource: Resource, live: LiveObject) -> Order:
    """The order of a declared object that is live; only run-once tasks have any."""
    if resource.key.kind is not Kind.TASK or not is_run_once(resource.spec):
        return NOTHING_DUE
    intent = intent_of(resource.spec)
    state = live.intents.get(intent)
    if state == RunState.SUCCESS:
        return NOTHING_DUE
    if state is not None and RunState(state).ended:
        return Order(trouble=f"ended as {state}")
    if state is not None and live.presence is Presence.RECORDED:
        return Order(trouble="had not ended when it was recorded, and may go on elsewhere")
    return Order(intent)


def notice_of(key: Key, order: Order) -> Notice | None:
    """What a plan says of an order that it leaves alone."""
    if not order.trouble:
        return None
    return Notice(key, f"its last run {order.trouble}; apply does not repeat a run", _command(key))


def held_back(steps: Iterable[Step], resources: Mapping[Key, Resource], orders: Mapping[Key, Order]) -> list[Step]:
    """The steps, those blocked that depend on a task whose run would have to be repeated first."""
    troubles = {key: order.trouble for key, order in orders.items() if order.trouble}
    return [_held_back(step, resources[step.key], troubles) if troubles else step for step in steps]


def _held_back(step: Step, resource: Resource, troubles: Mapping[Key, str]) -> Step:
    key = next((needed for needed in resource.references if needed in troubles), None)
    if step.blocked_by or key is None:
        return step
    why = f"it depends on {key}, whose last run {troubles[key]}; repeat that one with `{_command(key)}`"
    return replace(step, blocked_by=why)


def _command(key: Key) -> str:
    return f"specrunner run {quoted(key.name)}"


def quoted(name: str) -> str:
    """A name as one word of a POSIX shell."""
    return name if name.translate(_PLAIN).isalnum() else "'" + name.replace("'", "'\"'\"'") + "'"
