"""The ONNX runtime: loads `.onnx` files with onnxruntime, on the processor, inside this process.

An ONNX graph is data, not code, so it may run here; anything pickled may not. Two defaults are measured: four
intra-op threads, because float32 sums depend on how they are split and four give
the digits of the tutorials; and no spinning, because threads that spin while they wait take the other requests'
processor time.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pyarrow as pa
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from specrunner.core.errors import BadInput, Unavailable
from specrunner.core.values import JsonObject
from specrunner.engine.ports import TensorField
from specrunner.engine.serving.tensors import ARROW_TYPES, Array, bind, to_column

DEFAULT_THREADS = 4

_SILENT = 4  # onnxruntime's severity "fatal": what goes wrong is raised, not printed
_TENSOR = re.compile(r"tensor\((\w+)\)")
_ELEMENT_TYPES = {"float": "float32", "double": "float64"}
_NOISE = re.compile(r"\[ONNXRuntimeError\] : \d+ : \w+ : |Load model from .*? failed: ?", re.DOTALL)
_LONGEST_REASON = 300
# onnxruntime's exceptions share no base class of their own.
_ERRORS = (
    ort_errors.Fail,
    ort_errors.InvalidArgument,
    ort_errors.InvalidGraph,
    ort_errors.InvalidProtobuf,
    ort_errors.NoModel,
    ort_errors.NoSuchFile,
    ort_errors.NotImplemented,
    ort_errors.RuntimeException,
    ort_errors.EPFail,
    RuntimeError,
    ValueError,
)


class OnnxRuntime:
    """Loads ONNX models.

    `config["threads"]` is the number of intra-op threads (4 unless given), `config["name"]` what messages call
    the model (the file's name unless given).
    """

    def load(self, path: Path, config: JsonObject) -> OnnxModel:
        """Load the model and, where its shape is known, try it on one zero row.

        Raises BadInput where the file is no ONNX model, where an input or output is no tensor of a supported
        type, or where the trial fails.
        """
        name = str(config.get("name", path.name))
        try:
            session = ort.InferenceSession(path, _options(config), providers=["CPUExecutionProvider"])
        except _ERRORS as error:
            remedy = "Export the model once more: the file is cut short, or of another format."
            raise BadInput(f"{name} is not a usable ONNX model", _reason(error), remedy) from error
        model = OnnxModel(session, name)
        model.try_zero_row()
        return model


class OnnxModel:
    """A loaded ONNX model. `inputs` and `outputs` are read from the file; safe to call from several threads."""

    in_process = True  # an answer waits for nobody else

    def __init__(self, session: ort.InferenceSession, name: str) -> None:
        self._session: ort.InferenceSession | None = session
        self._name = name
        self.inputs = tuple(_field(node, name) for node in session.get_inputs())
        self.outputs = tuple(_field(node, name) for node in session.get_outputs())
        if not self.inputs or any(not field.shape for field in self.inputs):
            raise BadInput(
                f"{name} takes no rows",
                "The model has no input, or one without a dimension for the rows.",
                "Export the model with the batch as the first dimension of each input.",
            )

    def predict(self, table: pa.Table) -> pa.Table:
        """One output row per input row; columns are named as `outputs`, see `tensors.to_column` for their types.

        Columns bind to inputs by name, and by position where there is one of each. Raises BadInput saying what
        was expected and what came, and Unavailable once the model is closed.
        """
        return self._table(self._run(bind(self.inputs, table)), table.num_rows)

    def try_zero_row(self) -> None:
        """Run the model on zeros where all dimensions but the first are known; BadInput if that fails."""
        if any(size is None for field in self.inputs for size in field.shape[1:]):
            return
        rows = next((field.shape[0] for field in self.inputs if field.shape[0]), None) or 1
        self._table(self._run({field.name: _zeros(field, rows) for field in self.inputs}), rows)

    def close(self) -> None:
        """Free the session; an inference that runs now ends undisturbed."""
        self._session = None

    def _run(self, feeds: dict[str, Array]) -> list[Array]:
        session = self._session
        if session is None:
            raise Unavailable(f"{self._name} is closed", "The model was undeployed.", "Deploy the pipeline again.")
        try:
            arrays: list[Array] = session.run(None, feeds)
        except _ERRORS as error:
            sizes = ", ".join(f"{name} {list(array.shape)}" for name, array in feeds.items())
            detail = f"It was given {sizes}. onnxruntime says: {_reason(error)}"
            raise BadInput(f"{self._name} can't infer this input", detail, "Check the input's sizes.") from error
        return arrays

    def _table(self, arrays: Sequence[Array], rows: int) -> pa.Table:
        columns = [
            to_column(array, field.name, ARROW_TYPES[field.type], rows)
            for field, array in zip(self.outputs, arrays, strict=True)
        ]
        schema = pa.schema([field for field, _ in columns])
        return pa.Table.from_arrays([values for _, values in columns], schema=schema)


def _options(config: JsonObject) -> ort.SessionOptions:
    threads = config.get("threads", DEFAULT_THREADS)
    if not isinstance(threads, int) or isinstance(threads, bool) or threads < 1:
        raise BadInput("`threads` is not a number of threads", f"It is {threads!r}.", "Set it to 1 or more.")
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _SILENT
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def _field(node: ort.NodeArg, name: str) -> TensorField:
    match = _TENSOR.fullmatch(node.type)
    kind = _ELEMENT_TYPES.get(match[1], match[1]) if match else ""
    if kind not in ARROW_TYPES:
        raise BadInput(
            f"`{node.name}` of {name} has the type {node.type}",
            f"Inputs and outputs must be tensors of {', '.join(ARROW_TYPES)}.",
            "Export the model with tensors only; for scikit-learn classifiers pass options={'zipmap': False}.",
        )
    # A named dimension comes as text, an unnamed one as None or -1: all three may have any size.
    return TensorField(node.name, kind, tuple(n if isinstance(n, int) and n >= 0 else None for n in node.shape))


def _zeros(field: TensorField, rows: int) -> Array:
    shape = (rows, *(size or 0 for size in field.shape[1:]))
    if field.type == "string":
        return np.full(shape, "", dtype=object)
    return np.zeros(shape, dtype=field.type)


def _reason(error: Exception) -> str:
    """The first line of onnxruntime's words, without its codes and the path."""
    lines = [line.strip() for line in _NOISE.sub("", str(error)).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:_LONGEST_REASON]
