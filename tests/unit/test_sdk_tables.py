"""Arrow tables and data frames on their way to and from the platform."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from specrunner.sdk import tables
from specrunner.sdk.exceptions import InferenceError, SdkError

ROWS = [[4.0, 2.5], [3.0, 1.75]]


def test_a_table_survives_the_file() -> None:
    table = pa.table({"tensor": ROWS}).replace_schema_metadata({"status": "x"})
    again = tables.read_arrow(bytes(tables.arrow_file(table)))
    assert again.equals(table, check_metadata=True)


def test_what_is_no_arrow_file_is_told_as_such() -> None:
    with pytest.raises(SdkError, match="not an Arrow file"):
        tables.read_arrow(b"nothing of the kind")


def test_a_frame_goes_without_its_index_and_comes_back_with_lists() -> None:
    frame = pd.DataFrame({"tensor": ROWS, "price": [1.5, 2.5]}, index=[10, 20])
    table = tables.table_of(frame)
    assert table.column_names == ["tensor", "price"]
    assert table.schema.metadata is None
    again = tables.frame_of(table)
    assert list(again.columns) == ["tensor", "price"]
    assert again["tensor"].tolist() == ROWS
    assert isinstance(again["tensor"][0], list)


def test_cells_of_several_dimensions_become_nested_lists_and_the_frame_is_left_alone() -> None:
    frame = pd.DataFrame({"image": [np.zeros((2, 2)), np.ones((2, 2))]})
    assert tables.table_of(frame).column("image").to_pylist() == [[[0, 0], [0, 0]], [[1, 1], [1, 1]]]
    assert frame["image"][0].shape == (2, 2)


def test_a_table_of_nested_columns_only_keeps_its_rows() -> None:
    assert tables.frame_of(pa.table({"a": ROWS}))["a"].tolist() == ROWS


def test_an_empty_frame_goes_through() -> None:
    assert tables.frame_of(tables.table_of(pd.DataFrame({"a": []}))).empty


def test_a_column_of_mixed_types_is_an_inference_error() -> None:
    with pytest.raises(InferenceError, match="cannot be sent"):
        tables.table_of(pd.DataFrame({"a": [1, "x"]}))


def test_milliseconds_become_a_timestamp_and_failures_a_count() -> None:
    table = pa.table(
        {
            "time": pa.array([1684345240126, 0], pa.int64()),
            "check_failures": pa.array([[], ["a", "b"]], pa.list_(pa.string())),
        }
    )
    tidy = tables.tidied(table)
    assert tidy.schema.field("time").type == pa.timestamp("ms")
    assert str(tidy.to_pandas()["time"][0]) == "2023-05-17 17:40:40.126000"
    assert tidy.column("check_failures").to_pylist() == [0, 2]


def test_columns_that_are_as_they_should_be_stay() -> None:
    table = pa.table({"time": pa.array([0], pa.timestamp("ms")), "check_failures": pa.array([0], pa.int8())})
    assert tables.tidied(table).equals(table)


@pytest.mark.parametrize(
    ("value", "kind"), [({}, "json"), ([1], "json"), (pd.DataFrame(), "frame"), (pa.table({"a": [1]}), "table")]
)
def test_the_kind_of_an_input(value: Any, kind: str) -> None:
    assert tables.kind_of(value) == kind


def test_a_subclass_of_a_frame_is_a_frame() -> None:
    class Special(pd.DataFrame):
        pass

    assert tables.kind_of(Special()) == "frame"


def test_an_input_of_another_kind_is_refused_by_name() -> None:
    with pytest.raises(InferenceError, match="ndarray"):
        tables.kind_of(np.zeros(3))


def test_json_takes_numpy_and_instants() -> None:
    value = {"a": np.int64(3), "b": np.arange(2), "c": pd.Timestamp("2023-05-17")}
    assert json.loads(tables.json_body(value)) == {"a": 3, "b": [0, 1], "c": "2023-05-17T00:00:00"}
    with pytest.raises(InferenceError, match="JSON"):
        tables.json_body({"a": object()})


@pytest.fixture
def table() -> pa.Table:
    return pa.table({"a": [1, 2]})


def test_files_of_every_format_are_read(tmp_path: Path, table: pa.Table) -> None:
    (tmp_path / "x.arrow").write_bytes(tables.arrow_file(table))
    with pa.ipc.new_stream(str(tmp_path / "stream.arrow"), table.schema) as stream:
        stream.write_table(table)
    pd.DataFrame({"a": [1, 2]}).to_parquet(tmp_path / "x.parquet")
    (tmp_path / "x.csv").write_text("a\n1\n2\n", encoding="utf-8")
    (tmp_path / "x.df.json").write_text('[{"a": 1}, {"a": 2}]', encoding="utf-8")
    for name in ("x.arrow", "stream.arrow", "x.parquet"):
        assert tables.read_file(tmp_path / name, None).column("a").to_pylist() == [1, 2]
    for name in ("x.csv", "x.df.json"):
        assert tables.read_file(tmp_path / name, None)["a"].tolist() == [1, 2]
    assert tables.read_file(tmp_path / "x.df.json", "custom-json") == [{"a": 1}, {"a": 2}]


@pytest.mark.parametrize("content", ["{}", "[]", "[1]", '[{"a": 1}, {"b": 2}]', "["])
def test_json_that_is_no_list_of_like_records_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InferenceError, match="pandas-records"):
        tables.read_file(path, None)


@pytest.mark.parametrize(("name", "chosen"), [("x.txt", None), ("x.arrow", "excel")])
def test_an_unknown_format_is_refused(tmp_path: Path, name: str, chosen: str | None) -> None:
    with pytest.raises(InferenceError, match="not known"):
        tables.read_file(tmp_path / name, chosen)


@pytest.mark.parametrize("name", ["gone.arrow", "gone.csv", "gone.parquet", "gone.json"])
def test_a_missing_file_is_an_inference_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(InferenceError, match="gone"):
        tables.read_file(tmp_path / name, None)
