"""What a model's function takes and gives: by annotation or name, and every kind of answer as a table or as JSON."""

from __future__ import annotations

import ast
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from specrunner.engine.serving.workers import inside
from specrunner.engine.serving.workers.inside.defaults import default_of
from specrunner.engine.serving.workers.inside.schema import fields_of, zero_row
from specrunner.engine.serving.workers.inside.shapes import (
    BadAnswer,
    BadRequest,
    Form,
    Unusable,
    form_of,
    from_json,
    from_table,
    to_json,
    to_table,
)

TABLE = pa.table({"a": [1, 2], "b": ["x", "y"]})


def function(text: str) -> Callable[[Any], Any]:
    names: dict[str, Any] = {"pd": pd, "pa": pa, "Any": Any}
    exec(text, names)
    found: Callable[[Any], Any] = names.get("predict") or names["wallaroo_json"]
    return found


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("def predict(frame): ...", Form.FRAME),
        ("def predict(data): ...", Form.FRAME),
        ("def predict(table): ...", Form.ARROW),
        ("def predict(x: pa.Table): ...", Form.ARROW),
        ("def predict(x: 'pyarrow.Table'): ...", Form.ARROW),
        ("def predict(table: pd.DataFrame): ...", Form.FRAME),
        ("def predict(table: 'pandas.DataFrame'): ...", Form.FRAME),
        ("def predict(x: dict): ...", Form.VALUE),
        ("def predict(x: dict[str, list[float]]): ...", Form.VALUE),
        ("def predict(x: 'list[dict]'): ...", Form.VALUE),
        ("def predict(x: Any): ...", Form.VALUE),
        ("def predict(x: str): ...", Form.TEXT),
        ("def wallaroo_json(data): ...", Form.TEXT),
        ("def wallaroo_json(data: pd.DataFrame): ...", Form.FRAME),
    ],
)
def test_the_first_parameter_says_what_a_function_takes(text: str, form: Form) -> None:
    assert form_of(function(text)) is form


def test_a_function_that_takes_nothing_is_refused() -> None:
    with pytest.raises(Unusable, match="takes no argument"):
        form_of(function("def predict(): ..."))


def test_a_table_comes_in_each_form() -> None:
    assert from_table(TABLE, Form.ARROW) is TABLE
    assert from_table(TABLE, Form.FRAME).to_dict("list") == {"a": [1, 2], "b": ["x", "y"]}
    assert from_table(TABLE, Form.VALUE) == {"a": [1, 2], "b": ["x", "y"]}
    assert from_table(TABLE, Form.TEXT) == '{"a": [1, 2], "b": ["x", "y"]}'


@pytest.mark.parametrize(
    "value",
    [
        {"a": {"0": 1, "1": 2}, "b": {"0": "x", "1": "y"}},
        {"a": [1, 2], "b": ["x", "y"]},
        [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}],
    ],
)
def test_json_in_each_of_its_forms_is_the_same_frame(value: Any) -> None:
    assert from_json(value, Form.FRAME).to_dict("list") == {"a": [1, 2], "b": ["x", "y"]}
    assert from_json(value, Form.ARROW).to_pydict() == TABLE.to_pydict()
    assert from_json(value, Form.VALUE) is value


def test_a_flat_object_is_one_row() -> None:
    assert from_json({"a": 1, "b": "x"}, Form.FRAME).to_dict("records") == [{"a": 1, "b": "x"}]


@pytest.mark.parametrize("value", [7, "text", {"a": [1, 2], "b": [1]}, {"a": {"0": 1}, "b": [1, 2]}])
def test_json_that_is_no_table_is_refused_where_one_is_wanted(value: Any) -> None:
    with pytest.raises(BadRequest, match="no table"):
        from_json(value, Form.FRAME)


TWO = {
    "frame": pd.DataFrame({"y": [1.0, 2.0]}, index=[5, 9]),
    "table": pa.table({"y": [1.0, 2.0]}),
    "batch": pa.record_batch({"y": [1.0, 2.0]}),
    "series": pd.Series([1.0, 2.0]),
    "named series": pd.Series([1.0, 2.0], name="y"),
    "columns": {"y": [1.0, 2.0]},
    "columns of arrays": {"y": np.array([1.0, 2.0])},
    "columns of series": {"y": pd.Series([1.0, 2.0])},
    "records": [{"y": 1.0}, {"y": 2.0}],
    "one record of lists": [{"y": [1.0, 2.0]}],
    "array": np.array([1.0, 2.0]),
    "list": [1.0, 2.0],
    "tuple": (1.0, 2.0),
    "text": '{"y": [1.0, 2.0]}',
}


@pytest.mark.parametrize("answer", TWO.values(), ids=TWO)
def test_every_kind_of_answer_becomes_the_same_table(answer: Any) -> None:
    assert to_table(answer, 2, ["y"], "output") == pa.table({"y": [1.0, 2.0]})


def test_what_has_no_name_is_called_by_the_default() -> None:
    assert to_table(np.array([1, 2]), 2, [], "prediction").column_names == ["prediction"]


