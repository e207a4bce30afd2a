"""Field changes, schedules and bundles of one step, as lines of text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import Final

from specrunner.core.diff import SECRET, FieldChange
from specrunner.core.keys import Key, Kind
from specrunner.core.plan import FileChange, Fires
from specrunner.core.textdiff import NOTHING, Block, Inline, Shown, shown, text_of
from specrunner.core.textlines import DiffLine, Mark, cut, fitted
from specrunner.report.diagnostics import harmless
from specrunner.report.lines import Line, counted
from specrunner.report.words import EDITS, SOMEBODY_ELSE, instants

WIDEST: Final = 100  # characters of a value or of a changed line that are shown
_MOST_LINES: Final = 120  # of one changed text
_MOST_FILE_LINES: Final = 40  # of one file of a bundle
_MOST_USERS: Final = 10
_SHORT: Final = 60  # characters of a value that a sentence can hold
_MARKS: Final = {
    Mark.SAME: (" ", ""),
    Mark.ADDED: ("+", "create"),
    Mark.REMOVED: ("-", "delete"),
    Mark.GAP: ("⋮", "dim"),
}
_PADDING: Final = str.maketrans({" ": "·"})


def change_lines(change: FieldChange, width: int = WIDEST) -> Iterator[Line]:
    """What the files change: old → new and why, long values below."""
    yield from _entry(change.path, shown(change.old, change.new), change.reason, " " * 6, width)


def found_lines(change: FieldChange, width: int = WIDEST) -> Iterator[Line]:
    """What somebody else has changed: applied → live, where a heading says the reason for all."""
    yield from _entry(change.path, shown(change.old, change.live), "", " " * 6, width)


def drift_of_step(changes: Sequence[FieldChange], width: int = WIDEST) -> Iterator[Line]:
    """What somebody else changed on the target, under a heading of its own, and what apply makes of it."""
    found = [change for change in changes if drifted(change)]
    if found:
        yield Line(f"      {SOMEBODY_ELSE}", "warning")
    for change in found:
        yield from _entry(change.path, shown(change.old, change.live), put_back(change), " " * 8, width)


def drifted(change: FieldChange) -> bool:
    """Whether the target has another value than what was applied."""
    return change.drift or change.live is not None


def put_back(change: FieldChange) -> str:
    """What apply makes of a field that somebody else has changed."""
    if change.new is None:
        return "apply removes it"
    wanted = "the secret" if change.new == SECRET else text_of(change.new)
    verb = "puts back" if change.drift else "sets"
    return f"apply {verb} {wanted if len(wanted) <= _SHORT else 'what is declared'}"


def field_name(field: str, below: str) -> str:
    """A field and the path below it, as one name."""
    if below.startswith("("):
        return f"{field} {below}"
    return f"{field}{'.' if below and not below.startswith('[') else ''}{below}"


def _entry(path: str, entries: Sequence[Shown], reason: str, indent: str, width: int) -> Iterator[Line]:
    why = [Line(f"{indent}  {harmless(reason)}", "dim")] if reason else []
    if len(entries) == 1 and not isinstance(entries[0], Block):
        yield from _short(path, entries[0], indent, width)
        yield from why
        return
    for number, entry in enumerate(entries):
        yield from _short(path, entry, indent, width)
        if not number:
            yield from why
        if isinstance(entry, Block):
            yield from _block(entry.lines, f"{indent}  ", width)


def _short(path: str, entry: Shown, indent: str, width: int) -> Iterator[Line]:
    name = harmless(field_name(path, entry.path))
    if isinstance(entry, Inline):
        old, new = (harmless(line.text) for line in fitted(_pair(entry), width))
        yield Line(f"{indent}{name}: {old} → {new}")
    elif isinstance(entry, Block):
        yield Line(f"{indent}{name}:")
    else:
        yield Line(f"{indent}{name}: {entry.text}")


def _pair(entry: Inline) -> tuple[DiffLine, DiffLine]:
    return DiffLine(Mark.REMOVED, entry.old), DiffLine(Mark.ADDED, entry.new)


def _block(lines: Sequence[DiffLine], indent: str, width: int) -> Iterator[Line]:
    for line in fitted(lines[:_MOST_LINES], width):
        sign, style = _MARKS[line.mark]
        yield Line(f"{indent}{sign} {line_text(line)}".rstrip(), style)
    if len(lines) > _MOST_LINES:
        yield Line(f"{indent}… {counted(len(lines) - _MOST_LINES, 'more line')}; `--json` has all of them", "dim")


def line_text(line: DiffLine) -> str:
    """The text of a line of a diff; spaces at the end of a changed one can be seen."""
    text = harmless(line.text)
    if line.mark in {Mark.SAME, Mark.GAP}:
        return text
    bare = text.rstrip(" ")
    return bare + text[len(bare) :].translate(_PADDING)


def fires_lines(fires: Fires) -> Iterator[Line]:
    """When a schedule fires next: before and after side by side, or in one line where there was none before."""
    before, after = instants(fires.before), instants(fires.after)
    if not before:
        yield Line(f"      next fires (UTC): {harmless(', '.join(after) or NOTHING)}")
        return
    yield Line("      next fires (UTC):")
    width = max(map(len, ["before", *before])) + 3
    rows = zip_longest(["before", *before], ["after", *(after or [NOTHING])], fillvalue="")
    for number, (left, right) in enumerate(rows):
        yield Line(harmless(f"        {left:<{width}}{right}".rstrip()), "" if number else "dim")


def file_lines(files: Sequence[FileChange], width: int = WIDEST) -> Iterator[Line]:
    """The files of a bundle that differ, with the changed lines of each text."""
    if files:
        yield Line("      files of the bundle:")
    for file in files:
        sign, style = EDITS[file.edit]
        yield Line(f"        {sign} {harmless(file.path)}", style)
        body = diff_body(file.diff)
        for text in body[:_MOST_FILE_LINES]:
            yield Line(f"            {harmless(cut(text, width))}".rstrip(), _diff_style(text))
        if len(body) > _MOST_FILE_LINES:
            yield Line(f"            … {counted(len(body) - _MOST_FILE_LINES, 'more line')}", "dim")


def users_lines(users: Sequence[Key], width: int = WIDEST) -> Iterator[Line]:
    """`used by: a, b`, in as many lines as it takes; of many users the first ones and how many there are."""
    words = [f"{user_words(key)}," for key in users[:_MOST_USERS]]
    more = len(users) - _MOST_USERS
    words += [f"and {more} more"] if more > 0 else []
    line = "      used by:"
    for word in [*words[:-1], words[-1].rstrip(",")]:
        if len(line) + len(word) > width and line.strip() != "used by:":
            yield Line(harmless(line))
            line = " " * 14
        line = f"{line} {word}"
    yield Line(harmless(line))


def user_words(user: Key) -> str:
    """A user as it is told; a workspace stands for the code in it, any of which may use what is attached to it."""
    return f"anything in {user}" if user.kind is Kind.WORKSPACE else str(user)


def diff_body(diff: Iterable[str]) -> list[str]:
    """The lines of a unified diff without its two headings, which name the file once more."""
    lines = [text.rstrip("\n") for text in diff]
    headed = len(lines) > 1 and lines[0].startswith("--- ") and lines[1].startswith("+++ ")
    return lines[2:] if headed else lines


def _diff_style(text: str) -> str:
    return {"+": "create", "-": "delete", "@": "dim"}.get(text[:1], "")
