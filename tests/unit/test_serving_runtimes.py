"""The ONNX runtime: how columns become inputs, how outputs become columns, and what it says to what does not fit."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from onnx import TensorProto, helper

from specrunner.core.errors import BadInput
from specrunner.core.values import Json
from specrunner.engine.ports import TensorField
from specrunner.engine.serving.runtimes import OnnxModel, OnnxRuntime
from specrunner.engine.serving.tensors import bind, input_column, output_type, to_array
from tests.unit import serving_samples as samples

FIELD = TensorField("float_input", "float32", (None, 3))


@pytest.fixture
def model(tmp_path: Path) -> OnnxModel:
    return OnnxRuntime().load(samples.linear(tmp_path / "linear.onnx"), {})


def test_importing_the_package_imports_none_of_the_heavy_libraries() -> None:
    code = (
        "import sys, specrunner.engine.serving\n"
        "sys.exit(', '.join({'pyarrow', 'pandas', 'numpy', 'onnxruntime'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, capture_output=True).stderr.strip() == b""


def test_a_fixed_size_list_of_the_models_type_is_not_copied() -> None:
    values = pa.array(np.arange(6, dtype=np.float32))
    column = pa.chunked_array([pa.FixedSizeListArray.from_arrays(values, 3)])
    array = to_array(column, "tensor", FIELD)
    assert array.shape == (2, 3)
    assert np.shares_memory(array, values.to_numpy())


def test_a_slice_of_a_column_gives_the_rows_of_the_slice() -> None:
    table = samples.rows_table(9, width=3).slice(4, 2)
    assert to_array(table.column("tensor"), "tensor", FIELD).tolist() == table.column("tensor").to_pylist()


@pytest.mark.parametrize(
    "kind",
    [
        pa.list_(pa.float32(), 3),
        pa.list_(pa.float64()),
        pa.large_list(pa.float16()),
        pa.list_(pa.int64()),
        pa.list_(pa.uint8(), 3),
    ],
    ids=str,
)
def test_lists_of_any_sort_and_number_become_the_inputs_type(kind: pa.DataType) -> None:
    rows = [[1, 2, 3], [4, 5, 6]]
    array = to_array(pa.chunked_array([pa.array(rows, kind)]), "tensor", FIELD)
    assert array.dtype == np.float32
    assert array.tolist() == rows


def test_several_chunks_are_one_array() -> None:
    table = pa.concat_tables([samples.rows_table(2, width=3), samples.rows_table(1, width=3)])
    assert to_array(table.column("tensor"), "tensor", FIELD).shape == (3, 3)


@pytest.mark.parametrize(
    ("shape", "rows", "expected"),
    [
        ((None,), [1.0, 2.0], (2,)),
        ((None, 1), [1.0, 2.0], (2, 1)),
        ((None,), [[1.0], [2.0]], (2,)),
        ((None, 2, 2), [[1, 2, 3, 4]], (1, 2, 2)),
        ((None, 2, 2), [[[1, 2], [3, 4]]], (1, 2, 2)),
        ((None, None), [[1, 2, 3]], (1, 3)),
        ((2, 1), [[1], [2]], (2, 1)),
    ],
)
def test_shapes_fit_where_each_row_holds_as_many_values(
    shape: tuple[int | None, ...], rows: Json, expected: tuple[int, ...]
) -> None:
    assert to_array(pa.array(rows), "x", TensorField("x", "float32", shape)).shape == expected


def test_a_tensor_extension_column_is_taken_by_its_storage() -> None:
    kind = pa.fixed_shape_tensor(pa.float32(), [3])
    storage = pa.array([[1, 2, 3]], pa.list_(pa.float32(), 3))
    array = to_array(pa.chunked_array([pa.ExtensionArray.from_storage(kind, storage)]), "x", FIELD)
    assert array.tolist() == [[1, 2, 3]]


REFUSED = {
    "wrong width": (pa.table({"t": [[1.0, 2.0]]}), "wrong size", "float32[any, 3]; its rows have 2 values"),
    "scalars": (pa.table({"t": [1.0]}), "wrong size", "its rows have one value"),
    "ragged": (pa.table({"t": [[1.0, 2, 3], [1.0]]}), "not equally long", "Row 0 has 3 values, row 1 has 1 value"),
    "null row": (pa.table({"t": [[1.0, 2, 3], None]}), "has nulls", "1 of its 2 values is null"),
    "null inside": (pa.table({"t": [[1.0, None, None]]}), "has nulls", "2 of its 3 values are null"),
    "all null": (pa.table({"t": pa.nulls(2)}), "has nulls", "float32[any, 3]"),
    "text": (pa.table({"t": [["a", "b", "c"]]}), "wrong type", "its values are of type string"),
    "times": (pa.table({"t": pa.array([1], pa.timestamp("ms"))}), "wrong type", "timestamp[ms]"),
    "no rows": (samples.rows_table(0, "t", 3), "has no rows", "t: fixed_size_list<item: float>[3]"),
    "no columns": (pa.table({}), "has no column `float_input`", "there came no columns"),
    "surplus": (pa.table({"float_input": [[1.0, 2, 3]], "b": [1]}), "unknown column `b`", "`float_input`, `b`"),
}


@pytest.mark.parametrize("case", REFUSED, ids=str)
def test_what_does_not_fit_is_told_with_what_was_expected_and_what_came(case: str) -> None:
    table, summary, detail = REFUSED[case]
    with pytest.raises(BadInput) as error:
        bind([FIELD], table)
    assert summary in error.value.summary
    assert detail in error.value.detail
    assert error.value.remedy


def test_two_columns_of_one_name_are_refused() -> None:
    table = pa.Table.from_arrays([pa.array([1.0]), pa.array([2.0])], names=["a", "a"])
    with pytest.raises(BadInput, match="repeats the column `a`"):
        bind([TensorField("a", "float32", (None,))], table)


def test_a_fraction_is_not_silently_cut_to_an_integer() -> None:
    with pytest.raises(BadInput, match="does not fit the model's int64"):
        to_array(pa.array([1.5]), "x", TensorField("x", "int64", (None,)))


def test_one_column_binds_to_one_input_whatever_its_name(model: OnnxModel) -> None:
    table = samples.rows_table(3)
    assert model.predict(table) == model.predict(table.rename_columns(["float_input"]))


def test_several_columns_bind_by_name_in_any_order(tmp_path: Path) -> None:
    model = OnnxRuntime().load(samples.add(tmp_path / "add.onnx"), {})
    found = model.predict(pa.table({"right": [1.0, 2.0], "left": [10, 20]}))
    assert found.to_pydict() == {"sum": [11.0, 22.0]}
    assert found.schema.field("sum").type == pa.float32()
    with pytest.raises(BadInput, match="has no column `left`"):
        model.predict(pa.table({"right": [1.0], "middle": [1.0]}))


def test_outputs_are_lists_of_what_can_not_be_null(model: OnnxModel) -> None:
    assert str(model.predict(samples.rows_table(2)).schema) == (
        "variable: list<inner: float not null> not null\n  child 0, inner: float not null"
    )
    assert model.predict(samples.rows_table(2)).schema.field(0).type == output_type(model.outputs[0])


@pytest.mark.parametrize(
    ("kind", "rows"),
    [
        (TensorProto.STRING, ["", "ä", "words"]),
        (TensorProto.INT64, [2**62, -1, 0]),
        (TensorProto.BOOL, [True, False, True]),
        (TensorProto.DOUBLE, [0.1, 1e300, -0.0]),
        (TensorProto.FLOAT16, [0.5, 2.0, -1.0]),
    ],
)
def test_each_element_type_goes_in_and_comes_out_unchanged(tmp_path: Path, kind: int, rows: list[Json]) -> None:
    model = OnnxRuntime().load(samples.identity(tmp_path / "same.onnx", kind, [None]), {})
    assert model.predict(pa.table({"x": rows})).to_pydict() == {"y": rows}


def test_an_output_of_three_dimensions_is_a_list_of_lists(tmp_path: Path) -> None:
    model = OnnxRuntime().load(samples.identity(tmp_path / "same.onnx", TensorProto.FLOAT, [None, 2, 2]), {})
    rows = [[[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0], [7.0, 8.0]]]
    assert model.predict(pa.table({"x": rows})).to_pydict() == {"y": rows}


def test_a_fixed_batch_says_how_many_rows_it_takes(tmp_path: Path) -> None:
    model = OnnxRuntime().load(samples.linear(tmp_path / "fixed.onnx", rows=2), {})
    assert model.predict(samples.rows_table(2)).num_rows == 2
    with pytest.raises(BadInput, match="another number of rows") as error:
        model.predict(samples.rows_table(3))
    assert "2 rows at a time; there came 3" in error.value.detail


def test_a_model_that_fails_on_a_zero_row_shows_so_when_it_is_loaded(tmp_path: Path) -> None:
    nodes = [helper.make_node("Reshape", ["x", "shape"], ["y"])]
    shape = helper.make_tensor("shape", TensorProto.INT64, [2], [-1, 7])
    path = samples.save(
        tmp_path / "odd.onnx", nodes, [samples.tensor("x", [None, 3])], [samples.tensor("y", [None, 7])], [shape]
    )
    with pytest.raises(BadInput, match=r"odd\.onnx can't infer") as error:
        OnnxRuntime().load(path, {})
    assert "[ONNXRuntimeError]" not in error.value.detail


def test_an_output_without_a_row_per_row_is_refused(tmp_path: Path) -> None:
    nodes = [helper.make_node("ReduceSum", ["x"], ["y"], keepdims=0)]
    path = samples.save(tmp_path / "sum.onnx", nodes, [samples.tensor("x", [None, 3])], [samples.tensor("y", [])])
    with pytest.raises(BadInput, match="not one row for each row"):
        OnnxRuntime().load(path, {})


def test_an_input_without_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="takes no rows"):
        OnnxRuntime().load(samples.identity(tmp_path / "scalar.onnx", TensorProto.FLOAT, []), {})


def test_an_output_that_is_no_tensor_is_refused_with_the_way_out(tmp_path: Path) -> None:
    nodes = [helper.make_node("SequenceConstruct", ["x"], ["y"])]
    output = helper.make_tensor_sequence_value_info("y", TensorProto.FLOAT, [None])
    path = samples.save(tmp_path / "sequence.onnx", nodes, [samples.tensor("x", [None])], [output])
    with pytest.raises(BadInput, match=r"has the type seq\(tensor\(float\)\)") as error:
        OnnxRuntime().load(path, {})
    assert "zipmap" in error.value.remedy


@pytest.mark.parametrize("threads", [0, -1, "four", True, 1.5])
def test_threads_must_be_a_number_of_threads(tmp_path: Path, threads: Json) -> None:
    with pytest.raises(BadInput, match="`threads`"):
        OnnxRuntime().load(samples.linear(tmp_path / "linear.onnx"), {"threads": threads})


def test_a_broken_file_is_told_without_codes_and_paths(tmp_path: Path) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"hello" * 20)
    with pytest.raises(BadInput) as error:
        OnnxRuntime().load(path, {})
    assert error.value.detail == "Protobuf parsing failed."


def test_a_logged_fixed_size_list_shares_the_values_of_the_request() -> None:
    table = samples.rows_table(4)
    field, values = input_column(table.column("tensor"), "in.tensor", pa.float32())
    assert str(field) == "pyarrow.Field<in.tensor: list<item: float> not null>"
    assert values.values.buffers()[1].address == table.column("tensor").chunk(0).values.buffers()[1].address
    assert values.to_pylist() == table.column("tensor").to_pylist()
