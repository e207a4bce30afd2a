"""The loop of a worker: it loads one model, then answers one request after the other until its socket ends.

Heads of requests: `{"op": "load", "path", "inputs", "outputs"}` first, then `{"op": "table"}` with an Arrow stream and
`{"op": "json"}` with JSON as body. Heads of answers: `{"ok": true, ...}`, a body of the same kind, or
`{"error": {"kind", "type", "message", "traceback"}}`; kinds are `load`, `trial`, `request`, `model`, `answer` and
`memory`.
"""

from __future__ import annotations

import json
import os
import socket
import traceback
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow as pa

from . import frames
from .loading import Predictor, load
from .schema import Field, fields_of, zero_row
from .shapes import BadAnswer, BadRequest, OurWords, from_json, from_table, to_json, to_table

_Answer = tuple[dict[str, Any], bytes | memoryview]
_MAX_BODY = 2**40  # the engine has looked at its size
_OOM_SCORE = 900  # of 1000: where memory is short, the kernel takes this process before the engine
_LONGEST_TRACEBACK = 8_000  # characters
_HERE = str(Path(__file__).parent)


def serve(sock: socket.socket) -> None:
    """Answer what comes until the socket ends."""
    _offer_ourselves()
    worker = Worker()
    while True:
        try:
            head, body = frames.receive(sock, _MAX_BODY)
            frames.send(sock, *worker.answer(head, body))
        except (EOFError, BrokenPipeError, ConnectionResetError):
            os._exit(0)


class Worker:
    """One model and what is known of it."""

    def __init__(self) -> None:
        self._predictor: Predictor | None = None
        self._outputs: list[str] = []

    def answer(self, head: dict[str, Any], body: bytearray) -> _Answer:
        """The answer to one message; whatever the model's code raises is in it, SystemExit included."""
        try:
            if head["op"] == "load":
                return self._load(head), b""
            return self._table(body) if head["op"] == "table" else self._json(body)
        except BadRequest as error:
            return _error("request", error), b""
        except BadAnswer as error:
            return _error("answer", error), b""
        except MemoryError as error:
            return _error("memory", error), b""
        except BaseException as error:
            return _error(self._stage(head), error), b""

    def _stage(self, head: dict[str, Any]) -> str:
        if head["op"] != "load":
            return "model"
        return "load" if self._predictor is None else "trial"

    def _load(self, head: dict[str, Any]) -> dict[str, Any]:
        self._predictor = load(Path(head["path"]))
        self._outputs = [field["name"] for field in head["outputs"]]
        inputs, outputs, remark = self._tried(head["inputs"])
        return {"ok": True, "inputs": inputs, "outputs": outputs, "remark": remark}

    def _tried(self, declared: list[Field]) -> tuple[list[Field], list[Field], str]:
        """Inputs, outputs, and what went wrong where nobody had declared what the model takes."""
        row = zero_row(declared)
        if row is not None:
            return declared, fields_of(self._predicted(row)), ""
        default = self._predictor.default if self._predictor else None
        zeros = default.zeros() if default and not declared else None
        if default is None or zeros is None:
            return declared, [], ""
        try:
            outputs = fields_of(self._predicted(pa.table(_float_columns(zeros))))
        except Exception as error:  # such as texts to be encoded: what types it takes is not in the model
            return [], [], f"It was not tried on zeros: {type(error).__name__}: {error}"
        read = [{"name": name, "type": "float64", "shape": [None]} for name in default.inputs]
        return read, outputs, ""

    def _table(self, body: bytearray) -> _Answer:
        with pa.ipc.open_stream(pa.py_buffer(body)) as reader:
            found = self._predicted(reader.read_all())
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, found.schema) as writer:
            writer.write_table(found)
        return {"ok": True}, memoryview(sink.getvalue())

    def _predicted(self, table: pa.Table) -> pa.Table:
        predictor = self._ready()
        result = predictor.function(from_table(table, predictor.form))
        return to_table(result, table.num_rows, self._outputs, predictor.column)

    def _json(self, body: bytearray) -> _Answer:
        predictor = self._ready()
        value = from_json(json.loads(bytes(body)), predictor.form)
        found = to_json(predictor.function(value), predictor.column)
        return {"ok": True}, json.dumps(found).encode()

    def _ready(self) -> Predictor:
        if self._predictor is None:
            raise RuntimeError("no model is loaded")
        return self._predictor


def _float_columns(frame: Any) -> dict[str, Any]:
    return {str(name): frame[name].to_numpy() for name in frame.columns}


def _offer_ourselves() -> None:
    try:
        Path("/proc/self/oom_score_adj").write_text(str(_OOM_SCORE), "ascii")
    except OSError:
        return


def _error(kind: str, error: BaseException) -> dict[str, Any]:
    """An error as a head; the traceback begins in the model's own code."""
    words = str(error) or type(error).__name__
    told = words
    if not isinstance(error, OurWords):
        told = "".join(traceback.format_exception(type(error), error, _theirs(error.__traceback__)))
    found = {
        "kind": kind,
        "type": "" if isinstance(error, OurWords) else type(error).__name__,
        "message": words[:_LONGEST_TRACEBACK],
        "traceback": told[-_LONGEST_TRACEBACK:],
    }
    return {"error": found}


def _theirs(frame: TracebackType | None) -> TracebackType | None:
    """The traceback from where our own files end."""
    while frame is not None and frame.tb_frame.f_code.co_filename.startswith((_HERE, "<frozen")):
        frame = frame.tb_next
    return frame
