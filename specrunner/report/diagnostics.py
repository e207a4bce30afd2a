"""Diagnostics as people read them, and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from specrunner.core.errors import Diagnostic, Severity
from specrunner.core.values import Json
from specrunner.report.lines import Line, counted


def diagnostic_lines(problems: Iterable[Diagnostic]) -> Iterator[Line]:
    """Every problem: place and summary, the offending line with a caret, what was found, how to mend it."""
    for problem in problems:
        yield from _lines(problem)


def _lines(problem: Diagnostic) -> Iterator[Line]:
    style = "error" if problem.severity is Severity.ERROR else "warning"
    place = f"{problem.place}: " if problem.place else ""
    yield Line(f"{place}{problem.severity}: {problem.summary}", style)
    yield from _source(problem)
    for text in problem.detail.splitlines():
        yield Line(f"    {text}")
    for place_ in problem.related:
        yield Line(f"    see also {place_}", "dim")
    yield from remedy_lines(problem.remedy)
    yield Line()


def remedy_lines(remedy: str) -> Iterator[Line]:
    """What to do, behind an arrow; none where the remedy is empty. Further lines stand below its first word."""
    for number, text in enumerate(remedy.splitlines()):
        yield Line(f"    {' ' if number else '→'} {text}", "remedy")


def _source(problem: Diagnostic) -> Iterator[Line]:
    if not problem.source.strip():
        return
    yield Line(f"    | {problem.source}", "dim")
    if problem.place is not None and problem.place.column:
        # Tabs stay tabs in the margin, so that the caret stands under its character.
        before = "".join("\t" if char == "\t" else " " for char in problem.source[: problem.place.column - 1])
        yield Line(f"    | {before}^", "dim")


def summary_line(problems: list[Diagnostic]) -> Line:
    """How many there are."""
    files = {problem.place.file for problem in problems if problem.place}
    where = f" in {counted(len(files), 'file')}" if files else ""
    return Line(f"{counted(len(problems), 'problem')}{where}; nothing was changed.", "error")


def diagnostic_json(problem: Diagnostic) -> dict[str, Json]:
    """One problem as JSON; absent parts are left out."""
    found: dict[str, Json] = {"severity": str(problem.severity), "summary": problem.summary}
    for name in ("detail", "remedy", "source"):
        if getattr(problem, name):
            found[name] = getattr(problem, name)
    if problem.place:
        found["place"] = {"file": problem.place.file, "line": problem.place.line, "column": problem.place.column}
    if problem.related:
        found["related"] = [str(place) for place in problem.related]
    return found
