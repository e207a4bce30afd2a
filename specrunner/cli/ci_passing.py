"""The steps that are commands of specrunner as they are: tick and record. What they say goes into the summary."""

from __future__ import annotations

import io
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Final, TextIO

from specrunner.cli.desk import ROOM, Desk, quiet_log
from specrunner.core.errors import SpecrunnerError, UsageError
from specrunner.core.resources import Owner
from specrunner.report.comments import size
from specrunner.report.escaping import comment, fenced

_MOST: Final = 400  # lines of what was said that are shown
_LONGEST: Final = 1_000  # characters of one of them


class _Both(io.TextIOBase):
    """Writes to a stream, and remembers it."""

    def __init__(self, stream: TextIO, kept: io.StringIO) -> None:
        self._stream, self._kept = stream, kept

    def write(self, text: str) -> int:
        """To both."""
        self._kept.write(text)
        return self._stream.write(text)

    def flush(self) -> None:
        """The stream's."""
        self._stream.flush()


def passed(desk: Desk, root: Path, environment: str | None, command: str) -> int:
    """Call the command; its status. One issue tells of a failure and is closed by the next success."""
    owner = _owner(root, environment)
    code, said = _called(root, environment, command)
    body = "\n".join(fenced(last_lines(said), "text"))
    words = f"`specrunner {command}` ended with {code}."
    desk.summary(f"### {words}\n\n{body}")
    desk.outputs(changes="", hash="", summary=words)
    name = f"specrunner-{command}"
    if not code:
        desk.close_issue(name, owner, f"{words} {desk.around.run_url}".strip())
    else:
        header = comment(name, {"version": 1, "project": owner.project, "environment": owner.environment})
        told = f"{header}\n{words} [Run]({desk.around.run_url})\n\n{body}"
        desk.open_issue(name, owner, f"specrunner {command} failed: {owner}", told)
    return code


def last_lines(said: str) -> list[str]:
    """The end of what was said, as far as an issue has room for it."""
    lines: list[str] = []
    room = ROOM
    for line in reversed(said.splitlines()[-_MOST:]):
        short = line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"
        room -= size(short) + 1
        if room < 0:
            break
        lines.append(short)
    return lines[::-1]


def _called(root: Path, environment: str | None, command: str) -> tuple[int, str]:
    from specrunner.cli.main import COMMANDS, status_of

    if command not in COMMANDS:
        raise UsageError(f"This specrunner has no `{command}`.", remedy="Give the action a newer `version`.")
    chosen = ["-e", environment] if environment else []
    kept = io.StringIO()
    with (
        quiet_log(),
        redirect_stdout(_Both(sys.stdout, kept)),
        redirect_stderr(_Both(sys.stderr, kept)),
    ):
        code = status_of(["-C", str(root), command, *chosen])
    return code, kept.getvalue()


def _owner(root: Path, environment: str | None) -> Owner:
    from specrunner.spec.desired import owner_of

    try:
        return owner_of(root, environment)
    except SpecrunnerError:
        return Owner("specs", environment or "default")  # whoever it is: the command will say what is wrong
