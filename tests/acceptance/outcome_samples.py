"""Outcomes of every sort, as plain values, for the golden files in `golden/plans`."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from specrunner.core.errors import Diagnostic
from specrunner.core.fields import Action
from specrunner.core.keys import Key
from specrunner.core.lifecycle import Reason, RunState
from specrunner.core.outcome import Fate, Outcome, RunView, StepOutcome
from specrunner.core.plan import Step
from tests.acceptance.plan_samples import (
    CODE,
    LAB,
    MODEL,
    NIGHTLY,
    ONCE,
    PRICES,
    PROTECTED,
    ROWS,
    created,
    plan,
    removed,
)

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
STALE = Diagnostic(
    f"{PRICES} is no longer as it was when this was planned.",
    "Somebody else has changed, made or removed it meanwhile.",
    "Run `specrunner plan` again and look at what it says now.",
)
UNREACHABLE = Diagnostic(
    "The target did not answer.", "The connection was refused 5 times.", "Look whether it runs, then apply again."
)
LOST = Diagnostic(
    "The lease of forecasting/staging was lost.", "No further step was begun.", "Run `specrunner apply` again."
)
GOOD = RunView("5e1f77aa00", ONCE, RunState.SUCCESS, NOON, Reason.EXIT)
BAD = replace(
    GOOD,
    status=RunState.FAILURE,
    exit_code=1,
    detail="it ended with exit code 1: ValueError: no rows",
    log_tail=("Traceback (most recent call last):", "ValueError: no rows"),
)
GOING_ON = replace(GOOD, status=RunState.RUNNING, reason=None)


def ended(step: Step, fate: Fate = Fate.DONE, seconds: float = 0.0, **more: Any) -> StepOutcome:
    return StepOutcome(step, fate, seconds=seconds, **more)


def outcome(*steps: StepOutcome, **more: Any) -> Outcome:
    made = plan(*(one.step for one in steps))
    return Outcome(made, steps, NOON, NOON + timedelta(seconds=42), **more)


def changed(key: Key) -> Step:
    return Step(key, Action.UPDATE, "labels: changed in tasks.yaml:3:3")


RUNS = created(ONCE, intent="i")
OUTCOMES: dict[str, Outcome] = {
    "outcome-done": outcome(ended(created(LAB)), ended(removed(MODEL)), ended(RUNS, seconds=42, run=GOOD)),
    "outcome-nothing": outcome(),
    "outcome-retried": outcome(ended(changed(ROWS), seconds=3.2, tries=3)),
    "outcome-failed": outcome(
        ended(changed(CODE), Fate.FAILED, problem=UNREACHABLE, tries=5),
        ended(changed(NIGHTLY), Fate.SKIPPED, because=CODE),
        ended(changed(LAB)),
    ),
    "outcome-run-failed": outcome(ended(RUNS, seconds=1.5, run=BAD)),
    "outcome-stale": outcome(ended(changed(PRICES), Fate.FAILED, problem=STALE, stale=True)),
    "outcome-blocked": outcome(ended(removed(MODEL, blocked_by=PROTECTED), Fate.BLOCKED)),
    "outcome-no-wait": outcome(ended(RUNS, run=GOING_ON)),
    "outcome-interrupted": outcome(
        ended(changed(LAB)), ended(changed(ROWS), Fate.SKIPPED), ended(changed(NIGHTLY), Fate.SKIPPED), interrupted=True
    ),
    "outcome-restored": outcome(ended(changed(NIGHTLY)), restored=(LAB, CODE, ROWS), unrestored=(MODEL,)),
    "outcome-lease-lost": outcome(ended(changed(LAB)), ended(changed(ROWS), Fate.SKIPPED), problems=(LOST,)),
}
