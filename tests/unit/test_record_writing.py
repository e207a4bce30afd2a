from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from specrunner.record.writing import by_library, to_yaml

TRICKY = [
    "yes",
    "No",
    "NULL",
    "~",
    "",
    " a",
    "a ",
    "a: b",
    "a #b",
    "a:",
    "-",
    "- a",
    "? a",
    "1",
    "1e5",
    "0x1f",
    "0b11",
    "1_000",
    ".inf",
    "1:30",
    "2026-11-21",
    "2026-11-21T12:00:00Z",
    "=",
    "<<",
    "a\nb",
    "a\tb",
    "é",
    "\u2028",
    "\x07",
    "'",
    '"',
    "0b1",
    "0a",
    "*a",
    "&a",
    "!a",
    "@a",
    "`a",
    "%a",
    "{a",
    "[a]",
    "a, b",
    "specrunner/v1",
    "on",
    "Y",
    "n",
    "0 2 * * *",
    "...",
    "---",
    "a ... b",
    "\ufeff",
    "😀",
    "0" * 64,
    "1" * 64,
    "e" * 64,
    "1e" + "0" * 62,
    "a" * 64,
    "a" * 200,
    "a b " * 60,
]
TEXT = st.one_of(st.sampled_from(TRICKY), st.text(max_size=30), st.from_regex(r"[0-9a-f]{1,64}", fullmatch=True))
SCALAR = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), TEXT)
VALUE = st.recursive(
    SCALAR,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXT, inner, max_size=4)),
    max_leaves=12,
)


@settings(max_examples=400, deadline=None)
@given(st.dictionaries(TEXT, VALUE, max_size=5))
def test_the_quick_way_writes_what_the_library_writes(value: dict[str, Any]) -> None:
    assert to_yaml(value) == by_library(value)


@pytest.mark.parametrize("text", TRICKY)
def test_every_tricky_text_is_written_as_the_library_does_and_comes_back(text: str) -> None:
    for value in ({"k": text}, {text: "v"}, {"k": [text]}, {"k": {"l": [{"m": text, text: None}]}}):
        assert to_yaml(value) == by_library(value)
        assert yaml.safe_load(to_yaml(value)) == value


@pytest.mark.parametrize("value", [None, 1, "text", [], {}, [1], {"a": float("inf")}, {"a": [[1]]}, {"a": {"b": []}}])
def test_other_values_are_written_too(value: Any) -> None:
    assert to_yaml(value) == by_library(value)
