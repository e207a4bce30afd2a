"""Any table through every encoding is the same table; steps, cuts and concurrency change no answer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from specrunner.core.errors import BadInput
from specrunner.engine.serving.codecs import Media, decode, encode
from specrunner.engine.serving.dataplane import PipelinePlane, Step
from specrunner.engine.serving.open_inference import read_request
from specrunner.engine.serving.runtimes import OnnxModel, OnnxRuntime
from specrunner.engine.serving.splits import Split
from specrunner.engine.serving.steps import ByWeight, ModelRef
from tests.unit import serving_samples as samples

FEW = settings(max_examples=40, deadline=None)
COLUMNAR = (Media.ARROW_FILE, Media.ARROW_STREAM, Media.PARQUET)
V2_TYPES = {"FP32": pa.float32(), "FP64": pa.float64(), "INT64": pa.int64(), "INT8": pa.int8(), "UINT32": pa.uint32()}
CELLS: dict[pa.DataType, st.SearchStrategy[Any]] = {
    pa.float32(): st.floats(width=32, allow_nan=False, allow_infinity=False),
    pa.float64(): st.floats(allow_nan=False, allow_infinity=False),
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.int8(): st.integers(-128, 127),
    pa.uint32(): st.integers(0, 2**32 - 1),
    pa.bool_(): st.booleans(),
    pa.string(): st.text(max_size=8),
}
NAMES = st.lists(st.text(min_size=1, max_size=6), min_size=1, max_size=4, unique=True)


@st.composite
def columns(draw: st.DrawFn, rows: int, depths: int, *, nulls: bool) -> pa.Array:
    """Cells of one type, or lists of them nested so deep, with nulls at every level."""
    kind = draw(st.sampled_from(list(CELLS)))
    cells = CELLS[kind]
    for depth in range(draw(st.integers(0, depths)) + 1):
        cells = (st.none() | cells) if nulls else cells
        if depth:
            kind, cells = pa.list_(kind), st.lists(cells, max_size=3)
            cells = (st.none() | cells) if nulls else cells
    return pa.array(draw(st.lists(cells, min_size=rows, max_size=rows)), kind)


@st.composite
def tables(draw: st.DrawFn, least: int = 0, depths: int = 2, *, nulls: bool = True) -> pa.Table:
    rows = draw(st.integers(least, 5))
    return pa.table({name: draw(columns(rows, depths, nulls=nulls)) for name in draw(NAMES)})


@FEW
@given(tables(), st.sampled_from(COLUMNAR))
def test_the_columnar_formats_keep_all_types_nulls_and_names(table: pa.Table, media: Media) -> None:
    assert decode(encode(table, media), media).replace_schema_metadata(None) == table


@FEW
@given(tables(least=1))
def test_json_keeps_values_nulls_and_names_and_a_schema_brings_the_types_back(table: pa.Table) -> None:
    found = decode(encode(table, Media.PANDAS_RECORDS), Media.PANDAS_RECORDS)
    assert found.column_names == table.column_names
    assert found.cast(table.schema) == table


def test_json_has_no_table_without_rows() -> None:
    assert encode(pa.table({"x": pa.array([], pa.int8())}), Media.PANDAS_RECORDS) == b"[]"
    with pytest.raises(BadInput, match="no rows"):
        decode(b"[]", Media.PANDAS_RECORDS)


@st.composite
def csv_tables(draw: st.DrawFn) -> pa.Table:
    """Without texts, which CSV can't tell from what they look like."""
    table = draw(tables(least=1, depths=1, nulls=draw(st.booleans())))
    kinds = [column.type for column in table.columns]
    numbers = [not pa.types.is_string(kind) and kind != pa.list_(pa.string()) for kind in kinds]
    kept = [name for name, is_number in zip(table.column_names, numbers, strict=True) if is_number]
    return table.select(kept) if kept else pa.table({"x": [1.5]})


