"""Masking in a stream."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specrunner.engine.tasks.redact import Redactor

_texts = st.lists(st.text("ab\n", min_size=1, max_size=5), max_size=4)
_data = st.text("ab\nc", max_size=60).map(str.encode)


def _all(texts: list[str], pieces: list[bytes]) -> bytes:
    redactor = Redactor(texts)
    return b"".join(redactor.feed(piece) for piece in pieces) + redactor.finish()


@pytest.mark.parametrize(
    ("texts", "data", "shown"),
    [
        ([], "plain", "plain"),
        (["", "key"], "a key", "a *****"),
        (["abcd", "cdef"], "xabcdefx", "x*****x"),
        (["ab"], "abab", "**********"),
        (["aa"], "aaaaa", "*****"),
        (["secret", "secretive"], "secretive secret", "***** *****"),
        (["one\ntwo"], "one\ntwo\n", "*****\n"),
        (["schlüssel"], "der schlüssel.", "der *****."),
    ],
)
def test_what_is_shown(texts: list[str], data: str, shown: str) -> None:
    assert _all(texts, [data.encode()]).decode() == shown
    assert Redactor(texts).text(data) == shown


@given(_texts, _data, st.lists(st.integers(0, 60)))
def test_the_cuts_of_the_stream_do_not_matter(texts: list[str], data: bytes, cuts: list[int]) -> None:
    bounds = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]
    pieces = [data[begin:end] for begin, end in pairwise(bounds)]
    assert _all(texts, pieces) == _all(texts, [data])


def test_an_empty_piece_in_the_middle_of_a_mask_makes_no_second_one() -> None:
    assert _all(["aa"], [b"aa", b"", b"a"]) == b"*****"


@given(_texts, _data)
def test_no_text_is_left_between_the_masks(texts: list[str], data: bytes) -> None:
    shown = _all(texts, [data])
    assert not any(text.encode() in part for part in shown.split(b"*****") for text in texts)


@given(_data)
def test_without_texts_nothing_is_held_back(data: bytes) -> None:
    assert Redactor([]).feed(data) == data


def test_what_can_be_no_beginning_is_given_out_at_once() -> None:
    redactor = Redactor(["password"])
    assert redactor.feed(b"the pass") == b"the "
    assert redactor.feed(b"age ") == b"passage "
