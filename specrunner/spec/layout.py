"""Where every value of a text stands, layout included: what `formatting` cuts by.

Nodes as PyYAML composes them will not do here: an alias is replaced by what it stands for, and a block's end lies
behind the comments that follow it. So the tree is built from the parser's events.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import yaml

BREAK: Final = re.compile("\r\n|[\n\r\x85\u2028\u2029]")  # what libyaml takes for the end of a line


@dataclass(slots=True)
class Node:
    """A value as it stands in the text, from offset `start` up to `end`; children of a mapping are key, value, …

    `names` are the anchors and aliases in it.
    """

    shape: str  # scalar, alias, map or seq
    start: int
    end: int
    flow: bool = False
    value: str = ""
    is_empty: bool = False
    children: list[Node] = field(default_factory=list)
    names: frozenset[str] = frozenset()

    @property
    def pairs(self) -> list[tuple[Node, Node]]:
        """Keys with their values, for a mapping."""
        return list(zip(self.children[::2], self.children[1::2], strict=True))


class Lines:
    """Offsets of a text by line, as libyaml counts them."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.starts = [0, *(match.end() for match in BREAK.finditer(text))]

    def span(self, event: yaml.Event) -> tuple[int, int]:
        """Where an event begins and ends."""
        begin, end = event.start_mark, event.end_mark
        if begin is None or end is None:
            raise AssertionError("events of a parser have marks")
        return self._offset(begin.line, begin.column), self._offset(end.line, end.column)

    def _offset(self, line: int, column: int) -> int:
        """libyaml ends a text that lacks its last line end with one of its own."""
        return min(self.starts[line] + column, len(self.text)) if line < len(self.starts) else len(self.text)

    def begin(self, offset: int) -> int:
        """Where the line begins that holds this offset."""
        return self.starts[bisect.bisect_right(self.starts, offset) - 1]

    def after(self, offset: int) -> int:
        """Where the line after it begins, or the end of the text."""
        index = bisect.bisect_right(self.starts, offset)
        return self.starts[index] if index < len(self.starts) else len(self.text)


def trees(lines: Lines) -> Iterator[tuple[int, Node]]:
    """Each document of a valid text with the offset where it starts. Raises yaml.YAMLError for any other text."""
    events = yaml.parse(lines.text, Loader=yaml.CSafeLoader)
    for event in events:
        if isinstance(event, yaml.DocumentStartEvent):
            yield lines.span(event)[0], _node(next(events), events, lines)


def _node(event: yaml.Event, events: Iterator[yaml.Event], lines: Lines) -> Node:
    start, end = lines.span(event)
    anchor = event.anchor if isinstance(event, yaml.NodeEvent) else None
    names = frozenset({anchor} if anchor else ())
    if isinstance(event, yaml.AliasEvent):
        return Node("alias", start, end, names=names)
    if isinstance(event, yaml.ScalarEvent):
        empty = end == start
        return Node(
            "scalar", start, _scalar_end(event, start, end, lines.text), value=event.value, is_empty=empty, names=names
        )
    shape = "map" if isinstance(event, yaml.MappingStartEvent) else "seq"
    node = Node(shape, start, end, isinstance(event, yaml.CollectionStartEvent) and bool(event.flow_style))
    for inner in events:
        if isinstance(inner, yaml.CollectionEndEvent):
            node.end = lines.span(inner)[1] if node.flow else _content_end(node, end)
            break
        node.children.append(_node(inner, events, lines))
    node.names = names.union(*(child.names for child in node.children))
    return node


def _content_end(node: Node, own: int) -> int:
    """A block ends with its last value; libyaml's mark lies behind the comments and blank lines that follow."""
    return max([own, *(child.end for child in node.children if not child.is_empty)])


def _scalar_end(event: yaml.ScalarEvent, start: int, end: int, text: str) -> int:
    """A block scalar's blank lines at its end belong to it only where it keeps them (`|+`)."""
    if event.style not in {"|", ">"}:
        return end
    header = BREAK.split(text[start:end], maxsplit=1)[0].partition("#")[0]
    return end if "+" in header else start + len(text[start:end].rstrip("\r\n"))
