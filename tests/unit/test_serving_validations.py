"""Validations: which rows fail, what is counted, and what is refused when a pipeline is deployed."""

from __future__ import annotations

from math import inf, nan

import pyarrow as pa
import pytest

from specrunner.core.errors import BadInput
from specrunner.engine.ports import TensorField
from specrunner.engine.serving.validations import check_validations, failures, read_validations

OUTPUTS = (
    TensorField("price", "float32", (None, 1)),
    TensorField("scores", "float64", (None, 3)),
    TensorField("count", "int64", (None,)),
    TensorField("word", "string", (None,)),
    TensorField("flag", "bool", (None,)),
    TensorField("any", "float32", (None, None)),
    TensorField("cube", "float32", (None, 2, 2)),
)
TABLE = pa.table(
    {
        "price": pa.array([[1.0], [5.0], [nan], [inf]], pa.list_(pa.float32())),
        "scores": [[0.1, 0.2, 0.7], [0.5, 0.5, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]],
        "count": pa.array([2**62, 0, -3, None]),
        "word": ["yes", "no", "", None],
        "flag": [True, False, True, None],
        "any": pa.array([[1.0, 2.0]] * 4, pa.list_(pa.float32())),
    }
)


def failed(*texts: str) -> list[int]:
    found = read_validations([{"name": f"v{n}", "expression": text} for n, text in enumerate(texts)])
    check_validations(found, OUTPUTS)
    columns = {field.name: values for field, values in failures(found, TABLE)}
    assert columns["check_failures"].type == pa.int8()
    counted: list[int] = columns["check_failures"].to_pylist()
    assert columns["anomaly.count"].to_pylist() == counted
    each = [columns[f"anomaly.v{n}"].to_pylist() for n in range(len(texts))]
    assert [sum(row) for row in zip(*each, strict=True)] == counted
    return counted


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("out.price < 3", [0, 1, 1, 1]),
        ("out.price[0] >= 5", [1, 0, 1, 0]),
        ("is_finite(out.price)", [0, 0, 1, 1]),
        ("0 < out.scores[2] <= 1", [0, 1, 1, 1]),
        ("out.scores[0] + out.scores[1] * 2 - 0.5 == 0", [0, 1, 1, 1]),
        ("out.count * 4 > 0", [0, 1, 1, 1]),
        ("out.count / out.count == 1", [0, 1, 0, 1]),
        ("abs(out.count) <= 3 and -out.count >= 0", [1, 0, 0, 1]),
        ("out.word == 'yes' or out.word == ''", [0, 1, 0, 1]),
        ("not out.flag", [1, 0, 1, 1]),
        ("out.flag", [0, 1, 0, 1]),
        ("not (out.price < 3)", [1, 0, 0, 0]),
        ("1 < 2", [0, 0, 0, 0]),
        ("False", [1, 1, 1, 1]),
        ("out.any[1] == 2", [0, 0, 0, 0]),
    ],
)
def test_the_rows_fail_of_which_it_is_not_true(text: str, counts: list[int]) -> None:
    assert failed(text) == counts


def test_a_row_counts_each_validation_that_it_fails() -> None:
    assert failed("out.price < 3", "out.flag", "False") == [1, 3, 2, 3]


def test_without_validations_nothing_fails_and_there_is_no_other_column() -> None:
    ((field, values),) = failures((), TABLE)
    assert (field.name, values.to_pylist()) == ("check_failures", [0, 0, 0, 0])


def test_more_failures_than_the_column_can_tell_are_told_as_many() -> None:
    found = read_validations([{"name": str(n), "expression": "False"} for n in range(130)])
    columns = {field.name: values for field, values in failures(found, TABLE)}
    assert columns["check_failures"].to_pylist() == [127] * 4
    assert columns["anomaly.count"].to_pylist() == [130] * 4


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("out.prices < 3", "there is no output `prices`"),
        ("out.scores < 3", "3 values in each row; say which"),
        ("out.scores[3] < 3", "3 values in each row, numbered from 0"),
        ("out.count[0] < 3", "no place to name"),
        ("out.cube[0] < 3", "tensors of several dimensions"),
        ("out.word < 3", "no kernel"),
        ("out.price", "gives float"),
        ("not out.price", "no kernel"),
        ("is_finite(out.word)", "no kernel"),
    ],
)
def test_what_does_not_fit_the_outputs_is_refused_at_deploy(text: str, words: str) -> None:
    found = read_validations([{"name": "sound", "expression": text}])
    with pytest.raises(BadInput, match=words) as caught:
        check_validations(found, OUTPUTS)
    assert "'sound'" in caught.value.summary and text in caught.value.detail


def test_a_text_that_is_no_expression_names_its_validation() -> None:
    with pytest.raises(BadInput, match="'sound' can't be checked"):
        read_validations([{"name": "sound", "expression": "import os"}])


def test_outputs_that_are_not_declared_are_asked_when_they_come() -> None:
    found = read_validations([{"name": "sound", "expression": "out.absent < 3"}])
    check_validations(found, ())
    with pytest.raises(BadInput, match="'sound' can't be asked"):
        failures(found, TABLE)
