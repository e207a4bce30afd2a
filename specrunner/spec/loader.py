"""YAML text to plain values, with the surprises of YAML 1.1 closed.

Scalars resolve as in the core schema of YAML 1.2 (https://yaml.org/spec/1.2.2/#103-core-schema): `null`, `true`,
`false`, integers and floats, everything else is text; so `no`, `on` and dates stay what was written. Keys are
always text. Merge keys (`<<`) and anchors are allowed, tags are not, and neither is what JSON could not hold.
libyaml does the scanning; the values are built here, which also is where duplicate keys show.
"""

from __future__ import annotations

import functools
import itertools
import math
import operator
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, cast

import yaml
from yaml._yaml import CParser

from specrunner.core.values import Json
from specrunner.spec.faults import Fault, merge_conflict, tab_fault
from specrunner.spec.mistakes import Mistake
from specrunner.spec.syntax import explanation

MAX_DEPTH = 64  # nested mappings and lists
MAX_NODES = 200_000  # values of one document, aliases expanded; keys and values before they are
MAX_BYTES = 4 * 2**20  # of one file
MAX_FAULTS = 100  # told of one file
MAX_DOCUMENTS = 20_000  # of one file

_TAG: Final = "tag:yaml.org,2002:"
_STR: Final = _TAG + "str"
_MERGE: Final = _TAG + "merge"
_PLAIN: Final = re.compile(
    r"(?:(?P<null>~|null|Null|NULL|)"
    r"|(?P<bool>true|True|TRUE|false|False|FALSE)"
    r"|(?P<int>[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)"
    r"|(?P<float>[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))"
    r"|(?P<merge><<))\Z"
)
_FIRST: Final = frozenset("~nNtTfF-+.0123456789<") | {""}  # with what a plain scalar that is no text begins
_LONGEST_NUMBER: Final = 1_000  # characters; Python refuses to print integers of some thousand digits
_COLLECTIONS: Final[dict[type[yaml.Node], str]] = {yaml.SequenceNode: _TAG + "seq", yaml.MappingNode: _TAG + "map"}


class CoreLoader(yaml.CSafeLoader):
    """libyaml's composer with the scalar resolution of YAML 1.2's core schema.

    It calls `resolve` for every node without a tag, which so also is where nodes are counted.
    """

    # Called for every node, for path resolvers, which we have not: what the interpreter answers fastest.
    descend_resolver: Any = operator.is_
    ascend_resolver: Any = str

    def __init__(self, text: str) -> None:
        CParser.__init__(self, text)  # neither the constructors nor the resolvers of PyYAML are used
        self.left = MAX_NODES

    def resolve(self, kind: type[yaml.Node], value: Any, implicit: Any) -> str:
        """The tag of a node that has none. Raises TooMuch beyond the limit of nodes."""
        self.left -= 1
        if self.left < 0:
            raise TooMuch
        if kind is not yaml.ScalarNode:
            return _COLLECTIONS[kind]
        if not implicit[0] or value[:1] not in _FIRST:
            return _STR
        found = _PLAIN.match(value)
        return f"{_TAG}{found.lastgroup}" if found else _STR


