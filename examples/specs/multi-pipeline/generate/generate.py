"""Make the models and the hours of this example anew: `python generate/generate.py`, from any folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pyarrow as pa
from onnx import TensorProto, helper, numpy_helper

ROOT = Path(__file__).resolve().parent.parent
MODELS = ROOT / "models"
HOURS = ROOT / "orchestrations" / "score_the_days" / "hours.arrow"

TRAINING_DAYS, DAYS = 60, 2


def main() -> None:
    """Write the three models and the hours."""
    rows = hours(TRAINING_DAYS)
    hour, temperature, wind = rows.T.astype(np.float64)
    demand = 60 + 12 * np.sin((hour - 6) / 24 * 2 * np.pi) - 0.8 * (temperature - 10)
    power = np.clip(4 * wind - 8, 0, None)
    price = 30 + 0.7 * (demand - power)
    MODELS.mkdir(exist_ok=True)
    write(MODELS / "demand.onnx", model("demand", "megawatts", fitted(rows, demand), floor=False))
    write(MODELS / "wind_power.onnx", model("wind-power", "megawatts", fitted(rows, power), floor=True))
    write(MODELS / "price.onnx", model("price", "euros", fitted(rows, price), floor=False))
    write(HOURS, arrow_file(hours(DAYS)))


def hours(days: int) -> np.ndarray:
    """The hours of so many days, float32 [24 * days, 3]: hour of the day, temperature, wind."""
    number = np.arange(24 * days)
    temperature = 10 + 6 * np.sin((number - 9) / 24 * 2 * np.pi) + 4 * np.sin(number / 97)
    wind = 6 + 5 * np.sin(number / 31) + np.sin(number / 7)
    return np.column_stack([number % 24, temperature, wind]).astype(np.float32)


def fitted(rows: np.ndarray, measured: np.ndarray) -> np.ndarray:
    """Three weights and a constant, float32, rounded so that every machine finds the same."""
    columns = np.column_stack([rows, np.ones(len(rows))])
    return np.round(np.linalg.lstsq(columns, measured, rcond=None)[0], 4).astype(np.float32)


def model(name: str, output: str, line: np.ndarray, floor: bool) -> bytes:
    """An ONNX model `output = hour @ weights + constant`, with a `floor` never below zero."""
    constants = [
        numpy_helper.from_array(line[:3].reshape(3, 1), "weights"),
        numpy_helper.from_array(line[3:], "constant"),
    ]
    last = "line" if floor else output
    nodes = [
        helper.make_node("MatMul", ["hour", "weights"], ["product"]),
        helper.make_node("Add", ["product", "constant"], [last]),
    ]
    if floor:
        nodes.append(helper.make_node("Relu", ["line"], [output]))
    taken = helper.make_tensor_value_info("hour", TensorProto.FLOAT, [None, 3])
    given = helper.make_tensor_value_info(output, TensorProto.FLOAT, [None, 1])
    graph = helper.make_graph(nodes, name, [taken], [given], constants)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(made)
    return made.SerializeToString(deterministic=True)


def arrow_file(rows: np.ndarray) -> bytes:
    """An Arrow IPC file with one column `hour`."""
    table = pa.table({"hour": pa.FixedSizeListArray.from_arrays(pa.array(rows.reshape(-1)), rows.shape[1])})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def write(path: Path, data: bytes) -> None:
    path.write_bytes(data)


if __name__ == "__main__":
    main()
