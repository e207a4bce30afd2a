"""Codecs: tables from bytes and back, and words for what is no table."""

from __future__ import annotations

import json
import math
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from specrunner.core.errors import BadInput
from specrunner.engine.serving.codecs import Media, decode, encode, media_of_header, media_of_path, read_table
from tests.unit import serving_samples as samples

TABLE = pa.table({"tensor": pa.array([[1.0, 2.5], [47.6063, -122.02]], pa.list_(pa.float32())), "n": [1, 2]})


@pytest.mark.parametrize("media", Media)
def test_every_format_gives_back_the_table(media: Media) -> None:
    found = decode(encode(TABLE, media), media.value)
    assert found.cast(TABLE.schema) == TABLE


@pytest.mark.parametrize(
    ("header", "media"),
    [
        ("application/vnd.apache.arrow.file", Media.ARROW_FILE),
        ("APPLICATION/VND.APACHE.ARROW.STREAM", Media.ARROW_STREAM),
        ("application/json", Media.PANDAS_RECORDS),
        ("application/json; format=pandas-records", Media.PANDAS_RECORDS),
        ("application/json;charset=utf-8", Media.PANDAS_RECORDS),
        ("text/csv; header=present", Media.CSV),
    ],
)
def test_a_header_means_its_type_whatever_its_case_and_parameters(header: str, media: Media) -> None:
    assert media_of_header(header) is media


@pytest.mark.parametrize("header", ["", "text/html", "application/octet-stream", "nonsense", "application/jsonx"])
def test_an_unknown_media_type_is_told_with_those_that_are_understood(header: str) -> None:
    with pytest.raises(BadInput, match="carries no table") as error:
        decode(b"[]", header)
    assert "pandas-records" in error.value.detail


