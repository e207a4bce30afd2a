"""Small ONNX models made on the spot, tables, and the tutorials' real files where this machine has them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import onnx
import pyarrow as pa
import pytest
from onnx import TensorProto, helper, numpy_helper

REAL = Path(__file__).resolve().parents[3] / "shared" / "data" / "houseprice"
needs_real_data = pytest.mark.skipif(not REAL.is_dir(), reason="the tutorials' house price data is not on this machine")

WIDTH = 18
NOON = datetime(2023, 5, 22, 12, 0, 0, 123_456, tzinfo=UTC)


def later(milliseconds: int) -> datetime:
    return NOON + timedelta(milliseconds=milliseconds)


def save(
    path: Path,
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[onnx.ValueInfoProto],
    outputs: Sequence[onnx.ValueInfoProto],
    constants: Sequence[onnx.TensorProto] = (),
) -> Path:
    graph = helper.make_graph(nodes, "sample", inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())
    return path


def tensor(name: str, shape: Sequence[int | str | None], kind: int = TensorProto.FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def weights(width: int = WIDTH) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return (np.arange(1, width + 1, dtype=np.float32) / np.float32(8)).reshape(width, 1)


def linear(
    path: Path, rows: int | str | None = None, width: int = WIDTH, output: str = "variable", factor: float = 1.0
) -> Path:
    """`variable = float_input @ (factor * weights) + 1`, [rows, width] to [rows, 1].

    Exact in float32 on small integers, so that no splitting of requests changes a digit.
    """
    nodes = [
        helper.make_node("MatMul", ["float_input", "w"], ["product"]),
        helper.make_node("Add", ["product", "b"], [output]),
    ]
    constants = [
        numpy_helper.from_array(np.float32(factor) * weights(width), "w"),
        numpy_helper.from_array(np.ones(1, np.float32), "b"),
    ]
    return save(path, nodes, [tensor("float_input", [rows, width])], [tensor(output, [rows, 1])], constants)


def identity(path: Path, kind: int, shape: Sequence[int | str | None], name: str = "x") -> Path:
    nodes = [helper.make_node("Identity", [name], ["y"])]
    return save(path, nodes, [tensor(name, shape, kind)], [tensor("y", shape, kind)])


def add(path: Path) -> Path:
    """`sum = left + right`, two scalar columns to one."""
    nodes = [helper.make_node("Add", ["left", "right"], ["sum"])]
    return save(path, nodes, [tensor("left", [None]), tensor("right", [None])], [tensor("sum", [None])])


def rows_table(rows: int, name: str = "tensor", width: int = WIDTH) -> pa.Table:
    """`rows` rows of small whole numbers as fixed_size_list<float>[width]."""
    values = pa.array((np.arange(rows * width) % 97).astype(np.float32))
    return pa.table({name: pa.FixedSizeListArray.from_arrays(values, width)})


def answer(first: int, rows: int, now: datetime, extra: str | None = None) -> pa.Table:
    """What a plane answers, with numbered inputs, so that an order can be read off it."""
    numbers = np.arange(first, first + rows)
    columns = {
        "time": pa.array([now.replace(tzinfo=None)] * rows, pa.timestamp("ms")),
        "in.number": pa.array(numbers, pa.int64()),
        "check_failures": pa.array(np.zeros(rows, np.int8)),
    }
    if extra is not None:
        columns[extra] = pa.array([f"{extra}-{number}" for number in numbers])
    return pa.table(columns)


def numbers(table: pa.Table) -> list[int]:
    found: list[int] = table.column("in.number").to_pylist() if "in.number" in table.column_names else []
    return found
