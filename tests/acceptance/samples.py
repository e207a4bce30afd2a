"""What the specs here are made of: a model of three weights, tables for it, code of orchestrations."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
import onnx
import pyarrow as pa
from onnx import TensorProto, helper, numpy_helper

WEIGHTS = (0.5, 2.0, -1.0)
ROWS = ((1.0, 2.0, 3.0), (4.0, 0.25, 0.0), (0.0, 0.0, 1.5))
OUTPUTS = (1.5, 2.5, -1.5)  # ROWS @ WEIGHTS

APPEND = """\
    import os
    with open(os.environ["SIDE"], "a") as side:
        side.write(os.environ.get("LINE", "ran") + "\\n")
    print("done")
    """

# Says that it is there, then waits for a file that the test makes.
WAIT = """\
    import os, pathlib, time
    with open(os.environ["SIDE"], "a") as side:
        side.write("ran\\n")
    print("waiting", flush=True)
    deadline = time.monotonic() + 120  # a test that fails leaves nothing behind for good
    while not pathlib.Path(os.environ["SIDE"] + ".go").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    print("done")
    """


def model(producer: str = "") -> bytes:
    """`variable = tensor @ WEIGHTS`, [rows, 3] to [rows, 1]; exact in float32. Another producer makes other bytes."""
    weights = numpy_helper.from_array(np.array(WEIGHTS, np.float32).reshape(3, 1), "w")
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["tensor", "w"], ["variable"])],
        "sample",
        [helper.make_tensor_value_info("tensor", TensorProto.FLOAT, [None, 3])],
        [helper.make_tensor_value_info("variable", TensorProto.FLOAT, [None, 1])],
        [weights],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, producer_name=producer)
    onnx.checker.check_model(made)
    data: bytes = made.SerializeToString()
    return data


def arrow(rows: Sequence[Sequence[float]] = ROWS) -> bytes:
    """An Arrow file with the column `tensor`."""
    table = pa.table({"tensor": pa.array(rows, pa.list_(pa.float32()))})
    sink = io.BytesIO()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()
