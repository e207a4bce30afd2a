"""Properties of values, durations, keys, bundles and differences."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specrunner.core.bundles import entry_point, is_safe_name, problems
from specrunner.core.diff import Difference, differences
from specrunner.core.keys import Key, Kind
from specrunner.core.resources import intent_of
from specrunner.core.values import (
    Secret,
    canonical,
    digest,
    format_duration,
    iso,
    parse_duration,
    parse_iso,
    parse_size,
)

TEXT = st.text(max_size=6)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=10,
)
# Few names and values, so that two of them often meet.
SMALL = st.recursive(
    st.none() | st.booleans() | st.sampled_from([0, 1, 1.0, "", "1"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=8,
)

ARGS = st.dictionaries(st.sampled_from("ab"), SMALL, max_size=2)


def shuffled(value: Any) -> Any:
    """The same value with the keys of every mapping in reverse order."""
    if isinstance(value, dict):
        return {name: shuffled(value[name]) for name in reversed(list(value))}
    return [shuffled(item) for item in value] if isinstance(value, list) else value


def plain(value: Any) -> Any:
    """Without what counts as absent: nulls, empty texts, lists and mappings."""
    if isinstance(value, dict):
        found = {name: plain(item) for name, item in value.items()}
        return {name: item for name, item in found.items() if item is not None} or None
    if isinstance(value, list):
        return [plain(item) for item in value] or None
    return None if value == "" else value


def patched(value: Any, found: list[Difference]) -> Any:
    """`value` with these differences carried out."""
    for difference in found:
        value = _patched(value, difference.path, difference.new)
    return value


def _patched(value: Any, path: tuple[str, ...], new: Any) -> Any:
    if not path:
        return copy.deepcopy(new)
    fields = dict(value) if isinstance(value, Mapping) else {}
    return {**fields, path[0]: _patched(fields.get(path[0]), path[1:], new)}


@given(JSON)
def test_canonical_text_is_json_of_the_same_value_and_stable_under_the_order_of_keys(value: Any) -> None:
    text = canonical(value)
    assert canonical(shuffled(value)) == text
    assert canonical(json.loads(text)) == text
    assert text.isascii()


@given(JSON, JSON)
def test_digests_are_equal_exactly_where_canonical_texts_are(one: Any, other: Any) -> None:
    assert (digest(one) == digest(other)) == (canonical(one) == canonical(other))


@given(SMALL, SMALL)
def test_equal_secrets_have_equal_hashes(one: Any, other: Any) -> None:
    assert Secret(one) == Secret(shuffled(one))
    assert Secret(one) != Secret(other) or hash(Secret(one)) == hash(Secret(other))


@given(JSON)
def test_nothing_differs_from_itself(value: Any) -> None:
    assert not list(differences(value, value))
    assert not list(differences(value, shuffled(json.loads(json.dumps(value)))))


@given(SMALL | JSON, SMALL | JSON)
def test_carrying_the_differences_out_gives_the_other_value(old: Any, new: Any) -> None:
    assert canonical(plain(patched(old, list(differences(old, new))))) == canonical(plain(new))


@given(SMALL, SMALL)
def test_values_differ_exactly_where_more_differs_than_what_counts_as_absent(old: Any, new: Any) -> None:
    assert bool(list(differences(old, new))) == (canonical(plain(old)) != canonical(plain(new)))


@given(SMALL, SMALL)
def test_differences_are_the_same_from_either_side_and_in_order_of_paths(old: Any, new: Any) -> None:
    there, back = list(differences(old, new)), list(differences(new, old))
    assert [(one.path, one.new, one.old) for one in back] == [(one.path, one.old, one.new) for one in there]
    assert [one.path for one in there] == sorted({one.path for one in there})


@given(ARGS, ARGS)
def test_arguments_that_differ_are_another_order(one: Any, other: Any) -> None:
    intents = {intent_of({"orchestration": "x", "args": args}) for args in (one, other)}
    if list(differences(one, other)):
        assert len(intents) == 2
    if canonical(one) == canonical(other):
        assert len(intents) == 1


@given(st.integers(0, 10**11))
def test_a_duration_that_was_written_is_read_back(seconds: int) -> None:
    assert parse_duration(format_duration(seconds)) == parse_duration(seconds) == seconds


@given(st.floats(0, 10**9))
def test_a_written_duration_is_off_by_less_than_it_shows(seconds: float) -> None:
    text = format_duration(seconds)
    shown = float(text[:-1]) if "." in text else parse_duration(text)
    assert abs(shown - seconds) <= (0.05 if "." in text else 0.5) + 1e-6


@given(st.text(max_size=12) | st.text("0123456789dhms KMGTiB.", max_size=12))
def test_any_text_is_a_duration_or_a_size_or_refused(text: str) -> None:
    for parse in (parse_duration, parse_size):
        try:
            assert parse(text) >= 0
        except ValueError as problem:
            assert repr(text) in str(problem)


@given(st.datetimes(timezones=st.just(UTC)))
def test_an_instant_that_was_written_is_read_back(moment: datetime) -> None:
    assert parse_iso(iso(moment)) == moment
    assert iso(moment).endswith("Z")


@given(st.sampled_from(Kind), st.text("a/ é", min_size=1, max_size=5), st.text("ab ", min_size=1, max_size=3))
def test_a_key_that_was_written_is_read_back(kind: Kind, name: str, workspace: str) -> None:
    key = Key.of(kind, name, workspace)
    assert Key.parse(str(key)) == key


@given(st.sampled_from([*Kind, "Job", ""]), st.text("a/ ", max_size=5))
def test_a_text_is_a_key_exactly_where_it_is_written_like_one(kind: str, rest: str) -> None:
    workspace, slash, name = rest.partition("/")
    inside = kind in set(Kind) and Kind(kind).in_workspace
    if kind in set(Kind) and (bool(workspace and slash and name) if inside else bool(rest)):
        assert str(Key.parse(f"{kind}/{rest}")) == f"{kind}/{rest}"
    else:
        with pytest.raises(ValueError, match=r"Kind|key|form"):
            Key.parse(f"{kind}/{rest}")


FILES = st.sampled_from(["main.py", "a/main.py", "x.py", "a/y.py"]) | st.text("ab./\\:é\x00", max_size=8)


@given(st.lists(FILES, max_size=5, unique=True), st.randoms(use_true_random=False))
def test_the_entry_point_is_one_of_the_files_and_does_not_depend_on_their_order(names: list[str], random: Any) -> None:
    entry = entry_point(names)
    random.shuffle(names)
    assert entry_point(names) == entry
    assert entry is None or PurePosixPath(entry) in [PurePosixPath(name) for name in names]
    assert bool(problems(dict.fromkeys(names, 1), 1)) or (entry is not None and all(map(is_safe_name, names)))


@given(FILES)
def test_a_safe_name_stays_below_its_folder(name: str) -> None:
    if is_safe_name(name):
        joined = PurePosixPath("/bundle") / name
        assert PurePosixPath("/bundle") in joined.parents
        assert ".." not in joined.parts
