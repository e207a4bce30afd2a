"""Diagnostics as people read them, and as JSON.

What stands in a file may come from a stranger: characters that would command the terminal or turn the direction of
its text are shown as symbols, and of a very long line only the part around the mistake.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from specrunner.core.errors import Diagnostic, Severity
from specrunner.core.values import Json
from specrunner.report.lines import Line, counted

_WIDTH: Final = 160  # characters of a source line that are shown
_SYMBOLS: Final = {
    **{code: chr(0x2400 + code) for code in range(0x20) if chr(code) != "\t"},  # the pictures of control characters
    0x7F: "\u2421",
    # Halves of a surrogate pair can't be encoded; the others steer a terminal or turn the direction of its text.
    **dict.fromkeys(range(0xD800, 0xE000), "\ufffd"),
    **dict.fromkeys((*range(0x80, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x2028, 0x2029), "\ufffd"),
}


def diagnostic_lines(problems: Iterable[Diagnostic]) -> Iterator[Line]:
    """Every problem: place and summary, the offending line with a caret, what was found, how to mend it."""
    for problem in problems:
        yield from _lines(problem)


def harmless(text: str) -> str:
    """The text with one visible symbol for each control character but the tab."""
    return text.translate(_SYMBOLS)


def _lines(problem: Diagnostic) -> Iterator[Line]:
    style = "error" if problem.severity is Severity.ERROR else "warning"
    place = f"{problem.place}: " if problem.place else ""
    yield Line(harmless(f"{place}{problem.severity}: {problem.summary}"), style)
    yield from _source(problem)
    for text in problem.detail.splitlines():
        yield Line(f"    {harmless(text)}")
    for place_ in problem.related:
        yield Line(harmless(f"    see also {place_}"), "dim")
    yield from remedy_lines(problem.remedy)
    yield Line()


def remedy_lines(remedy: str) -> Iterator[Line]:
    """What to do, behind an arrow; none where the remedy is empty. Further lines stand below its first word."""
    for number, text in enumerate(remedy.splitlines()):
        yield Line(f"    {' ' if number else '→'} {harmless(text)}", "remedy")


def _source(problem: Diagnostic) -> Iterator[Line]:
    if not problem.source.strip():
        return
    column = problem.place.column if problem.place else 0
    start = max(0, column - _WIDTH // 2) if len(problem.source) > _WIDTH else 0
    shown = problem.source[start : start + _WIDTH]
    before = problem.source[start : max(column - 1, 0)]
    left, right = "…" if start else "", "…" if start + _WIDTH < len(problem.source) else ""
    yield Line(harmless(f"    | {left}{shown}{right}"), "dim")
    if column:
        yield Line(f"    | {' ' if start else ''}{''.join(map(_blank, before))}^", "dim")


def _blank(char: str) -> str:
    """As much space as a character takes on a terminal; a tab stays one, so that the caret stands where it should."""
    if char == "\t":
        return char
    if unicodedata.combining(char):
        return ""
    return "  " if unicodedata.east_asian_width(char) in {"W", "F"} else " "


def summary_line(problems: Sequence[Diagnostic]) -> Line:
    """How many errors and warnings there are."""
    errors = [problem for problem in problems if problem.severity is Severity.ERROR]
    warnings = counted(len(problems) - len(errors), "warning")
    if not errors:
        return Line(f"{warnings}.", "warning")
    files = {problem.place.file for problem in errors if problem.place}
    where = f" in {counted(len(files), 'file')}" if files else ""
    beside = f", {warnings}" if len(problems) > len(errors) else ""
    return Line(f"{counted(len(errors), 'problem')}{where}{beside}; nothing was changed.", "error")


def diagnostic_json(problem: Diagnostic) -> dict[str, Json]:
    """One problem as JSON; absent parts are left out."""
    found: dict[str, Json] = {"severity": str(problem.severity), "summary": problem.summary}
    for name in ("code", "detail", "remedy", "source"):
        if getattr(problem, name):
            found[name] = str(getattr(problem, name))
    if problem.place:
        found["place"] = {"file": problem.place.file, "line": problem.place.line, "column": problem.place.column}
    if problem.related:
        found["related"] = [str(place) for place in problem.related]
    return found
