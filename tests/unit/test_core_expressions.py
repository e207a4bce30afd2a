"""Expressions of validations: what may stand in them, and how everything else is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specrunner.core.expressions import (
    DEEPEST,
    LONGEST,
    BadExpression,
    Column,
    Constant,
    Operation,
    Operator,
    columns_of,
    parse_expression,
)


def test_a_comparison_of_a_column_reads_as_it_stands() -> None:
    assert parse_expression(" out.price < 3000000 ") == Operation(Operator.LESS, (Column("price"), Constant(3000000)))


def test_a_chain_of_comparisons_is_all_of_them() -> None:
    found = parse_expression("0 < out.p <= 1")
    assert isinstance(found, Operation) and found.operator is Operator.AND
    assert [part.operator for part in found.operands if isinstance(part, Operation)] == ["less", "less_equal"]


def test_columns_have_names_of_any_sort_and_places() -> None:
    text = 'out["a name"][2] > out.scores[0] and not (out.flag or abs(-out["x"]) / 2 >= 1.5)'
    assert [(column.name, column.index) for column in columns_of(parse_expression(text))] == [
        ("a name", 2),
        ("scores", 0),
        ("flag", None),
        ("x", None),
    ]


@pytest.mark.parametrize(
    ("text", "column", "words"),
    [
        ("", 1, "no expression"),
        ("out.price <", 1, "no expression"),
        ("price < 3", 1, "'price' has no place"),
        ("out.a < in_.b", 9, "is no output column"),
        ("out.a.b < 1", 1, "no output column"),
        ("out[0] < 1", 1, "no output column"),
        ("out.a[-1] < 1", 7, "whole number"),
        ("out.a[True] < 1", 7, "whole number"),
        ("out.a < open('x')", 9, "calls what"),
        ("abs(out.a, 2) < 1", 1, "calls what"),
        ("(lambda: 1)() < 1", 1, "calls what"),
        ("[x for x in out.a] == 1", 1, "no place"),
        ("out.a ** 2 < 1", 1, "operator"),
        ("out.a % 2 == 1", 1, "operator"),
        ("out.a is None", 1, "operator"),
        ("out.a in (1, 2)", 1, "no place|operator"),
        ("out.a == None", 10, "no place"),
        ("out.a == b'x'", 10, "no place"),
        ("out.a < 9223372036854775808", 9, "63 bits"),
        ("out.a + 1", 1, "not true or false"),
        ("'yes'", 1, "not true or false"),
        ("(out.a < 1) + 1 < 2", 2, "not a number"),
        ("not (out.a + 1)", 6, "not true or false"),
        ("-" * (DEEPEST + 1) + "out.a < 1", 40, "nested"),
        ("(" * 400 + "1" + ")" * 400, 1, "no expression|nested"),
        ("1" * (LONGEST + 1), 1, "at most"),
        ("out.a if out.b else out.c", 1, "no place"),
        ("__import__('os').system('x')", 1, "calls what"),
        ("f'{out.a}' == '1'", 1, "no place"),
    ],
)
def test_anything_else_is_refused_at_its_place(text: str, column: int, words: str) -> None:
    with pytest.raises(BadExpression, match=words) as caught:
        parse_expression(text)
    assert caught.value.detail
    if "(" * 400 not in text:
        assert caught.value.column == column


@given(st.text(max_size=60) | st.from_regex(r"[outabs\.\[\]()<>=+*/ \-0-9'\"]{0,40}", fullmatch=True))
def test_no_text_whatever_does_anything_but_parse_or_be_refused(text: str) -> None:
    try:
        found = parse_expression(text)
    except BadExpression:
        return
    assert isinstance(found, Operation | Column | Constant)
