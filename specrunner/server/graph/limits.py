"""How large a document may be: refused before anything of it is looked up, whatever its fragments unfold to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    OperationDefinitionNode,
    SelectionSetNode,
)

from specrunner.core.errors import BadInput

MOST_TOKENS: Final = 5_000
MOST_FIELDS: Final = 1_000  # with all fragments unfolded
DEEPEST: Final = 20
DEEPEST_DATA: Final = 12  # below a field of our own; the client's deepest has nine
_INTROSPECTION: Final = "__"


@dataclass(slots=True)
class _Size:
    """How deep a selection goes, and how many fields it has."""

    depth: int = 0
    fields: int = 0


@dataclass(slots=True)
class _Measuring:
    fragments: dict[str, FragmentDefinitionNode]
    known: dict[str, _Size] = field(default_factory=dict)
    open: set[str] = field(default_factory=set)

    def selection(self, found: SelectionSetNode | None, nested: int = 0) -> _Size:
        size = _Size()
        if nested > DEEPEST:
            raise BadInput(f"The query is nested more than {DEEPEST} deep.")
        for node in found.selections if found else ():
            if isinstance(node, FragmentSpreadNode):
                part = self.fragment(node.name.value, nested)
            else:
                inner = self.selection(node.selection_set, nested + 1)  # type: ignore[attr-defined]
                step = 1 if isinstance(node, FieldNode) else 0
                part = _Size(inner.depth + step, inner.fields + step)
            size.depth, size.fields = max(size.depth, part.depth), size.fields + part.fields
        return size

    def fragment(self, name: str, nested: int) -> _Size:
        if name in self.open:
            raise BadInput(f"The fragment {name!r} spreads itself.")
        if name not in self.known:
            self.open.add(name)
            found = self.fragments.get(name)
            self.known[name] = self.selection(found.selection_set if found else None, nested + 1)
            self.open.discard(name)
        return self.known[name]


def check_size(document: DocumentNode) -> None:
    """Raises BadInput for a document that is deeper, or has more fields, than any client needs."""
    fragments = {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    if len(operations) != 1:
        raise BadInput("The document must have exactly one operation.")
    measuring = _Measuring(fragments)
    size = measuring.selection(operations[0].selection_set)
    if size.fields > MOST_FIELDS:
        raise BadInput(f"The query has {size.fields:,} fields; {MOST_FIELDS:,} is the most.")
    for node in operations[0].selection_set.selections:
        if isinstance(node, FieldNode) and not node.name.value.startswith(_INTROSPECTION):
            depth = measuring.selection(node.selection_set).depth
            if depth > DEEPEST_DATA:
                raise BadInput(f"The query is nested {depth} deep; {DEEPEST_DATA} is the most.")
