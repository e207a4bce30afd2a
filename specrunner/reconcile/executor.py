"""Carrying out a plan: first what only the status files know is brought back, then the steps are done.

Both in parallel, each thing as soon as what it waits for has ended. A failed step holds back only what depends on
it; everything else goes on, and the outcome lists every step.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from specrunner.core.errors import Diagnostic, SpecrunnerError
from specrunner.core.keys import Key
from specrunner.core.outcome import Fate, Outcome, StepOutcome
from specrunner.core.plan import Plan, Step
from specrunner.core.ports import Clock
from specrunner.core.resources import Desired
from specrunner.core.values import Secret
from specrunner.reconcile.doing import Listener, Options, Worker
from specrunner.reconcile.journal import Journal
from specrunner.reconcile.restoring import Restore
from specrunner.reconcile.retrying import Patience, Pause
from specrunner.reconcile.waves import Waves
from specrunner.targets.base import Target

DEFAULT_PARALLELISM = 8

__all__ = ["DEFAULT_PARALLELISM", "Execution", "Listener", "Options", "Patience"]


@dataclass(slots=True)
class _Return:
    """What became of a recorded object; neither `done` nor a problem: it was not begun."""

    done: bool
    problem: Diagnostic | None = None


@dataclass(slots=True)
class Execution:
    """One apply of one plan; `run` it once, and `interrupt` it from any thread or signal handler.

    `restores` are brought back first; with `partial` there are others besides, so that the target has not all of its
    memory back. `lost` is set from outside when the lease is no longer ours: then nothing further is begun. `pause`
    waits between tries, saying whether it was called off; the default listens to `interrupt`.
    """

    plan: Plan
    desired: Desired
    secrets: Mapping[Key, Mapping[str, Secret]]
    target: Target
    clock: Clock
    listener: Listener
    parallelism: int = DEFAULT_PARALLELISM
    restores: Sequence[Restore] = ()
    journal: Journal | None = None
    options: Options = field(default_factory=Options)
    lost: threading.Event = field(default_factory=threading.Event)
    pause: Pause | None = None
    partial: bool = False
    _outcomes: dict[Key, StepOutcome] = field(default_factory=dict)
    _returns: dict[Key, _Return] = field(default_factory=dict)
    _problems: list[Diagnostic] = field(default_factory=list)
    _fresh: dict[Key, str] = field(default_factory=dict)
    _stopped: threading.Event = field(default_factory=threading.Event)
    _worker: Worker = field(init=False)

    def __post_init__(self) -> None:
        self._worker = Worker(
            self.target,
            self.desired.owner,
            self.clock,
            self.listener,
            self.options,
            self.journal,
            os.urandom(16).hex(),
            self._paused,
            self._called_off,
        )

    def run(self) -> Outcome:
        """Carry the plan out. Steps that fail are in the outcome; only faults of ours are raised."""
        began = self.journal.started if self.journal is not None else self.clock.now()
        try:
            with ThreadPoolExecutor(self.parallelism, thread_name_prefix="apply") as pool:
                self._bring_back(pool)
                self._do_steps(pool)
        finally:
            self._worker.close()
        if self.lost.is_set():
            self._problems.append(_lease_lost())
        self._close_journal()
        return Outcome(
            self.plan,
            tuple(self._outcomes[step.key] for step in self.plan.steps),
            began,
            self.clock.now(),
            interrupted=self._stopped.is_set(),
            restored=tuple(key for key, found in self._returns.items() if found.done),
            unrestored=tuple(key for key, found in self._returns.items() if not found.done),
            problems=tuple(self._problems),
        )

    def interrupt(self) -> None:
        """Start no further step; runs that are waited for go on without us."""
        self._stopped.set()
        self.target.stop_waiting()

    def _called_off(self) -> bool:
        return self._stopped.is_set() or self.lost.is_set()

    def _paused(self, seconds: float) -> bool:
        return (self.pause or self._stopped.wait)(seconds) or self._called_off()

    def _bring_back(self, pool: Executor) -> None:
        """Restore what is recorded, in order of references; where all is back, the target has its memory again."""
        restores = {one.key: one for one in self.restores if one.ways or one.problem}
        waits = {key: one.references for key, one in restores.items()}

        def held(key: Key) -> _Return | None:
            if not restores[key].ways:
                return _Return(False, restores[key].problem)
            missing = [other for other in waits[key] if other in self._returns and not self._returns[other].done]
            return _Return(False) if missing or self._called_off() else None

        def work(key: Key) -> _Return:
            if self._called_off():  # it waited for a free worker meanwhile
                return _Return(False)
            problem = self._worker.restore(restores[key])
            return _Return(problem is None, problem)

        Waves(waits, held, work, self._returned).run(pool, self.parallelism)
        if not self._called_off() and not self.partial:
            self._remember()

    def _returned(self, key: Key, found: _Return) -> None:
        self._returns[key] = found
        if found.done or found.problem is not None:
            self._worker.tell_restored(key, found.problem)
        if found.problem is not None and all(step.key != key for step in self.plan.work):
            self._problems.append(found.problem)  # otherwise its step tells of it

    def _remember(self) -> None:
        try:
            if all(found.done for found in self._returns.values()):
                self._worker.patiently()(self._remember_once)
            if self.restores:
                live = self._worker.patiently()(self.target.read)
                self._fresh = {one.key: live[one.key].fingerprint if one.key in live else "" for one in self.restores}
        except SpecrunnerError as problem:
            self._problems.append(problem.diagnostics[0])
            self._fresh = {one.key: "" for one in self.restores}

    def _remember_once(self) -> None:
        if not self.target.remembers(self.desired.owner):
            self.target.remember(self.desired.owner)

    def _do_steps(self, pool: Executor) -> None:
        steps = {step.key: step for step in self.plan.steps}
        planned = {one.key: one.planned for one in self.restores}

        def held(key: Key) -> StepOutcome | None:
            return self._held_back(steps[key]) or self._stale(steps[key], planned)

        def ended(key: Key, outcome: StepOutcome) -> None:
            self._outcomes[key] = replace(outcome, step=steps[key])
            self._worker.tell_ended(self._outcomes[key])

        waits = {step.key: {*step.depends_on, *step.after} for step in self.plan.steps}
        Waves(waits, held, lambda key: self._carry_out(steps[key]), ended).run(pool, self.parallelism)

    def _carry_out(self, step: Step) -> StepOutcome:
        if self._called_off():  # it waited for a free worker meanwhile
            return StepOutcome(step, Fate.SKIPPED)
        if step.key in self._fresh:
            step = replace(step, live=self._fresh[step.key])
        resource = None if step.deletes else self.desired.resources[step.key]
        return self._worker.step(step, resource, self.secrets.get(step.key, {}))

    def _held_back(self, step: Step) -> StepOutcome | None:
        """Why a step is not done, or None."""
        if step.blocked_by:
            return StepOutcome(step, Fate.BLOCKED)
        own = self._returns.get(step.key)
        if own is not None and own.problem is not None:
            return StepOutcome(step, Fate.FAILED, own.problem)
        for key in step.depends_on:
            if key in self._outcomes and not _fulfilled(self._outcomes[key], step):
                return StepOutcome(step, Fate.SKIPPED, because=key)
        for key in self._needed(step):
            if key in self._returns and not self._returns[key].done:
                return StepOutcome(step, Fate.SKIPPED, because=key)
        return StepOutcome(step, Fate.SKIPPED) if self._called_off() else None

    def _needed(self, step: Step) -> tuple[Key, ...]:
        """The objects without which a step can't be done, itself included."""
        if step.deletes or step.key not in self.desired.resources:
            return ()
        return (step.key, *self.desired.resources[step.key].references)

    def _stale(self, step: Step, planned: Mapping[Key, str]) -> StepOutcome | None:
        """A step for a recorded object must have been planned from that very record; the target can't tell."""
        if planned.get(step.key, step.live) == step.live:
            return None
        problem = Diagnostic(
            f"{step.key} is recorded otherwise than when this plan was made.",
            remedy="Plan anew, and look at what has changed.",
        )
        return StepOutcome(step, Fate.FAILED, problem, stale=True)

    def _close_journal(self) -> None:
        if self.journal is None:
            return
        try:
            self.journal.over()
        except SpecrunnerError as problem:
            self._problems.append(problem.diagnostics[0])


def _fulfilled(needed: StepOutcome, step: Step) -> bool:
    """Whether a step that another one depends on is done; who declares a need for a task needs its run to succeed."""
    if needed.fate is not Fate.DONE:
        return False
    return step.deletes or needed.run is None or needed.run.succeeded


def _lease_lost() -> Diagnostic:
    return Diagnostic(
        "The lease of this apply was lost, so that nothing further was begun.",
        detail="Somebody broke it with `specrunner unlock`, or it could not be renewed in time: another apply may "
        "have begun.",
        remedy="`specrunner plan` shows what is left; `specrunner apply` goes on.",
    )
