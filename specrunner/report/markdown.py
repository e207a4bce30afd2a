"""Plans and outcomes in Markdown, for pull requests: a summary table first, the details of each object folded.

A plan that was cut (`comments`) can't be approved, since nobody has seen all of it. Values are never cut inside.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from specrunner.core.diff import FieldChange
from specrunner.core.errors import Diagnostic
from specrunner.core.fields import Action
from specrunner.core.keys import Key
from specrunner.core.outcome import Fate, Outcome, RunView, StepOutcome
from specrunner.core.plan import FileChange, Fires, Notice, Plan, Step
from specrunner.core.textdiff import NOTHING, Block, Inline, Shown, shown
from specrunner.core.textlines import Mark
from specrunner.core.values import JsonObject
from specrunner.report.changes import diff_body, drifted, field_name, line_text, put_back, user_words
from specrunner.report.comments import LIMIT, Comment, Part, folded
from specrunner.report.escaping import code, fenced, prose
from specrunner.report.outcomes import LOG_LINES, left_words, outcome_summary, restored_words, step_words
from specrunner.report.words import (
    SOMEBODY_ELSE,
    instants,
    plan_summary,
    remarks_of,
    restores_text,
    runs_beside,
    symbol_of,
)

PLAN_HEADER: Final = "specrunner-plan"
OUTCOME_HEADER: Final = "specrunner-outcome"
NO_MORE: Final[JsonObject] = {}
_MOST_USERS: Final = 50
_MARKS: Final = {Mark.SAME: " ", Mark.ADDED: "+", Mark.REMOVED: "-", Mark.GAP: "@@"}


def plan_markdown(
    plan: Plan,
    warnings: Iterable[Diagnostic] = (),
    *,
    more: JsonObject = NO_MORE,
    whole: bool = True,
    limit: int = LIMIT,
) -> str:
    """The plan, shorter than `limit` characters, with its hash; its first line is JSON for machines in a comment.

    `warnings` are what else to know before it is approved: that the brake will refuse it. `more` goes into the line for
    machines; a plan that is not `whole`, because something could not be planned, can't be approved.
    """
    return Comment(
        name=PLAN_HEADER,
        header={"version": plan.version, **_identity(plan), **more},
        head=[_title("Plan for", plan), "", f"**{prose(plan_summary(plan))}**", "", *_introduction(plan)],
        columns="| | object | action | why |\n|---|---|---|---|",
        parts=[Part(_row(step), _details(step)) for step in plan.steps],
        notices=[*map(warning_line, warnings), *map(_notice, plan.notices)],
        cut="A plan that was cut can't be approved here; `specrunner plan` shows all of it.",
        whole=whole,
    ).text(limit)


def _identity(plan: Plan) -> dict[str, str]:
    return {"project": plan.project, "environment": plan.environment, "hash": plan.hash}


def _title(words: str, plan: Plan) -> str:
    return f"### {words} {code(plan.project)}, environment {code(plan.environment)}"


def _introduction(plan: Plan) -> Iterator[str]:
    restores = restores_text(plan)
    if restores:
        yield from (f"↻ {prose(restores)}", "")
    counts = [f"| {action} | {count} |" for action, count in plan.counts().items()]
    if plan.blocked:
        counts.append(f"| **blocked** | **{len(plan.blocked)}** |")
    if counts:
        yield from ("| action | objects |", "|---|--:|", *counts, "")
        yield from (f"Hash {code(plan.hash)}; `specrunner apply --expect HASH` applies this plan and no other.", "")


def _row(step: Step) -> str:
    action = "rename" if step.renamed_from is not None and step.action is Action.UPDATE else str(step.action)
    runs = " ▶ runs once" if runs_beside(step) else ""
    why = prose(step.reason)
    if step.renamed_from is not None:
        why = f"renamed from {code(str(step.renamed_from))}; {why}"
    if step.blocked_by:
        why = f"{why}<br>**blocked: {prose(step.blocked_by)}**"
    return f"| {symbol_of(step)[0]} | {code(str(step.key))} | {action}{runs} | {why} |"


def warning_line(found: Diagnostic) -> str:
    """A problem as an entry of a list."""
    more = prose(f"{found.detail} {found.remedy}")
    return f"- ⚠ **{prose(f'{found.severity}: {found.summary}')}** {more}".rstrip()


def _notice(notice: Notice) -> str:
    typed = notice.remedy.startswith("specrunner ")  # a command, or else a sentence
    remedy = f" → {code(notice.remedy) if typed else prose(notice.remedy)}" if notice.remedy else ""
    return f"- ⚠ {code(str(notice.key))}: {prose(notice.text)}{remedy}"


def _details(step: Step) -> str:
    """The folded part of a step; empty where there is nothing to see but its row."""
    body = [*_changes(step.changes), *_files(step.files), *_fires(step.fires), *_users(step)]
    remarks = "".join(f" ({prose(remark)})" for remark in remarks_of(step))
    return folded(f"{symbol_of(step)[0]} {code(str(step.key))}{remarks}", body) if body else ""


def _changes(changes: Sequence[FieldChange]) -> Iterator[str]:
    ours = [change for change in changes if not change.drift]
    theirs = [change for change in changes if drifted(change)]
    if ours:
        entries = ((change, shown(change.old, change.new), change.reason) for change in ours)
        yield from fenced(entry_lines(entries), "diff")
    if theirs:
        entries = ((change, shown(change.old, change.live), put_back(change)) for change in theirs)
        yield from ("", f"**{SOMEBODY_ELSE}**", "", *fenced(entry_lines(entries), "diff"))


def entry_lines(entries: Iterable[tuple[FieldChange, Sequence[Shown], str]]) -> Iterator[str]:
    """The lines of a diff: per change how it is shown, and why."""
    for change, found, reason in entries:
        for number, entry in enumerate(found):
            yield f"@@ {field_name(change.path, entry.path)} @@{'' if number else f' {reason}'}".rstrip()
            yield from _body(entry)


def _body(entry: Shown) -> Iterator[str]:
    if isinstance(entry, Block):
        yield from (f"{_MARKS[line.mark]} {line_text(line)}" for line in entry.lines)
    elif isinstance(entry, Inline):
        # A literal text is in quotes, so that these two are nothing but the signs for nothing.
        yield from ([] if entry.old == NOTHING else [f"- {entry.old}"])
        yield from ([] if entry.new == NOTHING else [f"+ {entry.new}"])
    else:
        yield f"! {entry.text}"


def _files(files: Sequence[FileChange]) -> Iterator[str]:
    if files:
        yield from ("", "Files of the bundle:")
    for file in files:
        yield from ("", f"{code(file.path)} {file.edit}:" if file.diff else f"{code(file.path)} {file.edit}")
        body = diff_body(file.diff)
        if body:
            yield from ("", *fenced(body, "diff"))


def _fires(fires: Fires | None) -> Iterator[str]:
    if fires is None:
        return
    before, after = (", ".join(instants(found)) for found in (fires.before, fires.after))
    yield ""
    if before:
        yield f"- next fires before (UTC): {prose(before)}"
    yield f"- next fires{' after' if before else ''} (UTC): {prose(after or NOTHING)}"


def _users(step: Step) -> Iterator[str]:
    if step.used_by:
        more = len(step.used_by) - _MOST_USERS
        shown_ = ", ".join(_user(key) for key in step.used_by[:_MOST_USERS])
        yield from ("", f"Used by {shown_}{f' and {more} more' if more > 0 else ''}.")


def _user(key: Key) -> str:
    return user_words(key).replace(str(key), code(str(key)))


def outcome_markdown(outcome: Outcome, *, limit: int = LIMIT) -> str:
    """What became of a plan, in the same form and shorter than `limit`.

    Failures and the logs of runs that did not succeed are folded.
    """
    plan = outcome.plan
    known = {**_identity(plan), "exit_code": outcome.exit_code}
    return Comment(
        name=OUTCOME_HEADER,
        header={"version": plan.version, **known},
        head=[_title("Apply of", plan), "", *_outcome_head(outcome)],
        columns="| | object | what became of it |\n|---|---|---|",
        parts=[_outcome_part(step) for step in outcome.steps],
        notices=[*map(warning_line, outcome.problems)],
        cut="`specrunner apply --json` tells all of it.",
    ).text(limit)


def _outcome_head(outcome: Outcome) -> Iterator[str]:
    yield from (f"**{prose(outcome_summary(outcome))}**", "")
    for words in (*restored_words(outcome), left_words(outcome)):
        if words:
            yield from (prose(words), "")


def _outcome_part(step: StepOutcome) -> Part:
    sign, words, _ = step_words(step)
    row = f"| {sign} | {code(str(step.step.key))} | {prose(words)} |"
    body = [*_problem(step), *(_trouble(step.run) if step.run is not None else ())]
    return Part(row, folded(f"{sign} {code(str(step.step.key))}", body) if body else "")


def _problem(step: StepOutcome) -> Iterator[str]:
    if step.fate is Fate.FAILED and step.problem is not None:
        texts = (step.problem.summary, *step.problem.detail.splitlines(), *step.problem.remedy.splitlines())
        yield from fenced(texts)


def _trouble(run: RunView) -> Iterator[str]:
    if run.status.ended and not run.succeeded:
        yield from fenced([*run.detail.splitlines(), *run.log_tail[-LOG_LINES:]])
        yield from ("", prose(f"`specrunner logs {run.id[:8]}`"))