def test_arrays_of_more_dimensions_are_lists() -> None:
    found = to_table({"y": np.arange(12).reshape(2, 3, 2)}, 2, [], "y")
    assert found.to_pydict() == {"y": [[[0, 1], [2, 3], [4, 5]], [[6, 7], [8, 9], [10, 11]]]}


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (None, r"nothing \(None\)"),
        (7, "builtins.int"),
        ({"y": 1.0}, "a column is something of the type builtins.float"),
        ({"y": "text"}, "a column is something of the type builtins.str"),
        ({"y": [1.0]}, "2 rows went in and 1 came out"),
        ([], "2 rows went in and 0 came out"),
        ({}, "2 rows went in and 0 came out"),
        ({"y": [1, "x"]}, "can't be made into a table"),
        ({"y": [1, 2], "z": [1]}, "can't be made into a table"),
        ([[1], ["x"]], "can't be made into a table"),
        ("no json", "can't be made into a table"),
    ],
)
def test_what_is_no_table_is_told_in_words(answer: Any, words: str) -> None:
    with pytest.raises(BadAnswer, match=words):
        to_table(answer, 2, [], "y")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"f": [1.5]}, [{"f": [1.5]}]),
        ([{"f": 1}, {"f": 2}], [{"f": 1}, {"f": 2}]),
        (pd.DataFrame({"y": [1, 2]}), [{"y": 1}, {"y": 2}]),
        (pa.table({"y": [1, 2]}), [{"y": 1}, {"y": 2}]),
        (np.array([1.0, 2.0]), [{"out": 1.0}, {"out": 2.0}]),
        ('{"f": 1}', [{"f": 1}]),
        ({"f": np.float32(0.5), "g": np.int64(3), "h": np.bool_(True)}, [{"f": 0.5, "g": 3, "h": True}]),
        ({"f": [float("nan"), float("inf"), pd.NaT, pd.NA]}, [{"f": [None, None, None, None]}]),
        ({"t": datetime(2031, 5, 1)}, [{"t": "2031-05-01T00:00:00"}]),  # noqa: DTZ001 - as models have them
        ({1: {"x"}}, [{"1": ["x"]}]),
        (None, [{"out": None}]),
    ],
)
def test_json_answers_are_lists_of_objects_of_what_json_has(answer: Any, expected: Any) -> None:
    assert to_json(answer, "out") == expected


@pytest.mark.parametrize("answer", [object(), {"x": b"bytes"}, [object()], "no json"])
def test_what_json_has_no_form_for_is_told_in_words(answer: Any) -> None:
    with pytest.raises(BadAnswer):
        to_json(answer, "out")


def test_a_zero_row_has_the_declared_types_and_shapes() -> None:
    fields: list[dict[str, Any]] = [
        {"name": "x", "type": "float32", "shape": [None, 2]},
        {"name": "n", "type": "int64", "shape": [None]},
        {"name": "t", "type": "string", "shape": [None]},
        {"name": "b", "type": "bool", "shape": [None]},
    ]
    row = zero_row(fields)
    assert row is not None and row.to_pylist() == [{"x": [0.0, 0.0], "n": 0, "t": "", "b": False}]
    assert [field["type"] for field in fields_of(row)] == ["float32", "int64", "string", "bool"]
    assert zero_row([{"name": "x", "type": "float32", "shape": [None, None]}]) is None
    assert zero_row([]) is None


def test_columns_of_types_that_fields_do_not_have_are_not_described() -> None:
    assert fields_of(pa.table({"x": pa.array([None], pa.timestamp("ms"))})) == []


class Forecaster:
    """As statsmodels has its results."""

    class model:  # noqa: N801
        exog = np.ones((3, 2))
        exog_names = ("wind", "temp")

    def forecast(self, steps: int, exog: pd.DataFrame) -> Any:
        return exog["wind"] * 10 + exog["temp"] + steps


class Estimator:
    """As scikit-learn has one that was fitted without names."""

    n_features_in_ = 3

    def predict(self, rows: Any) -> Any:
        return np.asarray(rows).sum(axis=1)


def test_results_forecast_by_the_regressors_they_were_trained_on_in_their_order() -> None:
    default = default_of(Forecaster())
    assert default.inputs == ("wind", "temp")
    frame = pd.DataFrame({"temp": [1, 2], "wind": [3, 4], "more": [0, 0]})
    assert default(frame)["forecast"].tolist() == [33, 44]
    with pytest.raises(KeyError, match="no column wind"):
        default(pd.DataFrame({"temp": [1]}))


def test_an_estimator_takes_one_column_of_lists_or_a_column_for_each_number() -> None:
    default = default_of(Estimator())
    zeros = default.zeros()
    assert zeros is not None and zeros.shape == (1, 3)
    assert default(pd.DataFrame({"t": [[1, 2, 3], [4, 5, 6]]}))["prediction"].tolist() == [6, 15]
    assert default(pd.DataFrame({"a": [1], "b": [2], "c": [3]}))["prediction"].tolist() == [6]


def test_a_pickle_of_neither_is_refused() -> None:
    with pytest.raises(Unusable, match="neither `forecast` nor `predict`"):
        default_of({"weights": 1})


def test_the_code_inside_a_worker_knows_nothing_of_specrunner() -> None:
    allowed = {"pandas", "pyarrow", "numpy", "xgboost", "joblib"}
    import sys

    for path in Path(inside.__path__[0]).glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                assert node.level <= 1, path
                names = [node.module or ""] if node.level == 0 else []
            roots = {name.partition(".")[0] for name in names}
            assert roots <= allowed | set(sys.stdlib_module_names), (path, roots)
