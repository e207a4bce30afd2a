"""How two values are shown as a difference: a small tree that renderers print, and that knows nothing of printing.

Mappings are compared path by path, lists item by item in their order, long text line by line, and JSON inside a
string as the value that it says. YAML inside a string is text like any other: core reads none.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from specrunner.core.diff import HIDDEN, SECRET
from specrunner.core.textlines import DiffLine, Mark, unified
from specrunner.core.values import Json, Secret, canonical, short_sha

LONG: Final = 100  # characters; longer text is not shown beside its successor but below it
NOTHING: Final = "(none)"
_SHA: Final = re.compile("[0-9a-f]{64}")


class Form(StrEnum):
    """What the lines of a block are."""

    TEXT = "text"  # lines
    LIST = "list"  # items, as JSON


@dataclass(frozen=True, slots=True)
class Inline:
    """A short value became another: both as text, at a dotted path below the field, empty for the field itself."""

    path: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Block:
    """A long text or a list became another."""

    path: str
    form: Form
    lines: tuple[DiffLine, ...]


@dataclass(frozen=True, slots=True)
class Said:
    """A sentence in place of two values that are not shown or would look the same."""

    path: str
    text: str


Shown = Inline | Block | Said


class _Absent:
    """Stands for a field that is not there, which is not the same as null."""


_ABSENT: Final = _Absent()


def shown(old: Json, new: Json) -> tuple[Shown, ...]:
    """What to show of a change from `old` to `new`, at least one entry; None stands for absent."""
    before, after = (_ABSENT if value is None else value for value in (old, new))
    if _hidden(before) and _hidden(after):
        return (Said("", f"{SECRET} changed"),)
    return tuple(_differences("", before, after)) or (Inline("", text_of(old), text_of(new)),)


def text_of(value: Json) -> str:
    """A value on one line, as JSON that people can read; None is `(none)`, a secret says that it is one."""
    return _text(_ABSENT if value is None else value)


def _text(value: Json) -> str:
    if value is _ABSENT:
        return NOTHING
    if _hidden(value):
        return HIDDEN if value == HIDDEN else SECRET
    # By way of the canonical text: whole floats become integers, tuples lists.
    return json.dumps(_shortened(json.loads(canonical(value))), ensure_ascii=False, sort_keys=True)


def _shortened(value: Json) -> Json:
    """The value with shas as people see them, since nobody compares 64 digits by eye; names in mappings stay."""
    if isinstance(value, str):
        return short_sha(value) if _SHA.fullmatch(value) else value
    if isinstance(value, dict):
        return {name: _shortened(item) for name, item in value.items()}
    return [_shortened(item) for item in value] if isinstance(value, list) else value


def _hidden(value: Json) -> bool:
    return isinstance(value, Secret) or (isinstance(value, str) and value in {HIDDEN, SECRET})


def _differences(path: str, old: Json, new: Json) -> Iterator[Shown]:
    if _same(old, new):
        return
    before, after = _as_mappings(old, new)
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for name in sorted({*before, *after}):
            below = f"{path}.{name}" if path else str(name)
            yield from _differences(below, before.get(name, _ABSENT), after.get(name, _ABSENT))
    elif isinstance(old, list | tuple) and isinstance(new, list | tuple):
        yield from _lists(path, old, new)
    elif isinstance(old, str) and isinstance(new, str):
        yield from _strings(path, old, new)
    else:
        yield _scalar(path, old, new)


def _same(old: Json, new: Json) -> bool:
    if old is _ABSENT or new is _ABSENT:
        return old is new
    if _hidden(old) or _hidden(new):
        return _hidden(old) and _hidden(new)
    return canonical(old) == canonical(new)


def _as_mappings(old: Json, new: Json) -> tuple[Json, Json]:
    """Where one is absent and the other a mapping too long for a line, the absent one as an empty mapping."""
    if old is _ABSENT and isinstance(new, Mapping) and len(_text(new)) > LONG:
        return {}, new
    if new is _ABSENT and isinstance(old, Mapping) and len(_text(old)) > LONG:
        return old, {}
    return old, new


def _scalar(path: str, old: Json, new: Json) -> Shown:
    """Two values of different types, or one that is absent; text of several lines is shown as such."""
    lines = [*_lines_of(old, Mark.REMOVED), *_lines_of(new, Mark.ADDED)]
    if any(isinstance(value, str) and "\n" in value for value in (old, new)):
        return Block(path, Form.TEXT, tuple(lines))
    return Inline(path, _text(old), _text(new))


def _lines_of(value: Json, mark: Mark) -> list[DiffLine]:
    if value is _ABSENT:
        return []
    texts = value.split("\n") if isinstance(value, str) and not _hidden(value) else [_text(value)]
    return [DiffLine(mark, text) for text in texts]


def _lists(path: str, old: Sequence[Json], new: Sequence[Json]) -> Iterator[Shown]:
    pairs = [(index, *pair) for index, pair in enumerate(zip(old, new, strict=False)) if not _same(*pair)]
    if len(old) == len(new) and all(_nested(before) and _nested(after) for _, before, after in pairs):
        for index, before, after in pairs:
            yield from _differences(f"{path}[{index}]", before, after)
    else:
        yield Block(path, Form.LIST, unified([*map(_item, old)], [*map(_item, new)]))


def _item(value: Json) -> str:
    return "null" if value is None else _text(value)


def _nested(value: Json) -> bool:
    return isinstance(value, Mapping | list | tuple)


def _strings(path: str, old: str, new: str) -> Iterator[Shown]:
    structured = _inside(path, old, new)
    if structured is not None:
        yield from structured
    elif "\n" in old or "\n" in new or max(len(old), len(new)) > LONG:
        ended = old.endswith("\n") and new.endswith("\n")  # else the last line feed is part of the difference
        before, after = (text[:-1] if ended else text for text in (old, new))
        yield Block(path, Form.TEXT, unified(before.split("\n"), after.split("\n")))
    else:
        yield Inline(path, _text(old), _text(new))


def _inside(path: str, old: str, new: str) -> list[Shown] | None:
    """The difference of the JSON in two strings; None where one of them is not a mapping or list in JSON."""
    try:
        before, after = _parsed(old), _parsed(new)
        if type(before) is not type(after):
            return None
        found = list(_differences(f"{path} (JSON)".lstrip(), before, after))
    except (ValueError, RecursionError):
        return None
    return found or [Said(path, "the same JSON, written otherwise")]


def _parsed(text: str) -> Json:
    """Raises ValueError for what is no mapping or list in JSON, or would lose something by being read."""
    value = json.loads(text, object_pairs_hook=_unique, parse_constant=_refused) if text.strip()[:1] in "{[" else None
    if value is None:
        raise ValueError("no JSON")
    canonical(value)  # refuses numbers beyond a float
    return value


def _unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice in a mapping")
    return found


def _refused(name: str) -> Json:
    raise ValueError(f"{name} is no JSON")
