"""YAML text to plain values, with the surprises of YAML 1.1 closed.

Scalars resolve as in the core schema of YAML 1.2 (https://yaml.org/spec/1.2.2/#103-core-schema): `null`, `true`,
`false`, integers and floats, everything else is text; so `no`, `on` and dates stay what was written. Keys are
always text. Merge keys (`<<`) and anchors are allowed, tags are not, and neither is what JSON could not hold.
libyaml does the scanning; the values are built here, which also is where duplicate keys show.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, cast

import yaml

from specrunner.core.values import Json

MAX_DEPTH = 64  # nested mappings and lists
MAX_NODES = 200_000  # values of one document, aliases expanded
MAX_BYTES = 4 * 2**20  # of one file

_TAG: Final = "tag:yaml.org,2002:"
_RESOLVERS: Final = (
    ("null", r"~|null|Null|NULL|", ("~", "n", "N", "")),
    ("bool", r"true|True|TRUE|false|False|FALSE", tuple("tTfF")),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", tuple("-+0123456789")),
    ("float", r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", tuple("-+.0123456789")),
    ("float", r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", tuple("-+.")),
    ("merge", r"<<", ("<",)),
)


class CoreLoader(yaml.CSafeLoader):
    """libyaml's loader with the scalar resolution of YAML 1.2's core schema."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's own shape


for _name, _pattern, _firsts in _RESOLVERS:
    for _first in _firsts:
        _known = CoreLoader.yaml_implicit_resolvers.setdefault(_first, [])
        _known.append((_TAG + _name, re.compile(rf"(?:{_pattern})\Z")))


@dataclass(frozen=True, slots=True)
class Fault:
    """A mistake in the YAML itself; line and column count from 1."""

    line: int
    column: int
    summary: str
    detail: str = ""
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Parsed:
    """The documents of a text, each with the line where it starts, and what is wrong with the text.

    A document with a fault in it is still given, as far as it could be read; `complete` is False where the
    text broke off, so that documents may be missing.
    """

    documents: tuple[tuple[int, Json], ...]
    faults: tuple[Fault, ...] = ()
    complete: bool = True


def parse(text: str) -> Parsed:
    """Read every document of a text. Never raises for what stands in it."""
    refused = _refused(text)
    if refused:
        return Parsed((), refused, complete=False)
    documents: list[tuple[int, Json]] = []
    faults: list[Fault] = []
    try:
        for node in nodes(text):
            builder = _Builder()
            documents.append((node.start_mark.line + 1, builder.document(node)))
            faults += builder.faults
    except yaml.YAMLError as error:
        return Parsed(tuple(documents), (*faults, _syntax_fault(error, text)), complete=False)
    return Parsed(tuple(documents), tuple(faults))


def nodes(text: str) -> Iterator[yaml.Node]:
    """The root node of every document. Raises yaml.YAMLError where the text breaks off."""
    loader = CoreLoader(text)
    try:
        while loader.check_node():
            yield cast("yaml.Node", loader.get_node())
    finally:
        loader.dispose()


def lines_of(text: str) -> list[str]:
    """The lines of a text as YAML 1.1, which libyaml speaks, counts them."""
    return re.split("\r\n|[\n\r\x85\u2028\u2029]", text)


_CONFLICT = re.compile(r"^<{7}(?: .*)?$", re.MULTILINE)


def _refused(text: str) -> tuple[Fault, ...]:
    """Faults for which the text is not even parsed."""
    if len(text.encode()) > MAX_BYTES:
        return (
            Fault(
                1,
                1,
                "the file is too large",
                f"A file of specs may have {MAX_BYTES:,} bytes.",
                "Split it into several files.",
            ),
        )
    conflicts = list(_CONFLICT.finditer(text)) if "\n>>>>>>>" in text else []
    if conflicts:
        return tuple(_conflict(text, match.start()) for match in conflicts)
    return (_too_deep(1, 1),) if _suspicious(text) and _depth(text) > MAX_DEPTH else ()


def _conflict(text: str, offset: int) -> Fault:
    return Fault(
        text.count("\n", 0, offset) + 1,
        1,
        "a merge conflict was left in the file",
        "Git wrote both sides of a conflict between `<<<<<<<` and `>>>>>>>`.",
        "Keep the side you want, and delete the three marker lines.",
    )


def _suspicious(text: str) -> bool:
    """Whether nesting might be deep enough to exhaust the stack of the C parser, which recurses per level."""
    return text.count("[") + text.count("{") > 500 or re.search(r".{1000}", text) is not None


def _depth(text: str) -> int:
    depth = deepest = 0
    try:
        for event in yaml.parse(text, Loader=CoreLoader):
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
                deepest = max(deepest, depth)
                if deepest > MAX_DEPTH:
                    return deepest
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
    except yaml.YAMLError:
        pass  # the parser proper tells it, at its place
    return deepest


def _too_deep(line: int, column: int) -> Fault:
    return Fault(
        line,
        column,
        "the nesting is too deep",
        f"Mappings and lists may stand {MAX_DEPTH} deep, aliases expanded.",
        "Flatten the document.",
    )


