"""What came of an apply, as text: a line for each step that ends, then what to know and one line that sums up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from specrunner.core.outcome import Fate, Outcome, RunView, StepOutcome
from specrunner.report.diagnostics import diagnostic_lines, harmless, remedy_lines
from specrunner.report.lines import Line, counted
from specrunner.report.words import DONE, named, run_words, took

LOG_LINES = 12  # of a run that did not succeed


def step_ended_line(outcome: StepOutcome) -> Line:
    """One line for a step that has ended, for progress."""
    sign, words, style = step_words(outcome)
    return Line(harmless(f"  {sign} {outcome.step.key}: {words}"), style)


def step_words(outcome: StepOutcome) -> tuple[str, str, str]:
    """What became of a step: a sign, the words, and their style."""
    run, after = outcome.run, f"{tries_words(outcome)}{took(outcome.seconds)}"
    if run is not None and not run.status.ended:
        return "·", f"run {run.id[:8]} is {run.status}; it goes on", "warning"
    if outcome.fate is Fate.DONE and run is not None:
        sign, style = ("✓", "create") if run.succeeded else ("✗", "error")
        return sign, f"run {run.id[:8]} {run_words(run)}{after}", style
    if outcome.fate is Fate.DONE:
        return "✓", f"{DONE.get(outcome.step.action, 'changed')}{after}", "create"
    if outcome.fate is Fate.FAILED and outcome.problem is not None:
        return "✗", f"{_given_up(outcome)}{outcome.problem.summary}", "error"
    if outcome.fate is Fate.BLOCKED:
        return "·", f"blocked, {outcome.step.blocked_by}", "warning"
    return "·", skipped_words(outcome), "warning"


def _given_up(outcome: StepOutcome) -> str:
    return f"given up{tries_words(outcome)}: " if outcome.tries > 1 else ""


def skipped_words(outcome: StepOutcome) -> str:
    """Why a step was not begun."""
    return f"skipped, because {outcome.because} was not done" if outcome.because else "skipped"


def tries_words(outcome: StepOutcome) -> str:
    """` after 3 tries`, or nothing where the first one was enough."""
    return f" after {outcome.tries} tries" if outcome.tries > 1 else ""


def outcome_lines(outcome: Outcome) -> Iterator[Line]:
    """What to know after an apply: failures in full, runs that did not succeed, a line that sums up."""
    yield from _restored(outcome)
    yield from diagnostic_lines(outcome.problems)
    for step in outcome.with_fate(Fate.FAILED):
        yield from _failure(step)
    for run in (step.run for step in outcome.steps if step.run is not None):
        if not run.status.ended:
            yield from goes_on_lines(run)
        elif not run.succeeded:
            yield from _run_trouble(run)
    yield from _left(outcome)
    yield Line(outcome_summary(outcome), "bold")


def restored_words(outcome: Outcome) -> tuple[str, str]:
    """What was brought back, and what could not be; each empty where it is nothing."""
    back, not_back = len(outcome.restored), outcome.unrestored
    done = f"{counted(back, 'recorded object')} {'was' if back == 1 else 'were'} brought back."
    failed = f"{counted(len(not_back), 'recorded object')} could not be brought back: {named(not_back)}."
    return done if back else "", failed if not_back else ""


def _restored(outcome: Outcome) -> Iterator[Line]:
    done, failed = restored_words(outcome)
    if done:
        yield Line(f"  ↻ {done}", "run")
    if failed:
        yield Line(harmless(f"  ✗ {failed}"), "error")
    if done or failed:
        yield Line()


def _failure(step: StepOutcome) -> Iterator[Line]:
    if step.problem is None:
        return
    yield Line(harmless(f"{step.step.key} failed{tries_words(step)}: {step.problem.summary}"), "error")
    yield from (Line(f"    {harmless(text)}") for text in step.problem.detail.splitlines())
    yield from remedy_lines(step.problem.remedy)
    yield Line()


def _run_trouble(run: RunView) -> Iterator[Line]:
    yield Line(harmless(f"The run of {run.task} ended as {run_words(run)}."), "error")
    yield from (Line(f"    {harmless(text)}") for text in run.detail.splitlines())
    yield from (Line(f"    | {harmless(text)}", "dim") for text in run.log_tail[-LOG_LINES:])
    yield Line(f"    → specrunner logs {run.id[:8]}", "remedy")
    yield Line()


def goes_on_lines(run: RunView) -> Iterator[Line]:
    """What to know of a run that this process no longer waits for."""
    yield Line(harmless(f"The run of {run.task} goes on without this process; it is {run.status}."), "warning")
    yield Line(f"    → `specrunner logs {run.id[:8]}` shows it; `specrunner apply` waits for it again.", "remedy")
    yield Line()


def left_words(outcome: Outcome) -> str:
    """What was not begun, though nothing it needs had failed; empty where it is nothing."""
    left = len(outcome.left)
    if not left:
        return ""
    return f"{counted(left, 'step')} {'was' if left == 1 else 'were'} not begun; `specrunner apply` goes on."


def _left(outcome: Outcome) -> Iterator[Line]:
    words = left_words(outcome)
    if words:
        yield Line(words, "warning")
        yield Line()


def outcome_summary(outcome: Outcome) -> str:
    """`Applied: 5 done, 1 failed (1 stale), 2 skipped; 1 run did not succeed; 1 run goes on.`"""
    counts = [f"{len(found)} {fate}{_stale(found)}" for fate in Fate if (found := outcome.with_fate(fate))]
    word = "Interrupted" if outcome.interrupted else "Applied"
    bad = len(outcome.unsuccessful_runs)
    open_ = sum(step.run is not None and not step.run.status.ended for step in outcome.steps)
    runs = [f"{counted(bad, 'run')} did not succeed"] if bad else []
    runs += [f"{counted(open_, 'run')} {'goes' if open_ == 1 else 'go'} on"] if open_ else []
    return f"{word}: {'; '.join([', '.join(counts) or 'nothing to do', *runs])}."


def _stale(steps: Sequence[StepOutcome]) -> str:
    count = sum(step.stale for step in steps)
    return f" ({count} stale)" if count else ""