@FEW
@given(csv_tables())
def test_csv_keeps_numbers_lists_and_their_nulls(table: pa.Table) -> None:
    found = decode(encode(table, Media.CSV), Media.CSV)
    assert found.column_names == table.column_names
    assert found.cast(table.schema) == table


@FEW
@given(st.data(), st.sampled_from(list(V2_TYPES)), st.booleans(), st.integers(1, 4), st.integers(0, 3))
def test_a_tensor_of_the_open_protocol_is_the_column_that_it_was(
    data: st.DataObject, datatype: str, binary: bool, rows: int, width: int
) -> None:
    kind, shape = V2_TYPES[datatype], [rows, width] if width else [rows]
    count = rows * max(width, 1)
    values = np.array(data.draw(st.lists(CELLS[kind], min_size=count, max_size=count)), kind.to_pandas_dtype())
    tensor: dict[str, Any] = {"name": "ü x", "datatype": datatype, "shape": shape}
    blob = values.tobytes() if binary else b""
    tensor |= {"parameters": {"binary_data_size": len(blob)}} if binary else {"data": values.tolist()}
    head = json.dumps({"inputs": [tensor]}).encode()
    (column,) = read_request(head + blob, str(len(head))).table.columns
    assert column.to_pylist() == values.reshape(shape).tolist()
    assert (column.type.value_type if width else column.type) == kind


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, OnnxModel]]:
    folder = tmp_path_factory.mktemp("models")
    made = {
        "one": samples.linear(folder / "one.onnx"),
        "two": samples.linear(folder / "two.onnx", factor=2.0),
        "then": samples.linear(folder / "then.onnx", width=1, output="again"),
    }
    loaded = {name: OnnxRuntime().load(path, {}) for name, path in made.items()}
    yield loaded
    for model in loaded.values():
        model.close()


def plane_of(models: dict[str, OnnxModel]) -> PipelinePlane:
    """A split by key with a shadow, then another model."""
    refs = (ModelRef("one", "1"), ModelRef("two", "2"))
    split = Split((models["one"], models["two"]), refs, ByWeight((1, 2), "who"))
    return PipelinePlane([Step("one", models["one"], {"two": models["two"]}, split), Step("then", models["then"])])


@st.composite
def requests(draw: st.DrawFn) -> pa.Table:
    rows = draw(st.integers(1, 30))
    return samples.rows_table(rows).append_column(
        "who", pa.array(draw(st.lists(st.text("abc", max_size=2), min_size=rows, max_size=rows)))
    )


@FEW
@given(requests(), st.lists(st.integers(0, 30), max_size=5))
def test_neither_cuts_nor_concurrency_change_an_answer(
    models: dict[str, OnnxModel], table: pa.Table, cuts: list[int]
) -> None:
    plane, rows = plane_of(models), table.num_rows
    edges = sorted({0, rows, *(cut for cut in cuts if cut < rows)})
    whole = plane.infer(table, samples.NOON)
    parts = [table.slice(left, right - left) for left, right in pairwise(edges)]
    with ThreadPoolExecutor(4) as pool:
        found = pa.concat_tables(pool.map(lambda part: plane.infer(part, samples.NOON), parts))
    assert found.combine_chunks() == whole


@FEW
@given(requests(), st.sampled_from(Media))
def test_the_encoding_of_a_request_changes_no_answer(
    models: dict[str, OnnxModel], table: pa.Table, media: Media
) -> None:
    told = table.set_column(1, "who", pa.array([f"w{who}" for who in table.column("who").to_pylist()]))
    plane = plane_of(models)
    assert plane.infer(decode(encode(told, media), media), samples.NOON) == plane.infer(told, samples.NOON)


@FEW
@given(requests())
def test_steps_are_asked_in_their_order(models: dict[str, OnnxModel], table: pa.Table) -> None:
    rows = table.select(["tensor"])
    chained = PipelinePlane([Step("one", models["one"]), Step("then", models["then"])]).infer(rows, samples.NOON)
    assert (
        chained["out.again"].combine_chunks()
        == models["then"].predict(models["one"].predict(rows))["again"].combine_chunks()
    )