def _syntax_fault(error: yaml.YAMLError, text: str) -> Fault:
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        tab = _tab_fault(text, line)
        if tab:
            return tab
        begun = f" (it began in line {error.context_mark.line + 1})" if error.context_mark else ""
        detail = ": ".join(part for part in (error.context, error.problem) if part)
        return Fault(
            line,
            column,
            "this is not valid YAML",
            f"The parser stopped {detail}{begun}.",
            "Check indentation, quotes and brackets here and in the line before.",
        )
    position = getattr(error, "position", 0)
    before = lines_of(text[:position])
    code = getattr(error, "character", 0)
    return Fault(
        len(before),
        len(before[-1]) + 1,
        "a control character stands in the file",
        f"The character U+{code:04X} is not allowed in YAML.",
        "Delete it, or write it escaped in quotes.",
    )


def _tab_fault(text: str, line: int) -> Fault | None:
    lines = lines_of(text)
    found = lines[line - 1] if line <= len(lines) else ""
    indent = found[: len(found) - len(found.lstrip())]
    if "\t" not in indent:
        return None
    return Fault(
        line,
        indent.index("\t") + 1,
        "a tab is used for indentation",
        "YAML allows only spaces before the first character of a line.",
        "Replace the tab by two spaces.",
    )


class _Builder:
    """Builds the value of one document from its nodes and collects what is wrong on the way."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self._left = MAX_NODES

    def document(self, node: yaml.Node) -> Json:
        try:
            return self._value(node, 0)
        except _TooMuch as limit:
            self.faults.append(limit.fault)
            return None

    def _value(self, node: yaml.Node, depth: int) -> Json:
        self._left -= 1
        if self._left < 0 or depth > MAX_DEPTH:
            raise _TooMuch(self._limit(node))
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node)
        if isinstance(node, yaml.SequenceNode):
            self._check_tag(node, "seq")
            return [self._value(item, depth + 1) for item in node.value]
        self._check_tag(node, "map")
        return self._mapping(cast("yaml.MappingNode", node), depth)

    def _limit(self, node: yaml.Node) -> Fault:
        line, column = node.start_mark.line + 1, node.start_mark.column + 1
        if self._left >= 0:
            return _too_deep(line, column)
        return Fault(
            line,
            column,
            "the document is too large",
            f"With its aliases expanded it has more than {MAX_NODES:,} values.",
            "Use fewer aliases, or split the document.",
        )

    def _mapping(self, node: yaml.MappingNode, depth: int) -> dict[str, Json]:
        own: dict[str, Json] = {}
        merged: dict[str, Json] = {}
        for key_node, value_node in node.value:
            if key_node.tag == _TAG + "merge":
                # Of several sources the first holds, as the merge type says (https://yaml.org/type/merge.html).
                merged = {**self._merge_source(value_node, depth), **merged}
                continue
            key = self._key(key_node)
            if key in own:
                self._fault(
                    key_node,
                    f"the key {key!r} stands twice in one mapping",
                    "The second would silently replace the first.",
                    "Delete one of them.",
                )
            own[key] = self._value(value_node, depth + 1)
        return {**merged, **own} if merged else own

    def _merge_source(self, node: yaml.Node, depth: int) -> dict[str, Json]:
        sources = node.value if isinstance(node, yaml.SequenceNode) else [node]
        found: dict[str, Json] = {}
        for source in sources:
            value = self._value(source, depth + 1)
            if not isinstance(value, dict):
                self._fault(
                    source,
                    "`<<` merges mappings only",
                    "What stands here is not a mapping.",
                    "Name the anchor of a mapping: `<<: *name`.",
                )
                continue
            found = {**value, **found}
        return found

    def _key(self, node: yaml.Node) -> str:
        if isinstance(node, yaml.ScalarNode):
            return str(node.value)
        self._fault(node, "a key must be text", "A list or mapping can't be a key here.", "Quote it if text is meant.")
        return ""

    def _scalar(self, node: yaml.ScalarNode) -> Json:
        text = node.value
        match node.tag.removeprefix(_TAG):
            case "str" | "merge":
                return text
            case "null":
                return None
            case "bool":
                return text[0] in "tT"
            case "int":
                return self._int(node, text)
            case "float":
                return self._float(node, text)
        self._check_tag(node, "str")
        return text

    def _int(self, node: yaml.ScalarNode, text: str) -> Json:
        base = {"0o": 8, "0x": 16}.get(text[:2], 10)
        try:
            return int(text[2:] if base != 10 else text, base)
        except ValueError:
            return self._odd_number(node, text)

    def _float(self, node: yaml.ScalarNode, text: str) -> Json:
        try:
            number = float(text.replace(".inf", "inf").replace(".nan", "nan"))
        except ValueError:
            return self._odd_number(node, text)
        return number if math.isfinite(number) else self._odd_number(node, text)

    def _odd_number(self, node: yaml.ScalarNode, text: str) -> str:
        self._fault(
            node,
            "this number can't be used",
            f"{text[:40]} is no finite number that JSON can hold.",
            "Write a finite number, or quote it if text is meant.",
        )
        return text

    def _check_tag(self, node: yaml.Node, expected: str) -> None:
        if node.tag != _TAG + expected:
            shown = node.tag.replace(_TAG, "!!")
            self._fault(
                node,
                f"the tag {shown} is not allowed",
                "The spec language has no tags.",
                f"Delete {shown}; quote the value if text is meant.",
            )

    def _fault(self, node: yaml.Node, summary: str, detail: str, remedy: str) -> None:
        mark = node.start_mark
        self.faults.append(Fault(mark.line + 1, mark.column + 1, summary, detail, remedy))


class _TooMuch(Exception):
    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.summary)
        self.fault = fault
