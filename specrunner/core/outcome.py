"""What came of a plan: each step done, failed or skipped because of another, and the runs it started."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from specrunner.core.errors import Diagnostic
from specrunner.core.keys import Key
from specrunner.core.lifecycle import Reason, RunState
from specrunner.core.plan import Plan, Step
from specrunner.core.values import Json, JsonObject


@dataclass(frozen=True, slots=True)
class RunView:
    """A run as records and reports show it, from whatever target.

    `scheduled` is the instant that it is for; a skip may stand for all of them from `first` on. One that is `beside`
    came on top of the record that is known by that instant: it makes up for a skip.
    `sha` is that of the bundle, `environment` the identity of the environment it ran in, `log_tail` the last
    lines of its log, redacted.
    """

    id: str
    task: Key
    status: RunState
    created: datetime
    reason: Reason | None = None
    detail: str = ""
    attempt: int = 1
    exit_code: int | None = None
    intent: str = ""
    scheduled: datetime | None = None
    started: datetime | None = None
    ended: datetime | None = None
    args: JsonObject = field(default_factory=dict)
    results: Json = None
    sha: str = ""
    environment: str = ""
    log_tail: tuple[str, ...] = ()
    first: datetime | None = None
    beside: bool = False

    @property
    def seconds(self) -> float | None:
        """How long it ran, or None where it has not both begun and ended."""
        return (self.ended - self.started).total_seconds() if self.started and self.ended else None

    @property
    def succeeded(self) -> bool:
        """Whether it ended well."""
        return self.status is RunState.SUCCESS


class Fate(StrEnum):
    """What became of a step."""

    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"  # something it depends on failed, was skipped, or the apply was interrupted
    BLOCKED = "blocked"  # a safety rule forbade it


@dataclass(frozen=True, slots=True)
class StepOutcome:
    """What became of one step; `because` is the step that kept it from being done.

    `tries` is how often it was begun before it was done or given up; `stale` says that it failed because the live
    object was no longer the one that it was planned for; `waited`, that the end of its run was waited for.
    """

    step: Step
    fate: Fate
    problem: Diagnostic | None = None
    because: Key | None = None
    run: RunView | None = None
    seconds: float = 0.0
    tries: int = 1
    stale: bool = False
    waited: bool = True

    @property
    def failed_run(self) -> RunView | None:
        """Its run, where that ended otherwise than well and the apply answers for that.

        It does not for a run that it left to itself: whether such a one has ended already is chance. But that it
        could not even be started is no chance.
        """
        run = self.run
        if run is None or run.succeeded or not run.status.ended:
            return None
        return run if self.waited or run.started is None else None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a plan; one entry per step, in the plan's order.

    `restored` are recorded objects that were brought back, `unrestored` those that could not be; `problems` are
    failures outside of steps, such as a restore that failed or a lease that was lost.
    """

    plan: Plan
    steps: tuple[StepOutcome, ...]
    started: datetime
    ended: datetime
    interrupted: bool = False
    restored: tuple[Key, ...] = ()
    unrestored: tuple[Key, ...] = ()
    problems: tuple[Diagnostic, ...] = ()

    def with_fate(self, fate: Fate) -> tuple[StepOutcome, ...]:
        """The steps of one fate."""
        return tuple(outcome for outcome in self.steps if outcome.fate is fate)

    @property
    def unsuccessful_runs(self) -> tuple[RunView, ...]:
        """The runs that this apply started and that ended otherwise than well, as far as it waited for them."""
        return tuple(run for step in self.steps if (run := step.failed_run) is not None)

    @property
    def left(self) -> tuple[StepOutcome, ...]:
        """The steps that were not begun, through no fault of another step: the apply ended before."""
        return tuple(outcome for outcome in self.with_fate(Fate.SKIPPED) if outcome.because is None)

    @property
    def exit_code(self) -> int:
        """The status of the process: 0, 1, 3, 4, 5, 6 or 130, the gravest first.

        It is 4 where no step was done because the plan was stale, and for no other reason. What was brought back
        counts as done where something else failed.
        """
        if self.interrupted:
            return 130
        if self.with_fate(Fate.FAILED) or self.problems:
            return self._failed_code()
        if self.unsuccessful_runs:
            return 6
        return 3 if self.with_fate(Fate.BLOCKED) else 0

    def _failed_code(self) -> int:
        if self.with_fate(Fate.DONE):
            return 5
        failed = self.with_fate(Fate.FAILED)
        if not self.problems and all(outcome.stale for outcome in failed):
            return 4
        return 5 if self.restored else 1
