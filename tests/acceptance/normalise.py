"""Printed text without what differs from run to run: paths, ids, instants, durations, shas."""

from __future__ import annotations

import re
from pathlib import Path

_RULES = (
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"), "<instant>"),
    (re.compile(r"\b(Mon|Tue|Wed|Thu|Fri|Sat|Sun) \d{4}-\d\d-\d\d(?= \d\d:\d\d)"), "<day>"),
    (re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), "<id>"),
    (re.compile(r"\b[0-9a-f]{64}\b"), "<sha256>"),
    (re.compile(r"\b[0-9a-f]{6}\.\.\.[0-9a-f]{6}\b"), "<sha>"),
    (re.compile(r"\brun [0-9a-f]{8}\b"), "run <id>"),
    (re.compile(r"\blogs [0-9a-f]{8}\b"), "logs <id>"),
    (re.compile(r" \((\d+(\.\d+)?[hms])+\)$", re.MULTILINE), ""),
)


def normalised(text: str, root: Path) -> str:
    """The text with placeholders; lines of progress, which come in any order, stand sorted."""
    text = text.replace(str(root), "<repo>")
    for pattern, placeholder in _RULES:
        text = pattern.sub(placeholder, text)
    lines = text.splitlines()
    marks = [index for index, line in enumerate(lines) if line.startswith(("  ✓", "  ✗", "  ·"))]
    for index, line in zip(marks, sorted(lines[index] for index in marks), strict=True):
        lines[index] = line
    return "\n".join(lines) + "\n"
