"""A comment for a pull request, short enough for GitHub: what is too long is left out object by object, and counted.

GitHub takes 65,536 characters of a comment, and 1 MiB of a job's summary. The first line is a comment with JSON for
machines; its `complete` is false where something was left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from specrunner.core.values import JsonObject
from specrunner.report.escaping import comment
from specrunner.report.lines import counted

LIMIT: Final = 65_536
_KEPT_FREE: Final = 500  # for the words about what was left out


@dataclass(frozen=True, slots=True)
class Part:
    """What a comment says of one object: a row of the table, and a folded part, empty where the row says all."""

    row: str
    details: str = ""


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment before it is cut. `name` and `header` are for machines, `cut` is the sentence that a cut one ends with.

    `whole` is false where something is missing before anything is cut. `columns` heads the table of the parts' rows;
    `notices` are lines below it.
    """

    name: str
    header: JsonObject
    head: Sequence[str]
    columns: str
    parts: Sequence[Part]
    notices: Sequence[str]
    cut: str
    whole: bool = True

    def text(self, limit: int = LIMIT) -> str:
        """The Markdown, shorter than `limit`: all rows that fit, then the notices, then folded parts in their order."""
        room = Room(limit - _KEPT_FREE - size("\n".join([comment(self.name, self._header(False)), *self.head])))
        room.take(self.columns)
        rows = [part for part in self.parts if room.take(part.row)]
        notices = [notice for notice in self.notices if room.take(notice)]
        details = [part.details for part in rows if part.details and room.take(part.details)]
        left_out = len(self.parts) - len(rows) + sum(bool(part.details) for part in rows) - len(details)
        silent = len(self.notices) - len(notices)
        table = [self.columns, *(part.row for part in rows), ""] if rows else []
        lines = [comment(self.name, self._header(not left_out and not silent)), *self.head, *table, *notices]
        return (
            "\n".join([*lines, *([""] if notices else []), *details, *self._cut(left_out, silent, limit)]).rstrip("\n")
            + "\n"
        )

    def _header(self, complete: bool) -> JsonObject:
        return {**self.header, "complete": complete and self.whole}

    def _cut(self, left_out: int, silent: int, limit: int) -> Iterable[str]:
        counts = [counted(left_out, "object")] if left_out else []
        counts += [counted(silent, "notice")] if silent else []
        if counts:
            yield f"**Left out, for there is room for {limit:,} characters only: {' and '.join(counts)}.** {self.cut}"


class Room:
    """How many characters are left; what does not fit is refused, what is shorter may still come in."""

    def __init__(self, characters: int) -> None:
        self._left = characters

    def take(self, text: str) -> bool:
        """Whether the text, with a line feed, had room."""
        needed = size(text) + 1
        if needed > self._left:
            return False
        self._left -= needed
        return True


def size(text: str) -> int:
    """Characters as a browser counts them: those beyond the basic plane are two."""
    return len(text) + sum(char > "\uffff" for char in text)


def folded(summary: str, body: Iterable[str]) -> str:
    """A part that opens with a click, with an empty line behind it; `summary` is HTML."""
    inner = "\n".join(body).strip("\n")
    return f"<details><summary>{summary}</summary>\n\n{inner}\n\n</details>\n"
