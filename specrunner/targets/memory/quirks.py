"""What servers do to what they are told: quirks that a memory target can be given, one by one.

Each is a reason for a plan to see changes where there are none (phantom drift). A reconciler that is right plans
nothing after an apply under any of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import partial
from typing import Final

from specrunner.core.fields import VERBATIM, Rule, Trait, shaped_rules
from specrunner.core.keys import Key, Kind
from specrunner.core.values import MASK, Json, JsonObject, is_nothing

ADDED: Final = "serverDefault"
LABEL: Final = "server.example/managed"
_MEBI: Final = 2**20

# A field of each kind that the server accepts and never tells.
HIDDEN: Mapping[Kind, frozenset[str]] = {
    Kind.WORKSPACE: frozenset(),
    Kind.CONNECTION: frozenset({"type"}),
    Kind.MODEL: frozenset({"framework"}),
    Kind.PIPELINE: frozenset({"resources"}),
    Kind.ORCHESTRATION: frozenset({"python"}),
    Kind.TASK: frozenset({"timeout", "resources"}),
}


class Quirk(StrEnum):
    """One habit of a server."""

    FILLS_DEFAULTS = "fills_defaults"  # tells fields that nobody declared, inside of declared mappings too
    REORDERS = "reorders"  # tells lists whose order says nothing in another order
    HIDES = "hides"  # never tells some fields; the adapter knows which
    MASKS = "masks"  # tells the details of connections as asterisks; the adapter knows
    NORMALISES_NAMES = "normalises_names"  # calls objects by small letters without spaces
    EMPTY_TEXTS = "empty_texts"  # tells "" for what was set to nothing
    TEXT_NUMBERS = "text_numbers"  # tells numbers, durations and sizes as text: "2", "1m30s", "512Mi"
    ADDS_LABELS = "adds_labels"  # labels of its own on every object
    LINGERS = "lingers"  # what is deleted is listed for a while, and its name is not free meanwhile
    TWINS = "twins"  # a create makes a second object of the same name unless a listing has shown the first


Quirks = frozenset[Quirk]


def told_spec(quirks: Quirks, kind: Kind, spec: JsonObject) -> JsonObject:
    """The spec as the server tells it."""
    if not quirks:
        return spec
    told = dict(spec)
    for path, rule in shaped_rules(kind):
        told = _at(told, path, partial(_rewritten, quirks, rule))
    if Quirk.EMPTY_TEXTS in quirks:
        told = {name: "" if is_nothing(value) and name not in VERBATIM else value for name, value in told.items()}
    if Quirk.FILLS_DEFAULTS in quirks:
        told = _filled(told)
    if Quirk.HIDES in quirks:
        told = {name: value for name, value in told.items() if name not in HIDDEN[kind]}
    if Quirk.MASKS in quirks and kind is Kind.CONNECTION and isinstance(told.get("details"), Mapping):
        told["details"] = dict.fromkeys(told["details"], MASK)
    return told


def _rewritten(quirks: Quirks, rule: Rule, value: Json) -> Json:
    if rule.unordered and isinstance(value, list | tuple):
        return list(value)[::-1] if Quirk.REORDERS in quirks else value
    if Quirk.TEXT_NUMBERS not in quirks or isinstance(value, bool) or not isinstance(value, int | float):
        return value
    if Trait.DURATION in rule.traits:
        return f"{int(value) // 60}m{int(value) % 60}s"
    if Trait.SIZE in rule.traits and value % _MEBI == 0:
        return f"{int(value) // _MEBI}Mi"
    return str(value)


def _at(tree: dict[str, Json], path: tuple[str, ...], change: Callable[[Json], Json]) -> dict[str, Json]:
    """The tree with what is at a path changed; unchanged where there is nothing."""
    name, *rest = path
    if name not in tree or (rest and not isinstance(tree[name], Mapping)):
        return tree
    return {**tree, name: _at(tree[name], tuple(rest), change) if rest else change(tree[name])}


def _filled(tree: JsonObject) -> dict[str, Json]:
    """The tree with a field more in every mapping that is not wholly the user's."""
    open_ones = (name for name, value in tree.items() if isinstance(value, Mapping) and name not in VERBATIM)
    return {**tree, ADDED: 1, **{name: _filled(tree[name]) for name in open_ones}}


def opaque_paths(quirks: Quirks, kind: Kind) -> frozenset[str]:
    """What the adapter says is never told, or told masked."""
    hidden = HIDDEN[kind] if Quirk.HIDES in quirks else frozenset()
    return hidden | ({"details"} if Quirk.MASKS in quirks and kind is Kind.CONNECTION else frozenset())


def told_labels(quirks: Quirks, labels: Mapping[str, str]) -> dict[str, str]:
    """The labels as the server tells them."""
    return {**labels, LABEL: "yes"} if Quirk.ADDS_LABELS in quirks else dict(labels)


def server_name(quirks: Quirks, key: Key) -> str:
    """What the server calls an object that is declared as `key`."""
    return "-".join(key.name.lower().split()) if Quirk.NORMALISES_NAMES in quirks else key.name