class _WaryLoader(CoreLoader):
    """Counts every node, also those with tags, and its depth, before the composer's recursion gets deep."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0

    def descend_resolver(self, parent: yaml.Node | None, _index: object) -> None:
        """Raises TooMuch where a node stands too deep, or is one too many."""
        self.left -= 1
        self._depth += 1
        if self._depth > MAX_DEPTH + 2 or self.left < 0:
            raise TooMuch(parent, is_depth=self.left >= 0)

    def ascend_resolver(self) -> None:
        """One level up."""
        self._depth -= 1

    def resolve(self, kind: type[yaml.Node], value: Any, implicit: Any) -> str:
        """The tag of a node that has none; it was counted before."""
        self.left += 1
        return super().resolve(kind, value, implicit)


class TooMuch(Exception):
    """A document is beyond a limit, of depth or of size, at `node` where that is known."""

    def __init__(self, node: yaml.Node | None = None, *, is_depth: bool = False) -> None:
        super().__init__("the document is beyond a limit of the reader")
        self.node = node
        self.is_depth = is_depth


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
    builder = _Builder()
    last: yaml.Node | None = None
    try:
        for node in nodes(text):
            documents.append((node.start_mark.line + 1, builder.document(node)))
            last = node
            if len(documents) > MAX_DOCUMENTS or len(builder.faults) > MAX_FAULTS:
                return Parsed(tuple(documents), (*builder.faults[:MAX_FAULTS], _too_many(node)), complete=False)
    except yaml.YAMLError as error:
        return Parsed(tuple(documents), (*builder.faults, _syntax_fault(error, text)), complete=False)
    except TooMuch as limit:
        return Parsed(tuple(documents), (*builder.faults[:MAX_FAULTS], _limit(limit, last)), complete=False)
    return Parsed(tuple(documents), tuple(builder.faults))


def nodes(text: str) -> Iterator[yaml.Node]:
    """The root node of every document. Raises yaml.YAMLError where the text breaks off, TooMuch at a limit."""
    loader = _WaryLoader(text) if _suspicious(text) else CoreLoader(text)
    try:
        while loader.check_node():
            loader.left = MAX_NODES
            yield cast("yaml.Node", loader.get_node())
    finally:
        loader.dispose()


@functools.lru_cache(maxsize=2)
def lines_of(text: str) -> tuple[str, ...]:
    """The lines of a text as YAML 1.1, which libyaml speaks, counts them."""
    return tuple(re.split("\r\n|[\n\r\x85\u2028\u2029]", text))


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
                Mistake.FILE_TOO_LARGE,
            ),
        )
    conflicts = itertools.islice(_CONFLICT.finditer(text), MAX_FAULTS) if "\n>>>>>>>" in text else ()
    return tuple(merge_conflict(text, match.start()) for match in conflicts)


def _suspicious(text: str) -> bool:
    """Whether nesting might be deep enough to exhaust the composer's stack, or nodes be many that have tags."""
    deep = text.count("[") + text.count("{") > 500 or max(map(len, text.split("\n"))) > 1000
    return deep or text.count("!") > 1000


def _limit(limit: TooMuch, last: yaml.Node | None) -> Fault:
    """What to say of a limit: at the node beyond it, else behind the last document that was whole."""
    if limit.is_depth and limit.node:
        return Fault(
            limit.node.start_mark.line + 1,
            limit.node.start_mark.column + 1,
            "the nesting is too deep",
            f"Mappings and lists may stand {MAX_DEPTH} deep, aliases expanded.",
            "Flatten the document.",
            Mistake.TOO_DEEP,
        )
    mark = limit.node.start_mark if limit.node else last.end_mark if last else None
    return Fault(
        mark.line + 1 if mark else 1,
        mark.column + 1 if mark else 1,
        "the document is too large",
        f"With its aliases expanded it has more than {MAX_NODES:,} values.",
        "Use fewer aliases, or split the document.",
        Mistake.TOO_MANY_VALUES,
    )


def _too_many(node: yaml.Node) -> Fault:
    return Fault(
        node.end_mark.line + 1,
        1,
        "the rest of the file was not read",
        f"A file may have {MAX_DOCUMENTS:,} documents, and {MAX_FAULTS} mistakes before reading it ends.",
        "Correct the mistakes before this line, or split the file.",
        Mistake.REST_UNREAD,
    )


def _syntax_fault(error: yaml.YAMLError, text: str) -> Fault:
    if isinstance(error, yaml.MarkedYAMLError):
        mark, begun = error.problem_mark or error.context_mark, error.context_mark or error.problem_mark
        tab = tab_fault(lines_of(text), mark.line + 1) if mark else None
        if tab:
            return tab
        told = explanation(error.context, error.problem, begun.line + 1 if begun else 1)
        end = len(text.rstrip())  # behind it nothing is left to point at
        at = begun if told.at_context or (mark and mark.index >= end) else mark
        if at is None or at.index >= end:
            before = lines_of(text[:end])
            line, column = len(before), max(len(before[-1]), 1)
        else:
            line, column = at.line + 1, at.column + 1
        return Fault(line, column, told.summary, told.detail, told.remedy, Mistake.YAML_SYNTAX)
    position = getattr(error, "position", 0)
    before = lines_of(text[:position])
    code = getattr(error, "character", 0)
    return Fault(
        len(before),
        len(before[-1]) + 1,
        "a control character stands in the file",
        f"The character U+{code:04X} is not allowed in YAML.",
        "Delete it, or write it escaped in quotes.",
        Mistake.CONTROL_CHARACTER,
    )


