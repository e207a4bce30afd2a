"""Plans as text: a block per step, then one line that sums up. Outcomes are in `outcomes`, and named here too."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from specrunner.core.diff import FieldChange
from specrunner.core.keys import Key
from specrunner.core.plan import Notice, Plan, Step
from specrunner.report.changes import (
    WIDEST,
    change_lines,
    drift_of_step,
    file_lines,
    fires_lines,
    found_lines,
    users_lines,
)
from specrunner.report.diagnostics import harmless, remedy_lines
from specrunner.report.lines import Line, counted
from specrunner.report.outcomes import goes_on_lines, outcome_lines, outcome_summary, step_ended_line
from specrunner.report.words import (
    SOMEBODY_ELSE,
    plan_summary,
    remarks_of,
    restores_text,
    run_words,
    runs_beside,
    symbol_of,
)

__all__ = [
    "drift_lines",
    "goes_on_lines",
    "hash_line",
    "outcome_lines",
    "outcome_summary",
    "plan_lines",
    "plan_summary",
    "run_words",
    "step_ended_line",
]


def plan_lines(plan: Plan, width: int = WIDEST) -> Iterator[Line]:
    """The whole plan; values and changed lines are cut to `width` characters. An empty one says so in a line."""
    restores = restores_text(plan)
    if restores:
        yield Line(f"  ↻ {restores}", "run")
    for step in plan.steps:
        yield from _step(step, width)
    for notice in plan.notices:
        yield from _notice(notice)
    if restores or plan.steps or plan.notices:
        yield Line()
    yield Line(plan_summary(plan), "bold")


def hash_line(plan: Plan) -> Line:
    """What to type to approve exactly this plan: for the end of `plan`, where there is anything to apply."""
    return Line(f"Hash: {plan.hash} (`specrunner apply --expect HASH` applies this plan and no other)", "dim")


def _notice(notice: Notice) -> Iterator[Line]:
    yield Line(harmless(f"  ! {notice.key}: {notice.text}"), "warning")
    for line in remedy_lines(notice.remedy):
        yield Line(f"  {line.text}", line.style)


def _step(step: Step, width: int) -> Iterator[Line]:
    symbol, style = symbol_of(step)
    yield Line(harmless(f"  {symbol} {step.key}{_suffix(step)}"), style)
    if not _told_by_a_change(step):
        yield Line(f"      {harmless(step.reason)}", "dim")
    for change in step.changes:
        if not change.drift:
            yield from change_lines(change, width)
    yield from drift_of_step(step.changes, width)
    yield from file_lines(step.files, width)
    if step.fires is not None:
        yield from fires_lines(step.fires)
    if step.used_by:
        yield from users_lines(step.used_by, width)
    if step.blocked_by:
        yield Line(harmless(f"      blocked: {step.blocked_by}"), "warning")


def _told_by_a_change(step: Step) -> bool:
    """Whether the reason of the step is that of one of its fields, below which it stands."""
    return any(step.reason == f"{change.path}: {change.reason}" for change in step.changes)


def _suffix(step: Step) -> str:
    remarks = "".join(f"  ({remark})" for remark in remarks_of(step))
    return f"{remarks}  ▶ runs once" if runs_beside(step) else remarks


def drift_lines(
    found: Mapping[Key, Sequence[FieldChange]], missing: Iterable[Key] = (), width: int = WIDEST
) -> Iterator[Line]:
    """Only what differs from what was applied: changed fields by object, and the objects that are gone.

    A `FieldChange` says here what was applied (`old`) and what is there now (`live`).
    """
    gone = sorted(set(missing))
    changed = {key: changes for key, changes in sorted(found.items()) if changes and key not in gone}
    if not changed and not gone:
        yield Line("No drift: what is live is what was applied.", "bold")
        return
    yield Line(SOMEBODY_ELSE, "warning")
    for key, changes in changed.items():
        yield Line(harmless(f"  ~ {key}"), "change")
        for change in changes:
            yield from found_lines(change, width)
    for key in gone:
        yield Line(harmless(f"  - {key}"), "delete")
        yield Line("      it is not on the target any more", "dim")
    yield Line()
    yield Line(f"Drift: {_drift_counts(changed, gone)}. `specrunner plan` shows what apply would do about it.", "bold")


def _drift_counts(changed: Mapping[Key, Sequence[FieldChange]], gone: Sequence[Key]) -> str:
    counts = [f"{counted(len(changed), 'object')} changed"] if changed else []
    return ", ".join([*counts, *([f"{counted(len(gone), 'object')} gone"] if gone else [])])
