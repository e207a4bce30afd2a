"""Printing: styles to colours, tables, a line of what runs. Clean when piped; honours NO_COLOR."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from specrunner.core.values import Json
from specrunner.report.lines import Line

if TYPE_CHECKING:
    from rich.console import Console

_STYLES = {
    "error": "red",
    "warning": "yellow",
    "remedy": "cyan",
    "dim": "dim",
    "bold": "bold",
    "create": "green",
    "change": "yellow",
    "delete": "red",
    "run": "cyan",
}


def console(*, stderr: bool = False) -> Console:
    """A console on a standard stream that neither wraps nor guesses at what to colour."""
    from rich.console import Console

    class Patient(Console):
        def on_broken_pipe(self) -> None:
            # Whoever read our output has gone (`| head`); what goes on here is not broken off for that.
            _to_nowhere(sys.stderr if stderr else sys.stdout)

    return Patient(stderr=stderr, highlight=False, soft_wrap=True, markup=False, emoji=False)


def _to_nowhere(stream: TextIO) -> None:
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        os.dup2(nowhere.fileno(), stream.fileno())


def say(lines: Iterable[Line], *, stderr: bool = False, on: Console | None = None) -> None:
    """Print lines, on a console that is open already where one is given."""
    told = list(lines)
    if on is None and _is_plain(told, stderr=stderr):
        _say_plainly(told, stderr=stderr)
        return
    stream = on or console(stderr=stderr)
    for line in told:
        stream.print(line.text, style=_STYLES.get(line.style, line.style) or None)


# What makes rich colour what is no terminal.
_FORCING = ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE")


def _is_plain(lines: Sequence[Line], *, stderr: bool) -> bool:
    """Whether a console would print just these texts: it takes as long to load as hundreds of files do to be read."""
    stream = sys.stderr if stderr else sys.stdout
    forced = any(os.environ.get(name) for name in _FORCING)
    known = (stream.encoding or "").casefold().replace("-", "") == "utf8"
    return known and not forced and not stream.isatty() and all(line.text.isprintable() for line in lines)


def _say_plainly(lines: Sequence[Line], *, stderr: bool) -> None:
    stream = sys.stderr if stderr else sys.stdout
    try:
        stream.write("".join(f"{line.text}\n" for line in lines))
        stream.flush()
    except BrokenPipeError:
        _to_nowhere(stream)


def say_json(value: Json) -> None:
    """Print JSON for scripts."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], title: str = "") -> None:
    """Print a table that keeps its columns narrow; piped, it is not cut to a terminal's width."""
    from rich.table import Table
    from rich.text import Text

    found = Table(*columns, title=title or None, box=None, pad_edge=False, header_style="bold", title_justify="left")
    for row in rows:
        found.add_row(*(Text(cell) for cell in row))
    stream = console()
    if not stream.is_terminal:
        stream.width = 10_000
    stream.print(found, soft_wrap=False)


def confirmed(question: str) -> bool:
    """Ask on the terminal; anything but y or yes is a no."""
    answer = click.prompt(f"{question} [y/N]", default="n", show_default=False)
    return str(answer).strip().lower() in {"y", "yes"}


def interactive() -> bool:
    """Whether a person sits at both ends."""
    return sys.stdin.isatty() and sys.stdout.isatty()
