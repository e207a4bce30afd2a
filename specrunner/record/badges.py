"""Badges: a small picture for each task and one for the environment, as files of their own that need no server."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Final

from specrunner.core.keys import Key
from specrunner.core.lifecycle import RunState
from specrunner.record.names import to_file_name

WHOLE: Final = "badge.svg"
_MARK: Final = "<!-- specrunner -->"
_GOOD, _BAD, _BUSY, _QUIET = "#2e7d32", "#c62828", "#1565c0", "#616161"
_COLOURS: Final = {RunState.SUCCESS: _GOOD, RunState.RUNNING: _BUSY, RunState.PENDING: _BUSY, RunState.SKIPPED: _QUIET}
_LETTER: Final = 6.6  # pixels of a letter at eleven, on the average
_LONGEST: Final = 40  # characters of a label


def badge_path(task: Key) -> str:
    """Where the badge of a task lies, below the environment's folder."""
    return f"badges/{to_file_name(task.workspace)}/{to_file_name(task.name)}.svg"


def is_badge(path: str, data: bytes) -> bool:
    """Whether this is a badge that we made."""
    return (path == WHOLE or path.startswith("badges/")) and _MARK.encode() in data[:400]


def task_badge(task: Key, status: str) -> bytes:
    """The badge of a task by the status of its last run, empty where it never ran."""
    return _svg(task.name, status or "never ran", _colour(status))


def whole_badge(environment: str, statuses: Iterable[str]) -> bytes:
    """The badge of an environment, by the statuses of its tasks' last runs."""
    told = [status for status in statuses if status]
    bad = sum(_colour(status) == _BAD for status in told)
    if not told:
        return _svg(environment, "no runs", _QUIET)
    return _svg(environment, f"{bad} of {len(told)} failing" if bad else "all runs well", _BAD if bad else _GOOD)


def _colour(status: str) -> str:
    return _COLOURS.get(RunState(status), _BAD) if status in set(RunState) else _QUIET


def _svg(label: str, word: str, colour: str) -> bytes:
    label = label if len(label) <= _LONGEST else f"{label[: _LONGEST - 1]}…"
    left, right = (round(len(text) * _LETTER) + 12 for text in (label, word))
    name, said = escape(label), escape(word)
    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="20" role="img" aria-label="{name}: {said}">
{_MARK}
<title>{name}: {said}</title>
<rect width="{left}" height="20" fill="#424242"/><rect x="{left}" width="{right}" height="20" fill="{colour}"/>
<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11" text-anchor="middle">
<text x="{left / 2:g}" y="14">{name}</text><text x="{left + right / 2:g}" y="14">{said}</text>
</g>
</svg>
""".encode()
