"""Mistakes in the YAML itself, before any schema is asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from specrunner.spec.mistakes import Mistake


@dataclass(frozen=True, slots=True)
class Fault:
    """A mistake in the YAML itself; line and column count from 1, `code` is one of `Mistake`."""

    line: int
    column: int
    summary: str
    detail: str = ""
    remedy: str = ""
    code: str = ""


def merge_conflict(text: str, offset: int) -> Fault:
    """A conflict marker at this offset of the text."""
    return Fault(
        text.count("\n", 0, offset) + 1,
        1,
        "a merge conflict was left in the file",
        "Git wrote both sides of a conflict between `<<<<<<<` and `>>>>>>>`.",
        "Keep the side you want, and delete the three marker lines.",
        Mistake.MERGE_CONFLICT,
    )


def tab_fault(lines: Sequence[str], line: int) -> Fault | None:
    """A tab in the indentation of this line, counted from 1; None where there is none."""
    found = lines[line - 1] if line <= len(lines) else ""
    indent = found[: len(found) - len(found.lstrip())]
    if "\t" not in indent:
        return None
    return Fault(
        line,
        indent.index("\t") + 1,
        "a tab is used for indentation",
        "YAML allows only spaces before the first character of a line.",
        "Replace the tab by two spaces.",
        Mistake.TAB,
    )
