"""The Open Inference Protocol, version 2: tables from requests and answers from tables, in JSON and in bytes."""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from specrunner.core.errors import BadInput
from specrunner.engine.ports import TensorField
from specrunner.engine.serving.open_inference import Answered, Asked, metadata, read_request, write_answer
from specrunner.engine.serving.tensors import ARROW_TYPES, to_column

KINDS = {"INT8": "int8", "INT64": "int64", "UINT32": "uint32", "FP16": "float16", "FP32": "float32", "FP64": "float64"}


def request(*inputs: dict[str, Any], **more: Any) -> bytes:
    return json.dumps({"inputs": inputs, **more}).encode()


def one(data: Any, shape: list[int], datatype: str = "FP32", **more: Any) -> dict[str, Any]:
    return {"name": "x", "shape": shape, "datatype": datatype, "data": data, **more}


def answer_of(array: Any, name: str = "y") -> pa.Table:
    """What the data plane answers with this output."""
    kind = pa.string() if array.dtype == object else pa.from_numpy_dtype(array.dtype)
    field, values = to_column(array, f"out.{name}", kind, len(array))
    other = pa.field("check_failures", pa.int8()), pa.array([0] * len(array), pa.int8())
    return pa.Table.from_arrays([values, other[1]], schema=pa.schema([field, other[0]]))


def tensors(answer: Answered) -> dict[str, Any]:
    """The outputs of an answer as arrays."""
    head = json.loads(answer.body[: answer.json_length])
    rest, found = answer.body[answer.json_length :] if answer.json_length else b"", {}
    for output in head["outputs"]:
        kind = np.dtype(KINDS[output["datatype"]]).newbyteorder("<")
        if "data" in output:
            found[output["name"]] = np.array(output["data"], kind).reshape(output["shape"])
        else:
            size = output["parameters"]["binary_data_size"]
            found[output["name"]] = np.frombuffer(rest[:size], kind).reshape(output["shape"])
            rest = rest[size:]
    assert not rest
    return found


def test_flat_and_nested_data_are_the_same_table() -> None:
    flat, nested = one([1, 2, 3, 4, 5, 6], [2, 3]), one([[1, 2, 3], [4, 5, 6]], [2, 3])
    assert read_request(request(flat)).table == read_request(request(nested)).table
    assert read_request(request(flat)).table.to_pylist() == [{"x": [1, 2, 3]}, {"x": [4, 5, 6]}]


def test_one_dimension_is_a_value_in_each_row_and_three_are_lists_of_lists() -> None:
    assert read_request(request(one([1, 2], [2]))).table.to_pylist() == [{"x": 1}, {"x": 2}]
    assert read_request(request(one([1, 2, 3, 4], [1, 2, 2]))).table.to_pylist() == [{"x": [[1, 2], [3, 4]]}]


def test_each_datatype_is_the_column_that_it_says() -> None:
    for datatype, kind in {**KINDS, "BOOL": "bool", "BYTES": "string"}.items():
        value: Any = {"BOOL": True, "BYTES": "text"}.get(datatype, 1)
        table = read_request(request(one([value], [1], datatype))).table
        assert table.column("x").to_pylist() == [value]
        assert table.schema.field("x").type == ARROW_TYPES[kind]


def test_nan_and_infinities_are_numbers() -> None:
    table = read_request(
        b'{"inputs": [{"name": "x", "shape": [2], "datatype": "FP32", "data": [NaN, Infinity]}]}'
    ).table
    assert str(table.column("x").to_pylist()) == "[nan, inf]"


def test_what_a_request_says_beside_its_inputs_is_known() -> None:
    body = request(
        one([1], [1]),
        id="7",
        outputs=[{"name": "a", "parameters": {"binary_data": True}}, {"name": "b"}],
        parameters={"binary_data_output": True, "priority": 3},
    )
    asked = read_request(body)
    assert (asked.id, asked.outputs, asked.binary, asked.all_binary) == ("7", ("a", "b"), frozenset("a"), True)


@given(arrays.arrays(st.sampled_from([np.float32, np.float64, np.int64, np.uint32, np.int8]), (3, 2)))
def test_bytes_in_are_the_same_as_numbers_in(values: Any) -> None:
    datatype = next(name for name, kind in KINDS.items() if np.dtype(kind) == values.dtype)
    blob = values.astype(values.dtype.newbyteorder("<")).tobytes()
    head = {"name": "x", "shape": [3, 2], "datatype": datatype, "parameters": {"binary_data_size": len(blob)}}
    body = request(head)
    found = read_request(body + blob, str(len(body))).table.column("x").combine_chunks().flatten()
    np.testing.assert_array_equal(found.to_numpy(), values.reshape(-1))


def test_texts_come_and_go_as_bytes() -> None:
    blob = b"".join(struct.pack("<I", len(text.encode())) + text.encode() for text in ("", "grün"))
    body = request({"name": "x", "shape": [2], "datatype": "BYTES", "parameters": {"binary_data_size": len(blob)}})
    table = read_request(body + blob, str(len(body))).table
    assert table.column("x").to_pylist() == ["", "grün"]
    answer = write_answer(answer_of(np.array(["", "grün"], object)), Asked(table, all_binary=True), "m", "1")
    assert answer.body[answer.json_length :] == blob


@given(
    arrays.arrays(
        st.sampled_from([np.float16, np.float32, np.float64, np.int64]), st.sampled_from([(2,), (2, 3), (1, 2, 2)])
    ),
    st.booleans(),
)
def test_any_output_comes_back_to_the_last_bit(values: Any, binary: bool) -> None:
    asked = Asked(pa.table({}), all_binary=binary)
    found = tensors(write_answer(answer_of(values), asked, "m", "1"))["y"]
    assert found.shape == values.shape and found.dtype == values.dtype
    if binary or values.dtype.kind == "i":
        np.testing.assert_array_equal(found, values)
    else:
        np.testing.assert_array_equal(found, np.where(np.isfinite(values), values, np.nan))


def test_a_float_is_told_by_the_fewest_digits_of_its_own_width() -> None:
    answer = write_answer(answer_of(np.array([718013.7, 0.1], np.float32)), Asked(pa.table({})), "m", "1")
    assert json.loads(answer.body)["outputs"][0]["data"] == [718013.7, 0.1]
    assert answer.json_length is None


def test_only_the_outputs_that_are_asked_for_come_and_only_those_as_bytes() -> None:
    both = answer_of(np.array([1.0], np.float32), "a")
    both = both.append_column("out.b", pa.array([2.0], pa.float32()))
    found = json.loads(write_answer(both, Asked(pa.table({}), id="7", outputs=("b",)), "m", "v").body)
    assert found == {
        "model_name": "m",
        "model_version": "v",
        "id": "7",
        "outputs": [{"name": "b", "datatype": "FP32", "shape": [1], "data": [2.0]}],
    }
    mixed = write_answer(both, Asked(pa.table({}), outputs=("b", "a"), binary=frozenset("a")), "m", "v")
    assert {name: float(value[0]) for name, value in tensors(mixed).items()} == {"b": 2.0, "a": 1.0}
    with pytest.raises(BadInput, match="no output 'c'"):
        write_answer(both, Asked(pa.table({}), outputs=("c",)), "m", "v")


def test_inputs_are_described_with_any_number_of_rows() -> None:
    fields = [TensorField("x", "float32", (1, 18)), TensorField("w", "string", (None, None))]
    assert metadata(fields) == [
        {"name": "x", "datatype": "FP32", "shape": [-1, 18]},
        {"name": "w", "datatype": "BYTES", "shape": [-1, -1]},
    ]
