"""`fmt`: the keys of every document in the order of its schema, and nothing lost on the way.

No YAML is written here. The text of a file is cut where its keys begin, and the pieces are laid in another order, so
that quotes, anchors, block scalars and the author's own layout stay as they are. A comment goes with the key below
it; a comment that is indented deeper than the next key, or that a blank line parts from it, stays with the key above.
What stands above a document's first key is the document's own, so a modeline stays on top. Mappings whose keys are
free (`args`, `labels`) keep their order, and an alias never comes to stand before its anchor.

The result is read again: where it would mean something else, the text is given back as it was.
"""

from __future__ import annotations

import bisect
import itertools
import json
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from specrunner.core.errors import Diagnostic
from specrunner.core.values import Json, JsonObject
from specrunner.spec.documents import read_patches, read_tree
from specrunner.spec.layout import BREAK, Lines, Node, trees
from specrunner.spec.loader import Parsed, parse
from specrunner.spec.schema import KINDS, property_schema, schema_of

_TRIVIA: Final = re.compile(r"[ \t]*(#.*)?[\r\n\x85\u2028\u2029]*")
_COLON: Final = re.compile(r"\s*:")
_COMMA: Final = re.compile(r"\s*,\s*")
_MERGE: Final = "<<"
_BOM: Final = "\ufeff"


@dataclass(frozen=True, slots=True)
class Change:
    """A file that is not in form; `path` is relative to the root, with forward slashes."""

    path: str
    before: str
    after: str


def changes(root: Path) -> tuple[tuple[str, ...], list[Change], list[Diagnostic]]:
    """The files of the spec repository at `root`, those of them that are not in form, and what can't be read.

    Patches count as well. A file with a problem is left alone. Raises InvalidSpecs where there is no project file.
    """
    folder = root / "environments"
    names = sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    readings = [read_tree(root), *(read_patches(root, name) for name in names)]
    problems = [problem for reading in readings for problem in reading.problems]
    broken = {problem.place.file for problem in problems if problem.place}
    files = tuple(dict.fromkeys(document.file.path for reading in readings for document in reading.documents))
    found = [_change(root, path) for path in files if path not in broken]
    known = tuple(sorted({*files, *broken}))
    return known, [change for change in found if change.before != change.after], problems


def _change(root: Path, path: str) -> Change:
    text = (root / path).read_bytes().decode("utf-8")
    bom = _BOM if text.startswith(_BOM) else ""
    return Change(path, text, bom + formatted(text.removeprefix(_BOM)))


def write(root: Path, change: Change) -> None:
    """Replace the file by its new text: whole or not at all, with the mode that it has."""
    target = (root / change.path).resolve()
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(change.after.encode())
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(target.stat().st_mode & 0o7777)
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def formatted(text: str) -> str:
    """The text in form; as it is where it is no YAML, or where another order would change what it says."""
    parsed = parse(text)
    if not parsed.complete or parsed.faults:
        return text
    tidy = _tidied(text)
    after = "".join(_pieces(tidy))
    return after if _meaning(parse(after)) == _meaning(parsed) else text


def _meaning(parsed: Parsed) -> str:
    """Equal for texts that say the same; types count, the order of keys does not."""
    return json.dumps([parsed.complete, len(parsed.faults), [value for _, value in parsed.documents]], sort_keys=True)


def in_order(value: Json, schema: JsonObject) -> Json:
    """A plain value with its keys in the order of its schema; keys that the schema leaves free stay as they are."""
    if isinstance(value, list):
        return [in_order(item, schema.get("items", {})) for item in value]
    if not isinstance(value, dict):
        return value
    names = sorted(value, key=_ranking(schema))
    return {name: in_order(value[name], property_schema(schema, name) or {}) for name in names}


class _Ranking(dict[str, int]):
    """The place of each key; unknown ones come last, sources of a merge first. Without known keys all are equal."""

    def __missing__(self, name: str) -> int:
        return -1 if name == _MERGE and self else len(self)

    def __call__(self, name: str) -> int:
        return self[name]


def _ranking(schema: JsonObject) -> _Ranking:
    return _Ranking({name: place for place, name in enumerate(schema.get("properties", {}))})


