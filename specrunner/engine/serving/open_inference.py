"""Tables as requests and answers of the Open Inference Protocol, version 2, over HTTP.

An input is a column: `shape` begins with the number of rows, every further dimension is a level of lists. The outputs
are those of the pipeline, `out.<name>` of the data plane under the name alone. Tensors stand in the JSON, or after it
as bytes, little-endian, row by row ("binary tensor data").

Sources: the protocol's "Predict Protocol - Version 2", and its binary tensor data extension.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite, prod
from typing import Any

import numpy as np
import pyarrow as pa

from specrunner.core.errors import BadInput
from specrunner.core.values import Json, JsonObject
from specrunner.engine.ports import TensorField
from specrunner.engine.serving.records import parse_json
from specrunner.engine.serving.tensors import ARROW_TYPES, Array, is_list
from specrunner.engine.serving.unpacking import check_rows

BINARY_HEADER = "inference-header-content-length"

_OUT = "out."
_MOST_DIMENSIONS = 8
_DATATYPES: Mapping[str, str] = {
    "BOOL": "bool",
    "UINT8": "uint8",
    "UINT16": "uint16",
    "UINT32": "uint32",
    "UINT64": "uint64",
    "INT8": "int8",
    "INT16": "int16",
    "INT32": "int32",
    "INT64": "int64",
    "FP16": "float16",
    "FP32": "float32",
    "FP64": "float64",
    "BYTES": "string",
}
_NAMES = {kind: name for name, kind in _DATATYPES.items()}
_OF_TYPE = {ARROW_TYPES[kind]: name for name, kind in _DATATYPES.items()}


@dataclass(frozen=True, slots=True)
class Asked:
    """A request: its rows, its id, which outputs it wants (all if it names none), and which of them as bytes."""

    table: pa.Table
    id: str | None = None
    outputs: tuple[str, ...] = ()
    binary: frozenset[str] = frozenset()
    all_binary: bool = False


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer: the body, and where bytes follow the JSON in it, the length of the JSON."""

    body: bytes
    json_length: int | None = None


def read_request(body: bytes, json_length: str | None = None) -> Asked:
    """What a request asks; `json_length` is the text of the header that tells where bytes follow. Raises BadInput."""
    length = _length(json_length, len(body))
    request = _request(body[:length])
    inputs = request.get("inputs")
    if not isinstance(inputs, list) or not inputs:
        raise _bad("`inputs` is missing", "It must be a list with a tensor at least.")
    blobs = _Blobs(body[length:])
    columns: dict[str, pa.Array] = {}
    for tensor in inputs:
        name, values = _column(tensor, blobs)
        if name in columns:
            raise _bad(f"The input {name!r} comes twice")
        columns[name] = values
    blobs.check_empty()
    if len({len(values) for values in columns.values()}) > 1:
        sizes = ", ".join(f"`{name}` {len(values)}" for name, values in columns.items())
        raise _bad("The inputs have different numbers of rows", f"The first dimension of each is the rows: {sizes}.")
    return _asked(request, pa.table(columns))


def write_answer(result: pa.Table, asked: Asked, model: str, version: str) -> Answered:
    """The outputs of an answer of the data plane. Raises BadInput where an output is asked for that there is not."""
    there = {name.removeprefix(_OUT): name for name in result.column_names if name.startswith(_OUT)}
    unknown = [name for name in asked.outputs if name not in there]
    if unknown:
        raise _bad(f"There is no output {unknown[0]!r}", f"There are {', '.join(there)}.")
    outputs, blobs = [], []
    for name in asked.outputs or there:
        output, blob = _output(name, result.column(there[name]), asked.all_binary or name in asked.binary)
        outputs.append(output)
        blobs.append(blob)
    answer: dict[str, Json] = {"model_name": model, "model_version": version, "outputs": outputs}
    if asked.id is not None:
        answer["id"] = asked.id
    head = json.dumps(answer, separators=(",", ":")).encode()
    return Answered(b"".join([head, *blobs]), len(head) if any(blobs) else None)


def metadata(fields: Sequence[TensorField]) -> list[dict[str, Json]]:
    """Inputs or outputs as the protocol describes them; -1 stands for any size."""
    return [
        {
            "name": one.name,
            "datatype": _NAMES[one.type],
            "shape": [-1, *(-1 if size is None else size for size in one.shape[1:])],
        }
        for one in fields
    ]


