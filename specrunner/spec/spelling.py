"""Scalars whose spelling matters: `version: 1.10` is not the number 1.1, and `no` may be Norway.

Where the schema wants text, what was written stays, so nothing can be lost. Where it leaves the type open (`args`,
`details`, the values of `vars`), an unquoted number is a number, and only one that says the same in every reader of
YAML and survives being written again is taken: `12`, `1.1`, `1.0e-3`. Anything else is refused with the remedy to
quote it: `012` (ten in YAML 1.1), `1.10`, `1e3` (text in YAML 1.1), `0x1F`, `+5`. Where the schema wants a number,
only a leading zero is refused.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Final

from specrunner.core.values import Json, JsonObject
from specrunner.spec.findings import Finding, Trail, dotted
from specrunner.spec.mistakes import Mistake
from specrunner.spec.schema import property_schema

_NUMBER: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|0o[0-7]+|0x[0-9a-fA-F]+")
_FAITHFUL: Final = re.compile(r"0|-?[1-9][0-9]*|-?(?:0|[1-9][0-9]*)\.(?:0|[0-9]*[1-9]|[0-9]+[eE][-+][0-9]+)")
_LEADING_ZERO: Final = re.compile(r"[-+]?0[0-9].*")
_CANDIDATE: Final = re.compile(r"(?<![^\s\[,:{-])[-+]?\.?[0-9][^\s,\]}]*")


_SWITCHES: Final = {"yes": True, "on": True, "no": False, "off": False}

Written = Callable[[Trail], str | None]


def as_written(
    value: Json, schema: JsonObject, written: Written, quoted: Callable[[Trail], bool], trail: Trail = ()
) -> Json:
    """The value with numbers and booleans as text where the schema wants text; `written` gives the text.

    The other way round, YAML 1.1's `yes`, `no`, `on` and `off` are booleans where the schema wants one, unless
    they are `quoted`.
    """
    if isinstance(value, dict):
        return {
            name: as_written(item, property_schema(schema, name) or {}, written, quoted, (*trail, name))
            for name, item in value.items()
        }
    if isinstance(value, list):
        items = schema.get("items", {})
        return [as_written(item, items, written, quoted, (*trail, index)) for index, item in enumerate(value)]
    if isinstance(value, bool | int | float) and _wants_text(value, schema):
        return written(trail) or json.dumps(value)
    if isinstance(value, str) and value.lower() in _SWITCHES and schema.get("type") == "boolean" and not quoted(trail):
        return _SWITCHES[value.lower()]
    return value


def _wants_text(value: bool | int | float, schema: JsonObject) -> bool:
    wanted = schema.get("type", ())
    kinds = {wanted} if isinstance(wanted, str) else set(wanted)
    own = {bool: {"boolean"}, int: {"integer", "number"}, float: {"number"}}[type(value)]
    return "string" in kinds and kinds.isdisjoint(own)


def is_ambiguous(text: str) -> bool:
    """Whether this unquoted scalar is a number that would not be written like this again."""
    if _NUMBER.fullmatch(text) is None:
        return False
    if _FAITHFUL.fullmatch(text) is None:
        return True
    # More digits than a float holds are lost as well.
    return "." in text and Decimal(text) != Decimal(repr(float(text)))


@functools.lru_cache(maxsize=8)
def has_ambiguous(text: str) -> bool:
    """Whether such a number may stand anywhere in the text of a file; quick, and wrong only on the safe side."""
    return any(is_ambiguous(match[0]) for match in _CANDIDATE.finditer(text))


def ambiguous_numbers(
    value: Json, schema: JsonObject, written: Written, in_place: Written | None = None, trail: Trail = ()
) -> Iterator[Finding]:
    """A finding for each number of a document whose spelling would be lost.

    `written` gives the spelling; `in_place` what stands in the document itself, where that may be a variable.
    """
    if isinstance(value, dict):
        for name, item in value.items():
            yield from ambiguous_numbers(item, property_schema(schema, name) or {}, written, in_place, (*trail, name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from ambiguous_numbers(item, schema.get("items", {}), written, in_place, (*trail, index))
    elif isinstance(value, int | float) and not isinstance(value, bool) and not _is_variable(trail):
        text = written(trail)
        is_typed = "type" in schema
        if text and is_ambiguous(text) and (not is_typed or _LEADING_ZERO.fullmatch(text)):
            where = ", where the variable has its value" if in_place and in_place(trail) != text else ""
            yield _finding(trail, text, value, is_typed, where)


def _is_variable(trail: Trail) -> bool:
    """The value of a variable: how it was written is kept, and judged where it is used."""
    return len(trail) == 5 and trail[:2] == ("spec", "environments") and trail[3] == "vars"


def _finding(trail: Trail, text: str, number: int | float, is_typed: bool, where: str) -> Finding:
    plain = repr(number)
    if "e" in plain and "." not in plain:
        plain = plain.replace("e", ".0e")
    remedy = f"Write `{plain}`" if is_typed else f'Quote it if it is text, `"{text}"`, or write `{plain}` if a number'
    return Finding(
        trail,
        f"`{dotted(trail)}` is no plainly written number: {text}",
        f"It would become the number {plain}, and how it was written would be lost.",
        f"{remedy}{where}.",
        code=Mistake.AMBIGUOUS_NUMBER,
    )