class _Builder:
    """Builds the values of a text's documents from their nodes and collects what is wrong on the way."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self._left = MAX_NODES

    def document(self, node: yaml.Node) -> Json:
        """The value of a document. Raises TooMuch at a limit."""
        self._left = MAX_NODES
        return self._value(node, 0)

    def _value(self, node: yaml.Node, depth: int) -> Json:
        self._left -= 1
        if self._left < 0 or depth > MAX_DEPTH:
            raise TooMuch(node, is_depth=self._left >= 0)
        kind = type(node)
        if kind is yaml.ScalarNode:
            return node.value if node.tag == _STR else self._scalar(node)
        self._check_tag(node, _COLLECTIONS[kind])
        if kind is yaml.SequenceNode:
            return [self._value(item, depth + 1) for item in node.value]
        return self._mapping(node, depth)

    def _mapping(self, node: yaml.Node, depth: int) -> dict[str, Json]:
        own: dict[str, Json] = {}
        merged: dict[str, Json] = {}
        for key_node, value_node in node.value:
            if key_node.tag == _MERGE:
                # Of several sources the first holds, as the merge type says (https://yaml.org/type/merge.html).
                merged = {**self._merge_source(key_node, value_node, depth), **merged}
                continue
            key = self._key(key_node)
            if key in own:
                self._fault(
                    key_node,
                    f"the key {key!r} stands twice in one mapping",
                    "The second would silently replace the first.",
                    "Delete one of them.",
                    Mistake.DUPLICATE_KEY,
                )
            own[key] = self._value(value_node, depth + 1)
        return {**merged, **own} if merged else own

    def _merge_source(self, key: yaml.Node, node: yaml.Node, depth: int) -> dict[str, Json]:
        sources = node.value if isinstance(node, yaml.SequenceNode) else [node]
        found: dict[str, Json] = {}
        for source in sources:
            value = self._value(source, depth + 1)
            if not isinstance(value, dict):
                # Told once, at the key: an alias stands where its anchor is, as far as the nodes know.
                self._fault(
                    key,
                    "`<<` merges mappings only",
                    "What it names is not a mapping.",
                    "Name the anchor of a mapping: `<<: *name`.",
                    Mistake.BAD_MERGE,
                )
                break
            found = {**value, **found}
        return found

    def _key(self, node: yaml.Node) -> str:
        if isinstance(node, yaml.ScalarNode):
            return sys.intern(node.value)  # the same few, ten thousand times
        self._fault(
            node,
            "a key must be text",
            "A list or mapping can't be a key here.",
            "Put the whole value in quotes if text is meant, a template such as `{{ name }}` for instance.",
            Mistake.KEY_NOT_TEXT,
        )
        return ""

    def _scalar(self, node: yaml.Node) -> Json:
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
        self._check_tag(node, _STR)
        return text

    def _int(self, node: yaml.Node, text: str) -> Json:
        if len(text) > _LONGEST_NUMBER:
            return self._odd_number(node, text)
        base = {"0o": 8, "0x": 16}.get(text[:2], 10)
        try:
            return int(text[2:] if base != 10 else text, base)
        except ValueError:
            return self._odd_number(node, text)

    def _float(self, node: yaml.Node, text: str) -> Json:
        try:
            number = float(text.replace(".inf", "inf").replace(".nan", "nan"))
        except ValueError:
            return self._odd_number(node, text)
        return number if math.isfinite(number) else self._odd_number(node, text)

    def _odd_number(self, node: yaml.Node, text: str) -> str:
        self._fault(
            node,
            "this number can't be used",
            f"{text[:40]} is no finite number that JSON can hold.",
            "Quote it if text is meant, or write a finite number.",
            Mistake.UNUSABLE_NUMBER,
        )
        return text

    def _check_tag(self, node: yaml.Node, expected: str) -> None:
        if node.tag != expected:
            shown = node.tag.replace(_TAG, "!!")
            self._fault(
                node,
                f"the tag {shown} is not allowed",
                "The spec language has no tags.",
                f"Delete {shown}; quote the value if text is meant.",
                Mistake.TAG,
            )

    def _fault(self, node: yaml.Node, summary: str, detail: str, remedy: str, code: Mistake) -> None:
        mark = node.start_mark
        self.faults.append(Fault(mark.line + 1, mark.column + 1, summary, detail, remedy, code))
