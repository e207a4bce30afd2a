"""Doing one thing on the target: journal, retries, notes, and words of what went wrong that hide every secret."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeVar

from specrunner.core.errors import Diagnostic, SpecrunnerError, StalePlan, Transient
from specrunner.core.keys import Key
from specrunner.core.masking import masked, texts_of
from specrunner.core.outcome import Fate, RunView, StepOutcome
from specrunner.core.plan import Step
from specrunner.core.ports import Clock
from specrunner.core.resources import Owner, Resource
from specrunner.core.values import Secret, format_duration
from specrunner.reconcile.journal import Journal, token_of
from specrunner.reconcile.restoring import Restore, Way
from specrunner.reconcile.retrying import PATIENT, Patience, Pause, Trying
from specrunner.targets.base import PutOrder, Target

Thing = TypeVar("Thing")


class Listener(Protocol):
    """Told how an apply goes on; called from one thread at a time."""

    def started(self, step: Step) -> None:
        """A step has begun."""

    def noted(self, step: Step, text: str) -> None:
        """Something goes on inside a step."""

    def ended(self, outcome: StepOutcome) -> None:
        """A step has ended, or will not be done."""

    def restoring(self, key: Key, text: str) -> None:
        """A recorded object is being brought back; `text` says what goes on, empty at first."""

    def restored(self, key: Key, problem: Diagnostic | None) -> None:
        """It is back, or could not be brought back."""


def unclaimed(_task: Key) -> RunView | None:
    """A `claim` for a target that remembers what was carried out: nobody else does it."""
    return None


@dataclass(frozen=True, slots=True)
class Options:
    """How an apply is carried out.

    Without `wait`, runs are started and left to themselves; after `wait_timeout` seconds of waiting they are too.
    `claim` is asked before a run-once task's order is carried out: it gives the run of whoever does so elsewhere.
    """

    wait: bool = True
    wait_timeout: float | None = None
    patience: Patience = PATIENT
    claim: Callable[[Key], RunView | None] = unclaimed


@dataclass(slots=True)
class Worker:
    """Does steps and restores, from several threads at once. `pause` says True where we are called off.

    `apply` is the id from which idempotency keys are made where there is no journal.
    """

    target: Target
    owner: Owner
    clock: Clock
    listener: Listener
    options: Options
    journal: Journal | None
    apply: str
    pause: Pause
    called_off: Callable[[], bool]
    _telling: threading.Lock = field(default_factory=threading.Lock)
    _waiting: threading.Lock = field(default_factory=threading.Lock)
    _timer: threading.Timer | None = None
    _impatient: threading.Event = field(default_factory=threading.Event)

    def step(self, step: Step, resource: Resource | None, secrets: Mapping[str, Secret]) -> StepOutcome:
        """Carry one step out; without a resource it deletes. Faults of ours alone are raised."""
        told = _Told(secrets.values(), lambda text: self._tell(self.listener.noted, step, text))
        with self._telling:
            self.listener.started(step)
        began = self.clock.monotonic()
        trying = self._trying(told)
        try:
            run = self._done(step, resource, secrets, told, trying)
            outcome = StepOutcome(step, Fate.DONE, run=run, waited=self.options.wait)
        except SpecrunnerError as problem:
            stale = isinstance(problem, StalePlan)
            outcome = StepOutcome(step, Fate.FAILED, told.problem(problem.diagnostics[0]), stale=stale)
        outcome = replace(outcome, seconds=self.clock.monotonic() - began, tries=max(trying.tries, 1))
        self._journal_end(step, outcome.fate, told, run=outcome.run)
        return outcome

    def restore(self, restore: Restore) -> Diagnostic | None:
        """Bring one recorded object back, in the first way that works; what went wrong with the last one, or None."""
        known = [secret for way in restore.ways for secret in way.secrets.values()]
        told = _Told(known, lambda text: self._tell(self.listener.restoring, restore.key, text))
        told("")
        problem = None
        try:
            token = self._begun(restore.step, restored=True)
            for way in restore.ways:
                problem = self._restored(restore, way, token, told)
                if problem is None or self.called_off():
                    break
        except SpecrunnerError as error:
            problem = error.diagnostics[0]
        self._journal_end(restore.step, Fate.FAILED if problem else Fate.DONE, told, restored=True)
        return told.problem(problem) if problem else None

    def _restored(self, restore: Restore, way: Way, token: str, told: _Told) -> Diagnostic | None:
        order = PutOrder(way.resource, restore.step, self.owner, way.secrets, token)
        try:
            self._trying(told)(lambda: self.target.restore(restore.recorded, order, told))
        except SpecrunnerError as problem:
            return problem.diagnostics[0]
        return None

    def tell_ended(self, outcome: StepOutcome) -> None:
        """Tell the listener what became of a step."""
        with self._telling:
            self.listener.ended(outcome)

    def tell_restored(self, key: Key, problem: Diagnostic | None) -> None:
        """Tell the listener what became of a recorded object."""
        with self._telling:
            self.listener.restored(key, problem)

    def patiently(self) -> Trying:
        """For a call to the target outside of steps."""
        return Trying(self.options.patience, self.pause)

    def close(self) -> None:
        """No run is waited for any more."""
        with self._waiting:
            if self._timer is not None:
                self._timer.cancel()

    def _done(
        self, step: Step, resource: Resource | None, secrets: Mapping[str, Secret], told: _Told, trying: Trying
    ) -> RunView | None:
        token = self._begun(step)
        if resource is None:
            trying(lambda: self.target.delete(step, told))
            return None
        order = PutOrder(resource, step, self.owner, secrets, token)
        trying(lambda: self.target.put(order, told))
        if not step.intent or self.called_off():
            return None
        return trying(lambda: self._run(step, told))

    def _run(self, step: Step, told: _Told) -> RunView:
        elsewhere = self.options.claim(step.key)
        if elsewhere is not None:
            told("another machine has it in hand" if not elsewhere.status.ended else "another machine has run it")
            return elsewhere
        waits = self.options.wait and not self._impatient.is_set()
        if waits:
            self._start_timer()
        return self.target.run(step.key, step.intent, note=told, wait=waits)

    def _start_timer(self) -> None:
        """The first run that is waited for starts the clock for all of them."""
        with self._waiting:
            if self.options.wait_timeout is not None and self._timer is None:
                self._timer = threading.Timer(self.options.wait_timeout, self._waited_enough)
                self._timer.daemon = True
                self._timer.start()

    def _waited_enough(self) -> None:
        self._impatient.set()
        self.target.stop_waiting()

    def _begun(self, step: Step, *, restored: bool = False) -> str:
        if self.journal is None:
            return token_of(self.apply, step, restored=restored)
        return self.journal.began(step, restored=restored)

    def _journal_end(
        self, step: Step, fate: Fate, told: _Told, *, run: RunView | None = None, restored: bool = False
    ) -> None:
        if self.journal is None:
            return
        try:
            self.journal.ended(step, str(fate), run.id if run else "", restored=restored)
        except SpecrunnerError as problem:  # it is done all the same, and what is live says so
            told(problem.summary)

    def _trying(self, told: _Told) -> Trying:
        def again(problem: Transient, seconds: float) -> None:
            told(f"{problem.summary.rstrip('.')}; trying again in {format_duration(seconds)}")

        return Trying(self.options.patience, self.pause, again)

    def _tell(self, tell: Callable[[Thing, str], None], thing: Thing, text: str) -> None:
        with self._telling:
            tell(thing, text)


class _Told:
    """A `Note` that shows no secret: what a target or a tool says may quote what it was given."""

    def __init__(self, secrets: Iterable[Secret], tell: Callable[[str], None]) -> None:
        self._hidden = texts_of(secret.reveal() for secret in secrets)
        self._tell = tell

    def __call__(self, text: str) -> None:
        self._tell(masked(text, self._hidden))

    def problem(self, problem: Diagnostic) -> Diagnostic:
        """The same problem, without secrets."""
        summary, detail, remedy = (masked(t, self._hidden) for t in (problem.summary, problem.detail, problem.remedy))
        return replace(problem, summary=summary, detail=detail, remedy=remedy)
