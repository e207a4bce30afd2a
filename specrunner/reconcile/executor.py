"""Carrying out a plan: steps run in parallel as soon as what they wait for has ended.

A failed step holds back only what depends on it; everything else goes on, and the outcome lists every step.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from typing import Protocol

from specrunner.core.errors import Diagnostic, SpecrunnerError
from specrunner.core.keys import Key
from specrunner.core.masking import masked, texts_of
from specrunner.core.outcome import Fate, Outcome, RunView, StepOutcome
from specrunner.core.plan import Plan, Step
from specrunner.core.ports import Clock
from specrunner.core.resources import Desired
from specrunner.core.values import Secret
from specrunner.targets.base import PutOrder, Target

DEFAULT_PARALLELISM = 8


class Listener(Protocol):
    """Told how an apply goes on; called from one thread at a time."""

    def started(self, step: Step) -> None:
        """A step has begun."""

    def noted(self, step: Step, text: str) -> None:
        """Something goes on inside a step."""

    def ended(self, outcome: StepOutcome) -> None:
        """A step has ended, or will not be done."""


class _Order:
    """Which steps may start: counts, for each, what it still waits for (Kahn's algorithm)."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self._waits = {step.key: {*step.depends_on, *step.after} for step in steps}
        self._steps = {step.key: step for step in steps}
        self._waiting_for: dict[Key, list[Key]] = {}
        for key, waits in self._waits.items():
            for other in waits:
                self._waiting_for.setdefault(other, []).append(key)
        self.ready = deque(step for step in steps if not self._waits[step.key])

    def ended(self, key: Key) -> None:
        """A step has ended, however: what waited only for it may start."""
        for other in self._waiting_for.get(key, ()):
            self._waits[other].discard(key)
            if not self._waits[other]:
                self.ready.append(self._steps[other])


@dataclass(slots=True)
class Execution:
    """One apply of one plan; `run` it once, and `interrupt` it from any thread or signal handler."""

    plan: Plan
    desired: Desired
    secrets: Mapping[Key, Mapping[str, Secret]]
    target: Target
    clock: Clock
    listener: Listener
    parallelism: int = DEFAULT_PARALLELISM
    _outcomes: dict[Key, StepOutcome] = field(default_factory=dict)
    _stopped: threading.Event = field(default_factory=threading.Event)
    _telling: threading.Lock = field(default_factory=threading.Lock)

    def run(self) -> Outcome:
        """Carry the plan out. Steps that fail are in the outcome; only faults of ours are raised."""
        began = self.clock.now()
        order = _Order(self.plan.steps)
        with ThreadPoolExecutor(self.parallelism, thread_name_prefix="apply") as pool:
            running: set[Future[StepOutcome]] = set()
            while order.ready or running:
                while order.ready:
                    step = order.ready.popleft()
                    reason = self._held_back(step)
                    if reason is not None:
                        self._end(reason, order)
                    else:
                        running.add(pool.submit(self._carry_out, step))
                running = self._collect(running, order)
        steps = tuple(self._outcomes[step.key] for step in self.plan.steps)
        return Outcome(self.plan, steps, began, self.clock.now(), interrupted=self._stopped.is_set())

    def interrupt(self) -> None:
        """Start no further step; runs that are waited for go on without us."""
        self._stopped.set()
        self.target.stop_waiting()

    def _held_back(self, step: Step) -> StepOutcome | None:
        """Why a step is not done, or None."""
        if step.blocked_by:
            return StepOutcome(step, Fate.BLOCKED)
        for key in step.depends_on:
            if key in self._outcomes and self._outcomes[key].fate is not Fate.DONE:
                return StepOutcome(step, Fate.SKIPPED, because=key)
        return StepOutcome(step, Fate.SKIPPED) if self._stopped.is_set() else None

    def _collect(self, running: set[Future[StepOutcome]], order: _Order) -> set[Future[StepOutcome]]:
        ended, going_on = wait(running, return_when=FIRST_COMPLETED) if running else (set(), set())
        for future in ended:
            self._end(future.result(), order)
        return going_on

    def _end(self, outcome: StepOutcome, order: _Order) -> None:
        self._outcomes[outcome.step.key] = outcome
        order.ended(outcome.step.key)
        with self._telling:
            self.listener.ended(outcome)

    def _carry_out(self, step: Step) -> StepOutcome:
        if self._stopped.is_set():  # it waited for a free worker meanwhile
            return StepOutcome(step, Fate.SKIPPED)
        with self._telling:
            self.listener.started(step)
        began = self.clock.monotonic()
        try:
            run = self._do(step)
        except SpecrunnerError as problem:
            told = self._without_secrets(step, problem.diagnostics[0])
            return StepOutcome(step, Fate.FAILED, told, seconds=self.clock.monotonic() - began)
        return StepOutcome(step, Fate.DONE, run=run, seconds=self.clock.monotonic() - began)

    def _do(self, step: Step) -> RunView | None:
        if step.deletes:
            self.target.delete(step, lambda text: self._note(step, text))
            return None
        resource = self.desired.resources[step.key]
        order = PutOrder(resource, step, self.desired.owner, self.secrets.get(step.key, {}))
        self.target.put(order, lambda text: self._note(step, text))
        if not step.intent or self._stopped.is_set():
            return None
        return self.target.run(step.key, step.intent, note=lambda text: self._note(step, text))

    def _note(self, step: Step, text: str) -> None:
        with self._telling:
            self.listener.noted(step, masked(text, self._hidden(step)))

    def _without_secrets(self, step: Step, problem: Diagnostic) -> Diagnostic:
        """What a target or a tool says of a failure may quote what it was given."""
        hidden = self._hidden(step)
        summary, detail, remedy = (masked(t, hidden) for t in (problem.summary, problem.detail, problem.remedy))
        return replace(problem, summary=summary, detail=detail, remedy=remedy)

    def _hidden(self, step: Step) -> frozenset[str]:
        return texts_of(secret.reveal() for secret in self.secrets.get(step.key, {}).values())
