"""Agreeing with other machines on who carries out what, where the target has no memory of its own."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import TYPE_CHECKING

from specrunner.cli.planning import clock
from specrunner.cli.recording import Place
from specrunner.core.errors import SpecrunnerError

if TYPE_CHECKING:
    from specrunner.core.keys import Key
    from specrunner.core.leases import Holder
    from specrunner.core.outcome import Outcome, RunView
    from specrunner.core.plan import Plan
    from specrunner.core.resources import Desired
    from specrunner.record.ticks import Order, StatusBook


def book_of(place: Place, desired: Desired, holder: Holder) -> StatusBook:
    """The records of a project's environment as the memory of this machine."""
    from specrunner.record.ticks import StatusBook

    where = f" on {holder.host}" + (f", {holder.url}" if holder.url else "")
    push = place.shared.push if place.shared is not None else lambda: None
    who = f"{holder.who}{where}"
    return StatusBook(place.repository, place.shared, desired.owner, who, place.policy, place.name, push)


class OrderClaims:
    """Claims the orders of a plan before the first of them is carried out, all by one push.

    Without a book nobody else could carry them out. Called from the threads of an apply.
    """

    def __init__(self, book: StatusBook | None, plan: Plan, desired: Desired) -> None:
        self._book = book
        self._intents = {step.key: step.intent for step in plan.work if step.intent}
        self._desired = desired
        self._lock = threading.Lock()
        self._taken: dict[Key, RunView] | None = None

    def __call__(self, task: Key) -> RunView | None:
        """The run of whoever carries out the order of this task elsewhere; None where it is ours.

        Raises SpecrunnerError where nobody can say: then it must not be carried out.
        """
        if self._book is None:
            return None
        with self._lock:
            if self._taken is None:
                self._taken = self._book.claim_orders(self._orders(), clock().now())
        return self._taken.get(task)

    def renewing(self) -> AbstractContextManager[None]:
        """Meanwhile orders that are claimed here stay claimed, however long their runs take."""
        return self._book.renewing(clock().now) if self._book is not None else nullcontext()

    def release(self, outcome: Outcome) -> None:
        """Give back what was claimed and never begun."""
        if self._book is None or self._taken is None:
            return
        begun = {*self._taken, *(one.step.key for one in outcome.steps if one.run is not None)}
        with suppress(SpecrunnerError):  # the record that follows fails of the same, and says so
            self._book.release({key: order for key, order in self._orders().items() if key not in begun})

    def _orders(self) -> dict[Key, Order]:
        from specrunner.record.ticks import Order

        specs = {key: self._desired.resources[key].spec for key in self._intents}
        return {key: Order(intent, specs[key]) for key, intent in self._intents.items()}
