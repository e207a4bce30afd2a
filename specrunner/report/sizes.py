"""Sizes and ages as people write them."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from specrunner.core.values import format_duration

_UNITS: Final = ("KiB", "MiB", "GiB", "TiB")
_STEP: Final = 1024


def size(count: int) -> str:
    """A number of bytes, `1.5 GiB` for instance; below ten with one decimal."""
    if count < _STEP:
        return f"{count} B"
    value, unit = count / _STEP, _UNITS[0]
    for unit in _UNITS:
        if round(value) < _STEP or unit == _UNITS[-1]:
            break
        value /= _STEP
    return f"{value:.1f} {unit}" if value < 9.95 else f"{value:.0f} {unit}"


def ago(age: timedelta) -> str:
    """How long ago, in its largest unit: `3d ago`; a moment of the future, by a clock that was set, is just now."""
    seconds = age.total_seconds()
    for unit in (86_400, 3_600, 60):
        if seconds >= unit:
            return f"{format_duration(seconds // unit * unit)} ago"
    return "just now"
