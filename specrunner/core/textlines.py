"""Lines of two texts, or items of two lists, matched with each other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import StrEnum
from typing import Final

_CONTEXT: Final = 3  # lines around a change that stay the same, as `diff -u` has them
_MOST_LINES: Final = 2_000  # that differ; more are not matched with each other, which costs the square of them


class Mark(StrEnum):
    """What became of a line or an item."""

    SAME = "same"
    ADDED = "added"
    REMOVED = "removed"
    GAP = "gap"  # stands for lines that are the same


@dataclass(frozen=True, slots=True)
class DiffLine:
    """One line of a text, or one item of a list; never with a line feed inside."""

    mark: Mark
    text: str


def unified(old: Sequence[str], new: Sequence[str]) -> tuple[DiffLine, ...]:
    """The lines of both, those that are the same only around a change."""
    head = _common(old, new)
    tail = _common(old[head:][::-1], new[head:][::-1])
    middle = _matched(old[head : len(old) - tail], new[head : len(new) - tail])
    above = [DiffLine(Mark.SAME, text) for text in old[:head]]
    below = [DiffLine(Mark.SAME, text) for text in old[len(old) - tail :]]
    return tuple(_without_middle([*above, *middle, *below]))


def _common(old: Sequence[str], new: Sequence[str]) -> int:
    count = 0
    for before, after in zip(old, new, strict=False):
        if before != after:
            break
        count += 1
    return count


def _matched(old: Sequence[str], new: Sequence[str]) -> Iterator[DiffLine]:
    if max(len(old), len(new)) > _MOST_LINES:
        yield from (DiffLine(Mark.REMOVED, text) for text in old)
        yield from (DiffLine(Mark.ADDED, text) for text in new)
        return
    for tag, begin, end, begin_new, end_new in SequenceMatcher(None, old, new).get_opcodes():
        if tag == "equal":
            yield from (DiffLine(Mark.SAME, text) for text in old[begin:end])
        else:
            yield from (DiffLine(Mark.REMOVED, text) for text in old[begin:end])
            yield from (DiffLine(Mark.ADDED, text) for text in new[begin_new:end_new])


def _without_middle(lines: Sequence[DiffLine]) -> Iterator[DiffLine]:
    """The lines, with a gap in place of what is further from a change than the context."""
    near = {
        index + offset
        for index, line in enumerate(lines)
        if line.mark is not Mark.SAME
        for offset in range(-_CONTEXT, _CONTEXT + 1)
    }
    left_out = 0
    for index, line in enumerate(lines):
        if index not in near:
            left_out += 1
            continue
        yield from _gap(left_out)
        left_out = 0
        yield line
    yield from _gap(left_out)


def _gap(count: int) -> Iterator[DiffLine]:
    if count:
        yield DiffLine(Mark.GAP, f"{count} unchanged")


def fitted(lines: Iterable[DiffLine], width: int) -> Iterator[DiffLine]:
    """The lines, each cut to `width` characters; of a changed line the part around the change is kept."""
    removed: list[DiffLine] = []
    for line in lines:
        if line.mark is Mark.REMOVED:
            removed.append(line)
            continue
        if line.mark is Mark.ADDED and removed and len(removed) == 1:
            before, after = _excerpts(removed[0].text, line.text, width)
            yield from (DiffLine(Mark.REMOVED, before), DiffLine(Mark.ADDED, after))
        else:
            yield from (DiffLine(one.mark, cut(one.text, width)) for one in (*removed, line))
        removed = []
    yield from (DiffLine(one.mark, cut(one.text, width)) for one in removed)


def cut(text: str, width: int) -> str:
    """The text, or its beginning with an ellipsis, in at most `width` characters."""
    return text if len(text) <= width else f"{text[: width - 1]}…"


def _excerpts(old: str, new: str, width: int) -> tuple[str, str]:
    """Both texts in at most `width` characters each, from shortly before the first character that differs."""
    if max(len(old), len(new)) <= width:
        return old, new
    # The change after a third of the width, but no room left empty behind the end of the longer text.
    start = max(0, min(_common(old, new) - width // 3, max(len(old), len(new)) - width + 1))
    lead = "…" if start else ""
    return cut(lead + old[start:], width), cut(lead + new[start:], width)
