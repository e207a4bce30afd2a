"""Lines with styles: what renderers give and the command line prints, with or without colour."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Line:
    """One line of output; `style` is a name that the terminal side maps to colours, empty for plain."""

    text: str = ""
    style: str = ""


def counted(count: int, noun: str) -> str:
    """`1 step`, `2 steps`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"
