"""Where a value stands in its file: looked up only for documents that have a finding.

A manifest consists of layers: the document itself and the patches of an environment over it. A value stands in
the last layer that says it.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import yaml

from specrunner.core.errors import Diagnostic, Place
from specrunner.core.values import Json
from specrunner.spec.findings import Finding, Reference, Trail
from specrunner.spec.loader import TooMuch, lines_of, nodes, parse


class SourceFile:
    """One file of specs; `path` is relative to the root, with forward slashes.

    `text` is what stands in it, or gives that when it is wanted first: of a file that is remembered, mostly never.
    """

    __slots__ = ("_text", "path")

    def __init__(self, path: str, text: str | Callable[[], str]) -> None:
        self.path = path
        self._text = text

    @property
    def text(self) -> str:
        """The text of the file. Raises SpecrunnerError where it is no longer the one that was read."""
        if not isinstance(self._text, str):
            self._text = self._text()
        return self._text


@dataclass(frozen=True, slots=True)
class Document:
    """One YAML document as written: the `index`-th of its file, starting at `line`.

    `read` is its value, None where it was not needed so far. `whole` is the value as its schema wants it, completed
    and in plain form, to be changed by whoever takes it, with `references`, what its arguments refer to: None where
    that depends on more than the file, or is not known.
    """

    file: SourceFile
    index: int
    line: int
    read: Json
    whole: Json = None
    references: tuple[Reference, ...] = ()

    @property
    def value(self) -> Json:
        """The value as written."""
        return _values(self.file.text)[self.index] if self.read is None else self.read

    @property
    def glance(self) -> Json:
        """The value, written or whole: good enough for its kind, its names and the files that it names."""
        return self.value if self.whole is None else self.whole

    @property
    def place(self) -> Place:
        """Where the document starts."""
        return Place(self.file.path, self.line)


@functools.lru_cache(maxsize=4)
def _values(text: str) -> tuple[Json, ...]:
    return tuple(value for _, value in parse(text).documents)


Layers = Sequence[Document]  # the document first, then the patches over it


def diagnose(layers: Layers, finding: Finding) -> Diagnostic:
    """The finding with its place and the line that stands there."""
    layer, mark = _find(layers, finding)
    return Diagnostic(
        summary=finding.summary,
        detail=finding.detail,
        remedy=finding.remedy,
        place=Place(layer.file.path, mark.line + 1, mark.column + 1),
        related=finding.related,
        severity=finding.severity,
        source="" if finding.hidden else line_at(layer.file.text, mark.line + 1),
        code=finding.code,
    )


def locate(layers: Layers, trail: Trail) -> Place:
    """Where the value at `trail` was set: in the last layer that says most of it. The document's start if none does.

    Reads that one document again and no more of its file, so that asking for each of thousands costs no square.
    """
    places = [_deepest(layer, trail) for layer in layers]
    depth = max(depth for depth, _ in places)
    # Of a field that nobody wrote, the document itself knows more than a patch of another field.
    return next(place for found, place in (reversed(places) if depth > 2 else places) if found == depth)


def _deepest(layer: Document, trail: Trail) -> tuple[int, Place]:
    """How far the layer follows a trail, and where it then stands."""
    found = list(_walk(_alone(_text_of(layer.file.text, layer.line)), trail))
    key, node = found[-1]
    mark = (node if key is None else key).start_mark
    return len(found), Place(layer.file.path, layer.line + mark.line, mark.column + 1)


_MARKER: Final = re.compile(r"(?:---|\.\.\.)(?:\s|$)")


def _text_of(text: str, line: int) -> str:
    """The document that begins in this line; nothing but a marker of documents can stand for one in column 1."""
    lines = _many_lines(text)
    end = next((at for at in range(line, len(lines)) if _MARKER.match(lines[at])), len(lines))
    return "\n".join(lines[line - 1 : end])


_many_lines = functools.lru_cache(maxsize=64)(lines_of.__wrapped__)


@functools.lru_cache(maxsize=64)
def _alone(text: str) -> yaml.Node:
    return next(nodes(text))


def line_at(text: str, line: int) -> str:
    """The line as it stands in the file, or nothing beyond its end."""
    lines = _lines(text)
    return lines[line - 1] if 0 < line <= len(lines) else ""


@functools.lru_cache(maxsize=4)
def _lines(text: str) -> tuple[str, ...]:
    return tuple(lines_of(text))


def written(layers: Layers, trail: Trail) -> str | None:
    """The text of the scalar at `trail` exactly as written, or None where no scalar stands there."""
    node = _scalar(layers, trail)
    return node.value if node else None


def is_quoted(layers: Layers, trail: Trail) -> bool:
    """Whether the scalar at `trail` stands in quotes or in a block, and so is text beyond doubt."""
    node = _scalar(layers, trail)
    return node is not None and bool(node.style)


def _scalar(layers: Layers, trail: Trail) -> yaml.ScalarNode | None:
    for layer in reversed(layers):
        found = list(_walk(_root(layer), trail))
        if len(found) == len(trail) + 1:
            node = found[-1][1]
            return node if isinstance(node, yaml.ScalarNode) else None
    return None


@functools.lru_cache(maxsize=4)
def _roots(text: str) -> tuple[yaml.Node, ...]:
    found: list[yaml.Node] = []
    try:
        for node in nodes(text):
            found.append(node)  # noqa: PERF402 - what came before an error is kept
    except (yaml.YAMLError, TooMuch):
        pass  # reported by the reader; the documents before it have their positions
    return tuple(found)


def _root(layer: Document) -> yaml.Node:
    return _roots(layer.file.text)[layer.index]


def _find(layers: Layers, finding: Finding) -> tuple[Document, yaml.Mark]:
    """The last layer that has the whole trail; else the deepest position of the document itself."""
    for layer in reversed(layers):
        found = list(_walk(_root(layer), finding.trail))
        if len(found) == len(finding.trail) + 1 or layer is layers[0]:
            key, node = found[-1]
            whole = len(found) == len(finding.trail) + 1
            at = key if key is not None and (finding.at_key or not whole or _is_empty(node)) else node
            return layer, at.start_mark
    raise AssertionError("a manifest has at least one layer")


def _is_empty(node: yaml.Node) -> bool:
    """Whether nothing is written: such a node's mark lies on the next line, where nobody looks."""
    return isinstance(node, yaml.ScalarNode) and not node.value and not node.style