def _tidied(text: str) -> str:
    """Without spaces at line ends and blank lines at the end, both outside scalars; with a last line end."""
    lines = Lines(text)
    kept: set[int] = set()
    for _, root in trees(lines):
        for node in _scalars(root):
            first, last = (bisect.bisect_right(lines.starts, at) for at in (node.start, max(node.end - 1, node.start)))
            kept |= set(range(first, last + 1)) if last > first else set()
    ends = [*lines.starts[1:], len(text)]
    rows = [text[start:end] for start, end in zip(lines.starts, ends, strict=True)]
    rows = [row if number in kept else re.sub(r"[ \t]+(?=[\r\n]*\Z)", "", row) for number, row in enumerate(rows, 1)]
    while rows and not rows[-1].strip("\r\n") and len(rows) not in kept:
        rows.pop()
    tidy = "".join(rows)
    return tidy if not tidy or BREAK.search(tidy[-1]) else tidy + (BREAK.search(text) or ["\n"])[0]


def _scalars(node: Node) -> Iterator[Node]:
    if node.shape == "scalar":
        yield node
    for child in node.children:
        yield from _scalars(child)


def _pieces(text: str) -> Iterator[str]:
    """The text, document by document."""
    lines = Lines(text)
    documents = list(trees(lines))
    starts = [0, *(start for start, _ in documents[1:]), len(text)]
    for index, (_, root) in enumerate(documents):
        pairs = root.pairs if root.shape == "map" else []
        kind = next((value.value for key, value in pairs if key.value == "kind"), "")
        schema = schema_of(kind) if kind in KINDS else {}
        yield _Writer(lines).rendered(root, schema, starts[index], starts[index + 1], is_root=True)
    if not documents:
        yield text


@dataclass(slots=True)
class _Entry:
    """One key of a block mapping: the comment lines above it, and its own text up to a line end."""

    leading: list[str]
    body: str