@pytest.mark.parametrize("name", ["a.arrow", "a.df.json", "a.JSON", "a.csv", "a.parquet", "a.arrows"])
def test_a_file_is_read_by_the_last_part_of_its_name(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(encode(TABLE, media_of_path(path)))
    assert read_table(path).cast(TABLE.schema) == TABLE


def test_an_arrow_file_may_be_a_stream_and_the_other_way_round(tmp_path: Path) -> None:
    path = tmp_path / "a.arrow"
    path.write_bytes(encode(TABLE, Media.ARROW_STREAM))
    assert read_table(path) == TABLE
    assert decode(encode(TABLE, Media.ARROW_FILE), Media.ARROW_STREAM.value) == TABLE


def test_other_names_and_absent_files_are_bad_input(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no file of a known kind"):
        read_table(tmp_path / "a.pickle")
    with pytest.raises(BadInput, match="can't be read"):
        read_table(tmp_path / "absent.csv")


@pytest.mark.parametrize("media", Media)
@pytest.mark.parametrize("kind", ["empty", "garbage", "half"])
def test_what_came_broken_is_bad_input_with_words(media: Media, kind: str) -> None:
    whole = encode(TABLE, media)
    body = {"empty": b"", "garbage": b"\xff\xfe{]\x00" * 9, "half": whole[: len(whole) // 2]}[kind]
    if media is Media.CSV and kind == "half":
        body = b"a,b\n1,2\n3\n"
    with pytest.raises(BadInput) as error:
        decode(body, media.value)
    assert error.value.summary and error.value.detail and error.value.remedy


def test_every_truncation_of_an_arrow_file_is_refused() -> None:
    whole = encode(TABLE, Media.ARROW_FILE)
    for length in range(len(whole)):
        with pytest.raises(BadInput):
            decode(whole[:length], Media.ARROW_FILE.value)


def test_arrow_with_offsets_beyond_its_values_is_refused() -> None:
    whole = encode(pa.table({"tensor": [[1, 2], [3]]}), Media.ARROW_STREAM)
    good, bad = (np.array(offsets, np.int32).tobytes() for offsets in ([0, 2, 3], [0, 9_000_000, 3]))
    assert whole.count(good) == 1
    with pytest.raises(BadInput, match="not readable"):
        decode(whole.replace(good, bad), Media.ARROW_STREAM.value)


def test_a_json_object_is_custom_json_and_says_so() -> None:
    with pytest.raises(BadInput, match="custom JSON") as error:
        decode(b'{"steps": 7}', "application/json")
    assert "steps" in error.value.detail


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"[1, 2]", "other things than objects"),
        (b"3", "a single int"),
        (b"[]", "empty list"),
        (b'[{"a": 1}, {"a": "x"}]', "."),
        (b'[{"a": [1]}, {"a": 2}]', "."),
        (b'[{"a": 1}', "bytes came"),
        (b"\xff\xfe\xfa", "bytes came"),
    ],
)
def test_json_that_is_no_list_of_records_is_bad_input(body: bytes, words: str) -> None:
    with pytest.raises(BadInput) as error:
        decode(body, "application/json")
    assert words in error.value.detail


def test_a_key_that_a_record_lacks_is_null_there() -> None:
    assert decode(b'[{"a": 1}, {"b": 2.5}]', "application/json").to_pydict() == {"a": [1, None], "b": [None, 2.5]}


def test_floats_are_written_by_the_fewest_digits_of_their_own_width() -> None:
    table = pa.table(
        {
            "single": pa.array([718013.75, 718013.7, 4.0, 1e30, -0.0], pa.float32()),
            "double": pa.array([718013.6875, 0.1, 4.0, 1e300, 1e-7], pa.float64()),
        }
    )
    text = encode(table, Media.PANDAS_RECORDS).decode()
    assert text.startswith('[{"single":718013.75,"double":718013.6875},{"single":718013.7,"double":0.1},')
    assert '{"single":4.0,"double":4.0}' in text
    assert [row["single"] for row in json.loads(text)][3:] == [1e30, -0.0]


def test_times_are_integer_milliseconds_and_what_json_has_not_is_null() -> None:
    table = pa.table(
        {
            "time": pa.array([datetime(2023, 5, 22, 19, 59, 29, 123_000)], pa.timestamp("ms")),  # noqa: DTZ001
            "out": pa.array([[math.nan, math.inf, 1.0, None]], pa.list_(pa.float32())),
            "none": pa.array([None], pa.list_(pa.int8())),
            "empty": pa.array([[]], pa.list_(pa.int8())),
            "deep": pa.array([[[1.5], []]], pa.list_(pa.list_(pa.float32()))),
            'a "word"': ['ä"\n'],
            "flag": [True],
            "half": pa.array([0.5], pa.float16()),
        }
    )
    assert json.loads(encode(table, Media.PANDAS_RECORDS)) == [
        {
            "time": 1684785569123,
            "out": [None, None, 1.0, None],
            "none": None,
            "empty": [],
            "deep": [[1.5], []],
            'a "word"': 'ä"\n',
            "flag": True,
            "half": 0.5,
        }
    ]


def test_no_rows_are_an_empty_list() -> None:
    assert encode(TABLE.slice(0, 0), Media.PANDAS_RECORDS) == b"[]"


def test_csv_has_lists_as_json_texts() -> None:
    assert encode(TABLE, Media.CSV) == b'"tensor","n"\n"[1.0,2.5]",1\n"[47.6063,-122.02]",2\n'
    assert decode(b"a\n[1\n[2\n", "text/csv").column("a").to_pylist() == ["[1", "[2"]


def test_a_column_that_a_format_has_no_form_for_is_told_by_its_type() -> None:
    table = pa.table({"x": [{"a": 1}]})
    with pytest.raises(BadInput, match="can't be written as text/csv") as error:
        encode(table, Media.CSV)
    assert "struct<a: int64>" in error.value.detail
    assert decode(encode(table, Media.ARROW_FILE), Media.ARROW_FILE) == table


def test_parquet_written_elsewhere_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(samples.rows_table(3), path)
    assert read_table(path) == samples.rows_table(3)
