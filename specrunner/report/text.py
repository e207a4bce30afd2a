"""Plans and outcomes as text: a block per step, then one line that sums up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from specrunner.core.diff import SECRET, FieldChange
from specrunner.core.fields import Action
from specrunner.core.lifecycle import RunState
from specrunner.core.outcome import Fate, Outcome, RunView, StepOutcome
from specrunner.core.plan import Plan, Step
from specrunner.core.values import Json, canonical, format_duration
from specrunner.report.diagnostics import remedy_lines
from specrunner.report.lines import Line, counted

SYMBOLS: Final[Mapping[Action, tuple[str, str]]] = {
    Action.CREATE: ("+", "create"),
    Action.DELETE: ("-", "delete"),
    Action.KILL: ("-", "delete"),
    Action.REPLACE: ("±", "change"),
    Action.RUN: ("▶", "run"),
}
_VERBS: Final[Mapping[Action, str]] = {
    Action.CREATE: "to create",
    Action.ADOPT: "to adopt",
    Action.UPDATE: "to update",
    Action.RUN: "to run",
    Action.RESCHEDULE: "to reschedule",
    Action.UPLOAD: "to upload",
    Action.REDEPLOY: "to redeploy",
    Action.REPLACE: "to replace",
    Action.KILL: "to kill",
    Action.DELETE: "to delete",
}
_WIDEST = 100  # characters of a value that a line shows


def plan_lines(plan: Plan) -> Iterator[Line]:
    """The whole plan. An empty one says so in a line."""
    for step in plan.steps:
        yield from _step(step)
    for notice in plan.notices:
        yield Line(f"  ! {notice.key}: {notice.text}", "warning")
        if notice.remedy:
            yield Line(f"      → {notice.remedy}", "remedy")
    if plan.steps or plan.notices:
        yield Line()
    yield Line(plan_summary(plan), "bold")


def plan_summary(plan: Plan) -> str:
    """`Plan: 3 to create, 1 to run; 4 unchanged.`"""
    unchanged = f"{counted(plan.unchanged, 'object')} as declared" if plan.unchanged else ""
    if not plan.steps:
        return f"No changes: {unchanged or 'nothing is declared, nothing is live'}."
    counts = [f"{count} {_VERBS[action]}" for action, count in plan.counts().items()]
    runs = sum(bool(step.intent) and step.action is not Action.RUN for step in plan.work)
    if runs:
        counts.append(f"{counted(runs, 'run')} to start with them")
    if plan.blocked:
        counts.append(f"{len(plan.blocked)} blocked")
    return f"Plan: {'; '.join(filter(None, (', '.join(counts), unchanged)))}."


def _step(step: Step) -> Iterator[Line]:
    symbol, style = SYMBOLS.get(step.action, ("~", "change"))
    suffix = "" if step.action in SYMBOLS else f"  ({step.action})"
    if step.intent and step.action is not Action.RUN:
        suffix += "  ▶ runs once"
    yield Line(f"  {symbol} {step.key}{suffix}", style)
    if not step.changes or step.action is Action.ADOPT:
        yield Line(f"      {step.reason}", "dim")
    for change in step.changes:
        yield Line(f"      {change.path}: {_shown(change.old)} → {_shown(change.new)}")
        yield Line(f"        {_why(change)}", "dim")
    if step.blocked_by:
        yield Line(f"      blocked: {step.blocked_by}", "warning")


def _why(change: FieldChange) -> str:
    live = "" if change.live is None or change.drift else f"; live it is {_shown(change.live)}"
    return f"{change.reason}{live}"


def _shown(value: Json) -> str:
    if value is None:
        return "(none)"
    if value == SECRET:
        return SECRET
    text = canonical(value)
    return text if len(text) <= _WIDEST else f"{text[: _WIDEST - 1]}…"


def step_ended_line(outcome: StepOutcome) -> Line:
    """One line for a step that has ended, for progress."""
    step, took = outcome.step, f" ({format_duration(round(outcome.seconds, 1))})" if outcome.seconds >= 0.1 else ""
    if outcome.run is not None and not outcome.run.status.ended:
        return Line(f"  · {step.key}: run {outcome.run.id[:8]} is {outcome.run.status}; it goes on", "warning")
    if outcome.fate is Fate.DONE and outcome.run is not None:
        style = "create" if outcome.run.succeeded else "error"
        mark = "✓" if outcome.run.succeeded else "✗"
        return Line(f"  {mark} {step.key}: run {outcome.run.id[:8]} {run_words(outcome.run)}{took}", style)
    if outcome.fate is Fate.DONE:
        return Line(f"  ✓ {step.key}: {_DONE.get(step.action, 'changed')}{took}", "create")
    if outcome.fate is Fate.FAILED and outcome.problem is not None:
        return Line(f"  ✗ {step.key}: {outcome.problem.summary}", "error")
    if outcome.fate is Fate.BLOCKED:
        return Line(f"  · {step.key}: blocked, {step.blocked_by}", "warning")
    because = f", because {outcome.because} was not done" if outcome.because else ""
    return Line(f"  · {step.key}: skipped{because}", "warning")


_DONE: Final[Mapping[Action, str]] = {
    Action.CREATE: "created",
    Action.ADOPT: "adopted",
    Action.UPLOAD: "new version uploaded",
    Action.REDEPLOY: "new version in force",
    Action.RESCHEDULE: "rescheduled",
    Action.DELETE: "deleted",
}


def run_words(run: RunView) -> str:
    """The state of a run with its reason: `failure (exit, code 1)`. Where we ended it, the code says nothing."""
    if run.reason is None or run.status in {RunState.KILLED, RunState.LOST, RunState.TIMED_OUT}:
        return str(run.status)
    code = f", code {run.exit_code}" if run.exit_code not in {None, 0} else ""
    return f"{run.status} ({run.reason}{code})"


def outcome_lines(outcome: Outcome) -> Iterator[Line]:
    """What to know after an apply: failures in full, runs that did not succeed, a line that sums up."""
    for step in outcome.with_fate(Fate.FAILED):
        if step.problem is not None:
            yield Line(f"{step.step.key} failed: {step.problem.summary}", "error")
            yield from (Line(f"    {text}") for text in step.problem.detail.splitlines())
            yield from remedy_lines(step.problem.remedy)
            yield Line()
    runs = [step.run for step in outcome.steps if step.run is not None]
    for run in runs:
        if not run.status.ended:
            yield from goes_on_lines(run)
        elif not run.succeeded:
            yield from _run_trouble(run)
    yield Line(outcome_summary(outcome), "bold")


def _run_trouble(run: RunView) -> Iterator[Line]:
    yield Line(f"The run of {run.task} ended as {run_words(run)}.", "error")
    if run.detail:
        yield from (Line(f"    {text}") for text in run.detail.splitlines())
    yield from (Line(f"    | {text}", "dim") for text in run.log_tail[-12:])
    yield Line(f"    → specrunner logs {run.id[:8]}", "remedy")
    yield Line()


def goes_on_lines(run: RunView) -> Iterator[Line]:
    """What to know of a run that this process no longer waits for."""
    yield Line(f"The run of {run.task} goes on without this process; it is {run.status}.", "warning")
    yield Line(f"    → `specrunner logs {run.id[:8]}` shows it; `specrunner apply` waits for it again.", "remedy")
    yield Line()


def outcome_summary(outcome: Outcome) -> str:
    """`Applied: 5 done, 1 failed, 2 skipped; 1 run did not succeed.`"""
    counts = [f"{len(found)} {fate}" for fate in Fate if (found := outcome.with_fate(fate))]
    word = "Interrupted" if outcome.interrupted else "Applied"
    bad = sum(run.status.ended for run in outcome.unsuccessful_runs)
    runs = f"; {counted(bad, 'run')} did not succeed" if bad else ""
    return f"{word}: {', '.join(counts) or 'nothing to do'}{runs}."