class _Writer:
    """Gives the text of a stretch of the file with the keys of one node in order."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self._text = lines.text

    def rendered(self, node: Node, schema: JsonObject, start: int, end: int, is_root: bool = False) -> str:
        """What is to stand from `start` up to `end`, a stretch that holds the node."""
        if node.shape == "map":
            return self._mapping(node, schema, start, end, is_root)
        if node.shape == "seq" and node.children:
            ends = [*(child.start for child in node.children[1:]), end]
            items = zip(node.children, ends, strict=True)
            part = schema.get("items", {})
            return self._text[start : node.children[0].start] + "".join(
                self.rendered(child, part, child.start, until) for child, until in items
            )
        return self._text[start:end]

    def _mapping(self, node: Node, schema: JsonObject, start: int, end: int, is_root: bool) -> str:
        pairs = node.pairs
        order = _order(pairs, _ranking(schema))
        moved = order != list(range(len(pairs)))
        if moved and node.flow and self._is_plain_flow(pairs):
            return self._flow(pairs, order, schema, start, end)
        cuts = self._cuts(pairs, end) if moved and not node.flow else None
        return (
            self._block(pairs, order, schema, start, end, cuts, is_root)
            if cuts
            else self._in_place(pairs, schema, start, end)
        )

    def _in_place(self, pairs: Sequence[tuple[Node, Node]], schema: JsonObject, start: int, end: int) -> str:
        if not pairs:
            return self._text[start:end]
        ends = [*(key.start for key, _ in pairs[1:]), end]
        return self._text[start : pairs[0][0].start] + "".join(
            self._pair(pair, schema, until) for pair, until in zip(pairs, ends, strict=True)
        )

    def _pair(self, pair: tuple[Node, Node], schema: JsonObject, end: int) -> str:
        key, value = pair
        part = property_schema(schema, key.value) or {}
        return self._text[key.start : key.end] + self.rendered(value, part, key.end, end)

    def _is_plain_flow(self, pairs: Sequence[tuple[Node, Node]]) -> bool:
        return all(map(_COMMA.fullmatch, self._gaps(pairs))) and not any(value.is_empty for _, value in pairs)

    def _gaps(self, pairs: Sequence[tuple[Node, Node]]) -> list[str]:
        return [self._text[before[1].end : after[0].start] for before, after in itertools.pairwise(pairs)]

    def _flow(
        self, pairs: Sequence[tuple[Node, Node]], order: Sequence[int], schema: JsonObject, start: int, end: int
    ) -> str:
        """Entries change places, what stands between them does not."""
        gaps = self._gaps(pairs)
        bodies = [self._pair(pairs[index], schema, pairs[index][1].end) for index in order]
        inner = "".join(body + gap for body, gap in zip(bodies, [*gaps, ""], strict=True))
        return self._text[start : pairs[0][0].start] + inner + self._text[pairs[-1][1].end : end]

    def _cuts(self, pairs: Sequence[tuple[Node, Node]], end: int) -> list[int] | None:
        """Where each entry ends, at a line's end; None for layouts that can't be cut, such as `? key`."""
        found: list[int] = []
        column = pairs[0][0].start - self._lines.begin(pairs[0][0].start)
        for index, (key, value) in enumerate(pairs):
            following = pairs[index + 1][0].start if index + 1 < len(pairs) else None
            content = self._lines.after(max(key.end, 0 if value.is_empty else value.end) - 1)
            begin = self._lines.begin(following) if following is not None else end
            if not _COLON.match(self._text, key.end) or content > begin:
                return None
            if following is not None and self._text[begin:following].strip(" "):
                return None
            rows = self._rows(content, begin)
            if following is not None and not all(map(_TRIVIA.fullmatch, rows)):
                return None
            foot = _foot(rows, column, is_last=following is None)
            found.append(content + sum(map(len, rows[:foot])))
        return found

    def _rows(self, start: int, end: int) -> list[str]:
        rows = []
        while start < end:
            after = min(self._lines.after(start), end)
            rows.append(self._text[start:after])
            start = after
        return rows

    def _block(
        self,
        pairs: Sequence[tuple[Node, Node]],
        order: Sequence[int],
        schema: JsonObject,
        start: int,
        end: int,
        cuts: Sequence[int],
        is_root: bool,
    ) -> str:
        first = pairs[0][0].start
        line = self._lines.begin(first)
        above = self._rows(start, line) if start < line and not self._text[line:first].strip(" ") else []
        own = len(above) - _own(above, is_root)
        entries = [
            _Entry(
                self._rows(cuts[index - 1], self._lines.begin(key.start)) if index else above[own:],
                self._pair((key, value), schema, cuts[index]),
            )
            for index, (key, value) in enumerate(pairs)
        ]
        indent = " " * (first - line)
        laid = "".join(
            _laid(entries[index], indent, is_new=index > 0 and place == 0) for place, index in enumerate(order)
        )
        head = "".join(above[:own]) if above else self._text[start:first]
        return head + (laid if above else laid.lstrip(" ")) + self._text[cuts[-1] : end]


def _laid(entry: _Entry, indent: str, *, is_new: bool) -> str:
    """An entry at its place; `is_new` where it became the first, which no blank line needs to part from another."""
    leading = list(entry.leading)
    while is_new and leading and not leading[0].strip():
        leading.pop(0)
    return "".join(leading) + indent + entry.body


def _order(pairs: Sequence[tuple[Node, Node]], ranks: _Ranking) -> list[int]:
    """The order of the entries by rank; those that share an anchor keep theirs."""
    wanted = sorted(range(len(pairs)), key=lambda index: (ranks(pairs[index][0].value), index))
    names = [key.names | value.names for key, value in pairs]
    if not any(names):
        return wanted
    order: list[int] = []
    while wanted:
        free = next(
            index for index in wanted if not any(other < index and names[other] & names[index] for other in wanted)
        )
        wanted.remove(free)
        order.append(free)
    return order


def _foot(rows: Sequence[str], column: int, *, is_last: bool) -> int:
    """How many of the lines below an entry are still its own."""
    own = 0
    for number, row in enumerate(rows, 1):
        text = row.strip()
        if text and (not text.startswith("#") or len(row) - len(row.lstrip(" ")) <= column):
            break
        own = number if text else own
    if own or is_last:
        return own
    return next((number for number, row in enumerate(rows) if not row.strip()), 0)


def _own(rows: Sequence[str], is_root: bool) -> int:
    """How many of the lines above a mapping's first key are that key's own.

    Those of a document are its own, unless a blank line divides them: then the last block is the key's.
    """
    count = 0
    while count < len(rows) and rows[-1 - count].lstrip(" ").startswith("#"):
        count += 1
    above = rows[: len(rows) - count]
    if is_root and not (above and not above[-1].strip() and any(row.lstrip().startswith("#") for row in above)):
        return 0
    return count