def _walk(node: yaml.Node, trail: Trail) -> Iterator[tuple[yaml.Node | None, yaml.Node]]:
    """The nodes along a trail as (key, value), as far as they exist."""
    yield None, node
    for part in trail:
        step = _step(node, part)
        if step is None:
            return
        node = step[1]
        yield step


def _step(node: yaml.Node, part: str | int) -> tuple[yaml.Node | None, yaml.Node] | None:
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int):
        return (None, node.value[part]) if part < len(node.value) else None
    if not isinstance(node, yaml.MappingNode):
        return None
    own, merged = _indexed(node)
    if part in own:
        return own[part]
    for source in merged:
        found = _step(source, part)
        if found:
            return found
    return None


@functools.lru_cache(maxsize=64)
def _indexed(node: yaml.MappingNode) -> tuple[dict[str | int, tuple[yaml.Node, yaml.Node]], tuple[yaml.Node, ...]]:
    """The first (key, value) of each name, and what is merged in: a mapping with many mistakes is asked for each."""
    own: dict[str | int, tuple[yaml.Node, yaml.Node]] = {}
    merged: list[yaml.Node] = []
    for key, value in node.value:
        if key.tag.endswith(":merge"):
            merged += value.value if isinstance(value, yaml.SequenceNode) else [value]
        elif isinstance(key, yaml.ScalarNode):
            own.setdefault(key.value, (key, value))
    return own, tuple(merged)
