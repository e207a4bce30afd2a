"""What a step tells its job through files and lines: the summary, outputs, annotations. It needs no right.

Source: https://docs.github.com/actions/reference/workflow-commands-for-github-actions
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from specrunner.core.errors import SpecrunnerError

SUMMARY_LIMIT: Final = 1024 * 1024  # bytes of one step; GitHub drops a longer one whole
_CUT: Final = "\n\n**The rest is left out: a summary has 1 MiB at most. The job's log has all of it.**\n"


def add_summary(file: Path | None, markdown: str) -> None:
    """Add to the page of the run; nothing where there is none. What would be too much is cut, and says so."""
    if file is None:
        return
    there = file.stat().st_size if file.exists() else 0
    room = SUMMARY_LIMIT - there
    data = f"{markdown.rstrip()}\n\n".encode()
    if len(data) > room:
        kept = data[: max(0, room - len(_CUT.encode()))].decode("utf-8", "ignore").rpartition("\n")[0]
        data = f"{kept}{_CUT}".encode() if room > len(_CUT.encode()) else b""
    _append(file, data)


def set_outputs(file: Path | None, values: Mapping[str, str]) -> None:
    """Give the step its outputs. A value may have lines; the delimiter is one that nobody can guess."""
    if file is None:
        return
    mark = f"specrunner-{secrets.token_hex(16)}"
    _append(file, "".join(f"{name}<<{mark}\n{value}\n{mark}\n" for name, value in values.items()).encode())


def _append(file: Path, data: bytes) -> None:
    try:
        with file.open("ab") as stream:
            stream.write(data)
    except OSError as problem:
        raise SpecrunnerError(
            f"{file} can't be written: {problem.strerror}.", remedy="GitHub names that file; look at the runner's disk."
        ) from problem


@contextmanager
def no_commands() -> Iterator[tuple[str, str]]:
    """Two lines to print: between them no line counts as a command to the runner, whoever wrote it."""
    mark = secrets.token_hex(16)
    yield f"::stop-commands::{mark}", f"::{mark}::"
