"""Reading the tutorials: their blocks of Python, what stands below each as its result, and what of that must come."""

from __future__ import annotations

import ast
import functools
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

from tests.sdk.environments import ROOT

_SHARED = ROOT.parent / "shared"
_BLOCK = re.compile(r"^```python\n(.*?)^```\n(.*?)(?=^```|\Z)", re.M | re.S)
_TABLE = re.compile(r"<table>.*?</table>", re.S)
_VOLATILE = (
    (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"), "UUID"),
    (re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?(\+00:00|Z)?"), "INSTANT"),
    (re.compile(r"\d{4}-\d\d-[A-Z][a-z]{2} \d\d:\d\d:\d\d"), "INSTANT"),
    (re.compile(r"datetime\.datetime\([^)]*\)"), "INSTANT"),
    (re.compile(r"\b[0-9a-f]{64}\b|\b[0-9a-f]{6}\.\.\.[0-9a-f]{6}\b"), "SHA"),
    (re.compile(r"UUID(, UUID)+"), "UUID"),
)


def shared() -> Path | None:
    """The folder with the tutorials, where it is there."""
    return _SHARED if (_SHARED / "seeds").is_dir() else None


@dataclass(frozen=True, slots=True)
class Block:
    """A block of code, and the results that are printed below it."""

    code: str
    results: tuple[str, ...]


def blocks_of(folder: Path, number: str) -> list[Block]:
    """The blocks of one tutorial, in order."""
    (path,) = (folder / "seeds").glob(f"{number}_*.txt")
    return [Block(code, tuple(_results(below))) for code, below in _BLOCK.findall(path.read_text("utf-8"))]


def _results(below: str) -> list[str]:
    tables = _TABLE.findall(below)
    rest = _TABLE.sub("", below)
    lines = [line[4:] for line in rest.splitlines() if line.startswith("    ") and line.strip()]
    words = [line for line in rest.splitlines() if line.startswith("(no ")]
    return [*tables, *lines, *words]


Fact = tuple[str, ...]


def facts_of(results: Sequence[str]) -> set[Fact]:
    """What these results say, without what is another each time: ids, instants, hashes."""
    found: set[Fact] = set()
    lines: list[str] = []
    for result in results:
        if "<table" in result:
            found |= _table_facts(_rows_of(result))
        else:
            lines.append(result)
            value = _literal("\n".join(lines))
            if value is not _NONE:
                found |= _value_facts(value)
                lines.clear()
            elif not _opens(lines[0]):
                found.add(("text", steady(lines.pop().strip())))
    return found - {("text", ""), ("text", "INSTANT")}


_NONE = object()
# What of an answer is the same whenever it is asked for; of other keys it matters that they are there.
_KEPT = frozenset({
    "name", "file_name", "killed", "input_data", "host", "forecast", "temp", "holiday", "workingday", "windspeed",
})  # fmt: skip
_CLOSE = 1e-6  # relative: a model that is fitted anew forecasts so


def _opens(line: str) -> bool:
    return re.match(r"\s*(\{|\[\{|\[\d)", line) is not None


def _literal(text: str) -> object:
    try:
        return ast.literal_eval(text.strip()) if _opens(text) else _NONE
    except (ValueError, SyntaxError):
        return _NONE


def _value_facts(value: object) -> set[Fact]:
    if isinstance(value, list) and value and isinstance(value[0], float):
        return {("numbers", repr(value))}
    if isinstance(value, list):
        return {fact for item in value for fact in _value_facts(item)}
    assert isinstance(value, dict)
    return {("item", str(key), repr(item)) if key in _KEPT else ("key", str(key)) for key, item in value.items()}


def steady(text: str) -> str:
    for pattern, word in _VOLATILE:
        text = pattern.sub(word, text)
    return text


def _table_facts(rows: list[list[str]]) -> set[Fact]:
    head, *body = rows
    if all(len(row) == 2 for row in rows):  # names at the left, values at the right
        return {("field", *row) for row in rows if row != ["Field", "Value"]}
    names = [cell for cell in head if cell]
    facts: set[Fact] = {("column", name) for name in names}
    return facts | {("row", *row[-len(names) :]) for row in body if set(row[1:]) != {"..."}}


def _rows_of(html: str) -> list[list[str]]:
    parser = _Rows()
    parser.feed(html)
    return [[steady(" ".join(cell.split())) for cell in row] for row in parser.rows]


class _Rows(HTMLParser):
    """The cells of a table, row by row."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self._open = False

    def handle_starttag(self, tag: str, _attributes: object) -> None:
        if tag == "tr":
            self.rows.append([])
        elif tag in {"td", "th"}:
            self.rows[-1].append("")
            self._open = True

    def handle_endtag(self, tag: str) -> None:
        self._open = self._open and tag not in {"td", "th"}

    def handle_data(self, data: str) -> None:
        if self._open:
            self.rows[-1][-1] += data


def is_told(fact: Fact, found: set[Fact]) -> bool:
    """Whether results say this; a row may have further cells, as the tables of other versions do."""
    if fact in found:
        return True
    return any(one[0] == fact[0] and _has_in_order(one, fact) for one in found)


def _has_in_order(told: Fact, wanted: Fact) -> bool:
    cells = iter(told)
    return all(any(_same(cell, one) for one in cells) for cell in wanted)


def _same(cell: str, other: str) -> bool:
    return cell == other or (bool(numbers := _numbers(cell)) and _are_close(numbers, _numbers(other)))


def _are_close(some: list[float], others: list[float]) -> bool:
    return len(some) == len(others) and all(map(functools.partial(math.isclose, rel_tol=_CLOSE), some, others))


@functools.cache
def _numbers(cell: str) -> list[float]:
    """A cell's list of numbers; empty where it is none."""
    value = _literal(cell) if cell.startswith("[") else None
    return value if isinstance(value, list) and all(isinstance(one, float) for one in value) else []
