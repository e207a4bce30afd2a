"""How two values are shown as a difference."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specrunner.core.diff import HIDDEN, SECRET
from specrunner.core.textdiff import LONG, Block, Form, Inline, Said, shown, text_of
from specrunner.core.textlines import DiffLine, Mark, cut, fitted, unified
from specrunner.core.values import Secret

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


def marks(lines: tuple[DiffLine, ...]) -> list[str]:
    signs = {Mark.SAME: " ", Mark.ADDED: "+", Mark.REMOVED: "-", Mark.GAP: "⋮"}
    return [f"{signs[line.mark]}{line.text}" for line in lines]


def block(old: Any, new: Any) -> Block:
    (found,) = shown(old, new)
    assert isinstance(found, Block)
    return found


@pytest.mark.parametrize(
    ("old", "new", "texts"),
    [
        (1, 2, ("1", "2")),
        ("a", "b", ('"a"', '"b"')),
        (None, "a", ("(none)", '"a"')),
        (60.0, None, ("60", "(none)")),
        ("", None, ('""', "(none)")),
        ("1", 1, ('"1"', "1")),
        (True, 1, ("true", "1")),
        ("Prag", "Zürich 東京", ('"Prag"', '"Zürich 東京"')),
        (None, {"b": 1, "a": [2]}, ("(none)", '{"a": [2], "b": 1}')),
        ([1], "x", ("[1]", '"x"')),
        ("(none)", None, ('"(none)"', "(none)")),
    ],
)
def test_short_values_stand_side_by_side(old: Any, new: Any, texts: tuple[str, str]) -> None:
    assert shown(old, new) == (Inline("", *texts),)


def test_mappings_are_shown_path_by_path() -> None:
    assert shown({"a": {"b": 1, "c": 2}, "d": None}, {"a": {"b": 1, "c": 3}}) == (
        Inline("a.c", "2", "3"),
        Inline("d", "null", "(none)"),
    )


def test_a_mapping_too_long_for_a_line_is_shown_path_by_path_where_there_was_none() -> None:
    assert shown(None, {"a": "x" * LONG, "b": 1})[1] == Inline("b", "(none)", "1")


def test_a_list_shows_its_items_in_order() -> None:
    found = block(["annex", "lab"], ["lab", None])
    assert found.form is Form.LIST
    assert marks(found.lines) == ['-"annex"', ' "lab"', "+null"]


def test_of_a_list_of_the_same_length_only_what_differs_inside_its_items_is_shown() -> None:
    old = [{"split": [{"model": "a", "weight": 9}]}, {"model": "b"}]
    new = [{"split": [{"model": "a", "weight": 5}]}, {"model": "b"}]
    assert shown(old, new) == (Inline("[0].split[0].weight", "9", "5"),)


def test_long_text_is_shown_by_lines_with_three_of_context() -> None:
    old = "".join(f"{number}\n" for number in range(20))
    found = block(old, old.replace("10\n", "ten\n"))
    assert found.form is Form.TEXT
    assert marks(found.lines) == ["⋮7 unchanged", " 7", " 8", " 9", "-10", "+ten", " 11", " 12", " 13", "⋮6 unchanged"]


@pytest.mark.parametrize(("old", "new"), [("a\nb", "a\nb\n"), ("a", "a\n"), ("a\nb\n", "a\nb\n\n")])
def test_a_line_feed_at_the_end_is_a_difference_that_can_be_seen(old: str, new: str) -> None:
    assert [line.mark for line in block(old, new).lines if line.mark is not Mark.SAME] == [Mark.ADDED]


def test_text_that_comes_or_goes_whole_is_shown_by_lines() -> None:
    assert marks(block(None, "a\nb").lines) == ["+a", "+b"]
    assert marks(block("a\nb", 3).lines) == ["-a", "-b", "+3"]


def test_json_in_a_string_is_compared_as_what_it_says() -> None:
    assert shown('{"a": 1, "b": {"c": [1]}}', '{"b": {"c": [1]}, "a": 2}') == (Inline("(JSON).a", "1", "2"),)


def test_json_that_is_only_written_otherwise_says_so() -> None:
    assert shown('{"a": 1}', '{ "a":1 }') == (Said("", "the same JSON, written otherwise"),)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('{"a": 1}', '{"a": 1'),
        ('{"a": 1}', "[1]"),
        ('{"a": 1, "a": 2}', '{"a": 2}'),
        ('{"a": NaN}', '{"a": 1}'),
        ('{"a": 1e999}', '{"a": 1}'),
        ("1", "2"),
        ("", "{}"),
    ],
)
def test_what_is_no_plain_json_on_both_sides_is_text(old: str, new: str) -> None:
    assert shown(old, new) == (Inline("", json.dumps(old), json.dumps(new)),)


def test_json_nested_too_deep_to_be_read_is_text() -> None:
    deep = "[" * 100_000 + "]" * 100_000
    assert block(deep, deep.replace("[]", "[1]")).form is Form.TEXT


def test_a_secret_is_never_shown() -> None:
    assert shown(SECRET, SECRET) == (Said("", "(secret) changed"),)
    assert shown(None, SECRET) == (Inline("", "(none)", "(secret)"),)
    assert shown(Secret("hunter2\nhunter3"), Secret("hunter4")) == (Said("", "(secret) changed"),)
    assert shown(SECRET, "plain\ntext")[0] == Block(
        "",
        Form.TEXT,
        (DiffLine(Mark.REMOVED, "(secret)"), DiffLine(Mark.ADDED, "plain"), DiffLine(Mark.ADDED, "text")),
    )
    assert text_of(Secret("hunter2")) == "(secret)"


@given(JSON, JSON)
def test_of_any_two_values_something_is_shown_and_no_line_holds_a_line_feed(old: Any, new: Any) -> None:
    found = shown(old, new)
    assert found
    for entry in found:
        texts = [line.text for line in entry.lines] if isinstance(entry, Block) else []
        assert all("\n" not in text for text in texts)


@given(st.lists(st.sampled_from("abc"), max_size=30), st.lists(st.sampled_from("abc"), max_size=30))
def test_the_lines_of_a_difference_make_both_sides(old: list[str], new: list[str]) -> None:
    at, at_new = 0, 0
    for line in unified(old, new):
        count = int(line.text.split()[0]) if line.mark is Mark.GAP else 1
        texts = old[at : at + count] if line.mark is Mark.GAP else [line.text]
        if line.mark is not Mark.ADDED:
            assert old[at : at + count] == texts
            at += count
        if line.mark is not Mark.REMOVED:
            assert new[at_new : at_new + count] == texts
            at_new += count
    assert (at, at_new) == (len(old), len(new))


def test_huge_texts_are_shown_at_once_whatever_they_hold() -> None:
    begun = time.process_time()
    shown("\n".join("ab" * 50_000), "\n".join("ba" * 50_000))
    shown("x\n" * 100_000 + "a", "x\n" * 100_000 + "b")
    assert time.process_time() - begun < 5


def test_of_a_long_line_the_part_that_differs_is_kept() -> None:
    old, new = "x" * 500 + "old" + "y" * 500, "x" * 500 + "new" + "y" * 500
    before, after = fitted(unified([old], [new]), 60)
    assert ("old" in before.text, "new" in after.text) == (True, True)
    assert max(len(before.text), len(after.text)) <= 60


@given(st.text(max_size=300), st.text(max_size=300), st.integers(10, 120))
def test_no_line_is_wider_than_asked_for(old: str, new: str, width: int) -> None:
    lines = (DiffLine(Mark.REMOVED, old), DiffLine(Mark.ADDED, new), DiffLine(Mark.SAME, old))
    found = list(fitted(lines, width))
    assert [line.mark for line in found] == [Mark.REMOVED, Mark.ADDED, Mark.SAME]
    assert all(len(line.text) <= width for line in found)
    if old != new:
        assert found[0].text != found[1].text


def test_a_text_that_fits_is_not_cut() -> None:
    assert (cut("abc", 3), cut("abcd", 3)) == ("abc", "ab…")


def test_a_hidden_value_says_that_it_is_one() -> None:
    assert shown(HIDDEN, "x") == (Inline("", "(hidden)", '"x"'),)


def test_shas_are_shown_short_wherever_they_stand() -> None:
    old, new = "0a" * 32, "f1" * 32
    assert shown(old, new) == (Inline("", '"0a0a0a...0a0a0a"', '"f1f1f1...f1f1f1"'),)
    assert shown({"m": old}, {"m": new}) == (Inline("m", '"0a0a0a...0a0a0a"', '"f1f1f1...f1f1f1"'),)
    assert text_of([{"m": old}]) == '[{"m": "0a0a0a...0a0a0a"}]'
    for other in (old.upper(), old[:-1], f"{old}0", f"{old}\n"):
        assert text_of(other) == json.dumps(other)
