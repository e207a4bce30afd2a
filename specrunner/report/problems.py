"""Why nothing could be planned or applied, in Markdown: for a comment, an issue or a job's summary."""

from __future__ import annotations

from collections.abc import Sequence

from specrunner.core.errors import Diagnostic, Severity
from specrunner.core.resources import Owner
from specrunner.report.comments import LIMIT, Comment, Part, folded
from specrunner.report.escaping import code, fenced, prose
from specrunner.report.lines import counted
from specrunner.report.markdown import PLAN_HEADER

TITLE = "Nothing could be planned"


def problems_markdown(
    owner: Owner | None,
    problems: Sequence[Diagnostic],
    *,
    name: str = PLAN_HEADER,
    title: str = TITLE,
    limit: int = LIMIT,
) -> str:
    """Every problem with its place and remedy, shorter than `limit` characters.

    The first line is JSON for machines; there is no hash in it, so that it approves nothing.
    """
    about = {"project": owner.project, "environment": owner.environment} if owner else {}
    whose = f" for {code(owner.project)}, environment {code(owner.environment)}" if owner else ""
    errors = sum(problem.severity is Severity.ERROR for problem in problems)
    return Comment(
        name=name,
        header={"version": 1, **about},
        head=[f"### {title}{whose}", "", f"**{counted(errors, 'problem')}.**", ""],
        columns="| | where | what |\n|---|---|---|",
        parts=[_part(problem) for problem in problems],
        notices=[],
        cut="`specrunner validate` shows all of it.",
        whole=False,
    ).text(limit)


def _part(problem: Diagnostic) -> Part:
    sign = "✗" if problem.severity is Severity.ERROR else "⚠"
    where = code(str(problem.place)) if problem.place else ""
    body = [*problem.detail.splitlines(), *([] if not problem.remedy else ["", *problem.remedy.splitlines()])]
    row = f"| {sign} | {where} | {prose(problem.summary)} |"
    return Part(row, folded(f"{sign} {prose(problem.summary)}", fenced(body)) if body else "")