def _length(text: str | None, size: int) -> int:
    if text is None:
        return size
    if not (text.isascii() and text.isdecimal() and len(text) <= 15 and int(text) <= size):
        raise _bad(f"{text[:40]!r} is no length of the JSON in this body", f"{size} bytes came.")
    return int(text)


def _request(body: bytes) -> JsonObject:
    try:
        found = parse_json(body)
    except ValueError as error:
        raise _bad("The body is not JSON", f"{error}.") from error
    if not isinstance(found, dict):
        raise _bad(f"The body must be a JSON object; {type(found).__name__} came")
    return found


def _asked(request: JsonObject, table: pa.Table) -> Asked:
    check_rows(table.num_rows)
    identity = request.get("id")
    if identity is not None and not isinstance(identity, str):
        raise _bad("`id` must be a text")
    wanted = request.get("outputs") or []
    if not isinstance(wanted, list) or not all(isinstance(_part(one, "name"), str) for one in wanted):
        raise _bad("`outputs` must be a list of objects with a `name`")
    binary = frozenset(one["name"] for one in wanted if _part(_part(one, "parameters"), "binary_data") is True)
    every = _part(request.get("parameters"), "binary_data_output") is True
    return Asked(table, identity, tuple(one["name"] for one in wanted), binary, every)


def _part(found: object, name: str) -> Any:
    return found.get(name) if isinstance(found, dict) else None


@dataclass(slots=True)
class _Blobs:
    """The bytes after the JSON, taken in the order of the inputs."""

    data: bytes
    place: int = field(default=0)

    def take(self, size: object, name: str) -> bytes:
        left = len(self.data) - self.place
        if isinstance(size, bool) or not isinstance(size, int) or not 0 <= size <= left:
            raise _bad(f"The input {name!r} has a `binary_data_size` of {size!r}", f"{left} bytes are left for it.")
        self.place += size
        return self.data[self.place - size : self.place]

    def check_empty(self) -> None:
        if self.place != len(self.data):
            raise _bad(f"{len(self.data) - self.place} bytes after the last tensor belong to none")


def _column(tensor: object, blobs: _Blobs) -> tuple[str, pa.Array]:
    """An input's name and its values as a column."""
    name, datatype, shape = _part(tensor, "name"), _part(tensor, "datatype"), _part(tensor, "shape")
    if not isinstance(tensor, dict) or not isinstance(name, str) or not name:
        raise _bad("An input must be an object with a `name`")
    if not isinstance(datatype, str) or datatype not in _DATATYPES:
        raise _bad(f"The input {name!r} has the datatype {_short(datatype)}", f"Known are {', '.join(_DATATYPES)}.")
    _check_shape(name, shape)
    size = _part(tensor.get("parameters"), "binary_data_size")
    if size is not None:
        values = _from_bytes(name, datatype, blobs.take(size, name))
    else:
        values = _from_json(name, datatype, tensor.get("data"), shape)
    if len(values) != prod(shape):
        counted = f"It has {len(values)} values; {' x '.join(map(str, shape))} are {prod(shape)}."
        raise _bad(f"The data of the input {name!r} does not fit its shape", counted)
    return name, _nested(values, shape)


def _check_shape(name: str, shape: object) -> None:
    sizes = shape if isinstance(shape, list) else []
    whole = all(isinstance(size, int) and not isinstance(size, bool) and 0 <= size < 2**31 for size in sizes)
    if not sizes or len(sizes) > _MOST_DIMENSIONS or not whole:
        raise _bad(
            f"The input {name!r} has the shape {_short(shape)}",
            f"It must be a list of one to {_MOST_DIMENSIONS} sizes, the first of them the rows.",
        )
    if not all(sizes):
        raise _bad(f"The input {name!r} is empty", f"Its shape is {_short(shape)}.")


