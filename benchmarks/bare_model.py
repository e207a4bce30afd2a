"""Bare onnxruntime with Arrow decode and encode: what every other way of inference is measured against."""

from __future__ import annotations

from pathlib import Path

import onnxruntime as ort
import pyarrow as pa

ARROW = "application/vnd.apache.arrow.file"


def arrow_bytes(table: pa.Table) -> bytes:
    """A table as an Arrow IPC file."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def read_arrow(body: bytes) -> pa.Table:
    """The table in an Arrow IPC file."""
    with pa.ipc.open_file(pa.py_buffer(body)) as reader:
        return reader.read_all()


class BareModel:
    """A model with one input, fed by one column of lists, run with the engine's thread settings."""

    def __init__(self, path: Path, threads: int) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name
        self.column = f"out.{self._session.get_outputs()[0].name}"

    def answer(self, body: bytes) -> bytes:
        """Arrow bytes in, Arrow bytes of the first output out."""
        column = read_arrow(body).column(0).combine_chunks()
        rows = column.flatten().to_numpy().reshape(len(column), -1)
        found = self._session.run(None, {self._input: rows})[0]
        values = pa.FixedSizeListArray.from_arrays(pa.array(found.reshape(-1)), found.shape[1])
        return arrow_bytes(pa.table({self.column: values}))