def _from_bytes(name: str, datatype: str, blob: bytes) -> pa.Array:
    if datatype == "BYTES":
        try:
            return pa.array([text.decode() for text in _texts(blob)], pa.string())
        except (struct.error, UnicodeDecodeError) as error:
            raise _bad(f"The bytes of the input {name!r} are no texts", f"{error}.") from error
    kind = np.dtype(_DATATYPES[datatype]).newbyteorder("<")
    if len(blob) % kind.itemsize:
        raise _bad(f"The bytes of the input {name!r} are no whole number of {datatype}", f"{len(blob)} came.")
    return pa.array(np.frombuffer(blob, kind))


def _texts(blob: bytes) -> Iterator[bytes]:
    """Texts, each after its length in four bytes."""
    place = 0
    while place < len(blob):
        (size,) = struct.unpack_from("<I", blob, place)
        if place + 4 + size > len(blob):
            raise struct.error("a text is cut short")
        yield blob[place + 4 : place + 4 + size]
        place += 4 + size


def _from_json(name: str, datatype: str, data: object, shape: list[int]) -> pa.Array:
    if not isinstance(data, list):
        raise _bad(f"The input {name!r} has no `data`", "It must be a list, nested as the shape says or flat.")
    kind = ARROW_TYPES[_DATATYPES[datatype]]
    flat = data
    for _ in shape[1:]:
        if not flat or not isinstance(flat[0], list):
            break
        if not all(isinstance(part, list) for part in flat):
            raise _bad(f"The data of the input {name!r} mixes lists and values")
        flat = [value for part in flat for value in part]
    try:
        values = _typed(pa.array(flat), kind)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        words = str(error).strip().splitlines() or [type(error).__name__]
        raise _bad(f"The data of the input {name!r} is not of the datatype {datatype}", f"{words[0]}.") from error
    if values.null_count:
        raise _bad(f"The data of the input {name!r} has nulls", "A tensor has a value at every place.")
    return values


def _typed(values: pa.Array, kind: pa.DataType) -> pa.Array:
    """Numbers as they were sent: to floats they are rounded, whole numbers must be whole and in range."""
    is_text = pa.types.is_string(values.type)
    if is_text != (kind == pa.string()) or not (is_text or _is_number(values.type)):
        raise TypeError(f"its values are of type {values.type}")
    return values if values.type == kind else values.cast(kind, safe=not pa.types.is_floating(kind))


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind))


def _nested(values: pa.Array, shape: list[int]) -> pa.Array:
    for size in reversed(shape[1:]):
        values = pa.FixedSizeListArray.from_arrays(values, size)
    return values


def _output(name: str, column: pa.ChunkedArray, binary: bool) -> tuple[dict[str, Json], bytes]:
    """An output, its data in it or as bytes beside it."""
    values, shape = column.combine_chunks(), [len(column)]
    while is_list(values.type):
        rows = len(values)
        values = values.flatten()
        shape.append(len(values) // rows)
    datatype = _OF_TYPE.get(values.type, "")
    if not datatype or prod(shape) != len(values):
        raise _bad(f"The output {name!r} of the type {column.type} is no tensor", "Ask for it as Arrow.")
    output: dict[str, Json] = {"name": name, "datatype": datatype, "shape": shape}
    if not binary:
        return {**output, "data": _plain(values)}, b""
    blob = _bytes_of(values, datatype)
    return {**output, "parameters": {"binary_data_size": len(blob)}}, blob


def _plain(values: pa.Array) -> list[Json]:
    """JSON numbers with the fewest digits that give a float of the output's own width back; null for none."""
    if not pa.types.is_floating(values.type):
        found: list[Json] = values.to_pylist()
        return found
    if values.type != pa.float64():
        values = values.cast(pa.float32()).cast(pa.string())
    return [number if isfinite(number) else None for number in map(float, values.to_pylist())]


def _bytes_of(values: pa.Array, datatype: str) -> bytes:
    if datatype == "BYTES":
        texts = [(text or "").encode() for text in values.to_pylist()]
        return b"".join(struct.pack("<I", len(text)) + text for text in texts)
    array: Array = values.to_numpy(zero_copy_only=False)
    return array.astype(np.dtype(_DATATYPES[datatype]).newbyteorder("<"), copy=False).tobytes()


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."


def _bad(summary: str, detail: str = "") -> BadInput:
    return BadInput(summary, detail, "See the Open Inference Protocol, version 2: `inputs` with name, shape and data.")
