"""Tables as lists of records in JSON, in the form of pandas' `orient="records"`, and lists as texts in CSV.

Numbers are written by the fewest digits that give the same value back *in their own width*: the float32 nearest
to 718013.7 reads `718013.7`, where its value widened to a double would read `718013.6875`. Arrow's own float
formatting does that (double-conversion's ToShortest); floats without a fraction get `.0`, so that they stay floats.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from itertools import pairwise

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from specrunner.core.errors import BadInput
from specrunner.core.values import Json
from specrunner.engine.serving.tensors import Array, is_list, items

_NUMPY = orjson.OPT_SERIALIZE_NUMPY
# What orjson writes as we do; the others go by way of Arrow's own texts.
_SIMPLE = frozenset(
    {pa.float32(), pa.float64(), pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint32(), pa.uint64()}
)
_WORDS = frozenset({pa.string(), pa.large_string(), pa.bool_()})
_MILLISECONDS = pa.timestamp("ms")


def parse_json(body: bytes | bytearray | memoryview) -> Json:
    """A JSON value; NaN and infinities count as numbers. Raises ValueError where it is none, or nested too deeply."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        # Python's own reader takes what Python's own writer makes of a float that is no number.
        try:
            return json.loads(bytes(body))
        except RecursionError:
            raise ValueError("It is nested too deeply") from None


def parse_records(body: bytes | bytearray | memoryview) -> pa.Table:
    """The table of a JSON list of records; a key that a record lacks is null there.

    Raises BadInput where the JSON is something else (an object is "custom JSON"), or where a column mixes types,
    and ValueError where it is no JSON.
    """
    records = parse_json(body)
    if isinstance(records, dict):
        raise BadInput(
            "The body is a JSON object, which is custom JSON",
            f"It has the keys {', '.join(list(records)[:10]) or '(none)'}. This pipeline infers tables, and a table "
            "comes as a list of records.",
            'Send a list with one object per row, such as [{"tensor": [1.0, 2.0]}].',
        )
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise BadInput(
            "The body is no list of records",
            f"It is {_kind(records)}.",
            'Send a list with one object per row, such as [{"tensor": [1.0, 2.0]}].',
        )
    if not records:
        raise BadInput("The input has no rows", "It is an empty list.", "Send a row at least.")
    names = dict.fromkeys(name for record in records for name in record)
    return pa.table({name: _column(name, [record.get(name) for record in records]) for name in names})


def _kind(records: Json) -> str:
    if isinstance(records, list):
        return "a list with other things than objects in it"
    return f"a single {type(records).__name__}"


def _column(name: str, values: list[Json]) -> pa.Array:
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as error:
        raise BadInput(
            f"Column `{name}` mixes types",
            f"{str(error).strip().splitlines()[0].rstrip('.')}.",
            "Send values of one type in a column, and lists of one depth.",
        ) from error


def write_records(table: pa.Table) -> bytes:
    """A table as a JSON list of records, one line, UTF-8; times as integer milliseconds, NaN and infinity as null."""
    names = table.column_names
    if len(set(names)) < len(names):  # a mapping has each name once
        parts = [
            [f"{json.dumps(name)}:{text}" for text in _texts(column)]
            for name, column in zip(names, table.columns, strict=True)
        ]
        rows = (",".join(cells) for cells in zip(*parts, strict=True))
        return f"[{','.join(f'{{{row}}}' for row in rows)}]".encode()
    columns = [_json_cells(column) for column in table.columns]
    return orjson.dumps([dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)], option=_NUMPY)


def to_text_lists(table: pa.Table) -> pa.Table:
    """The table with each list column as one of JSON texts, for formats without lists."""
    return _map_columns(
        table,
        lambda column: pa.array(_texts(column), pa.string()) if is_list(column.type) else column,
    )


def parse_text_lists(table: pa.Table) -> pa.Table:
    """The table with each text column whose cells are all JSON lists as a list column."""
    return _map_columns(table, _lists_if_texts_of_lists)


def _map_columns(table: pa.Table, change: Callable[[pa.ChunkedArray], pa.Array | pa.ChunkedArray]) -> pa.Table:
    return pa.Table.from_arrays([change(column) for column in table.columns], names=table.column_names)


def _lists_if_texts_of_lists(column: pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    if not pa.types.is_string(column.type) or column.null_count or not len(column):
        return column
    is_list_text = pc.starts_with(column, "[")
    if not pc.any(is_list_text).as_py() or not pc.all(pc.or_(is_list_text, pc.equal(column, "null"))).as_py():
        return column
    try:
        return pa.array([json.loads(text) for text in column.to_pylist()])
    except (ValueError, pa.ArrowInvalid, pa.ArrowTypeError):
        return column


def _json_cells(column: pa.ChunkedArray) -> Iterable[object]:
    """Each cell as orjson writes it: numbers of numpy, by the fewest digits of their own width, where it has them."""
    kind = column.type
    if _leaf(kind) in _WORDS:
        found: list[object] = column.to_pylist()
        return found
    if column.null_count == 0 and (kind in _SIMPLE or is_list(kind) or kind == _MILLISECONDS):
        values = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
        if not is_list(kind):
            return _array(values.view(pa.int64()) if kind == _MILLISECONDS else values)
        inner = items(values)
        if inner.type in _SIMPLE and inner.null_count == 0:
            return _slices(values, _array(inner))
    return [orjson.Fragment(text) for text in _texts(column)]


def _leaf(kind: pa.DataType) -> pa.DataType:
    return _leaf(kind.value_type) if is_list(kind) else kind


def _array(values: pa.Array) -> Array:
    found: Array = values.to_numpy(zero_copy_only=False)
    return found


def _slices(values: pa.Array, inner: Array) -> Iterable[object]:
    """The lists as parts of one array, no value copied."""
    if pa.types.is_fixed_size_list(values.type):
        return inner.reshape(len(values), -1)
    places = values.offsets.to_numpy() if len(values) else np.zeros(1, np.int32)
    return [inner[begin:end] for begin, end in pairwise((places - places[0]).tolist())]


def _texts(column: pa.ChunkedArray) -> list[str]:
    """Each cell's JSON text."""
    return [text for chunk in column.chunks for text in _cells(chunk).to_pylist()]


def _cells(values: pa.Array) -> pa.Array:
    """JSON texts; numbers, times and lists of them are formatted by Arrow, in a fraction of the time of Python."""
    if is_list(values.type):
        lengths = pc.fill_null(pc.list_value_length(values), 0).cast(pa.int64())
        starts = pa.concat_arrays([pa.array([0], pa.int64()), pc.cumulative_sum(lengths)])
        inner = pa.LargeListArray.from_arrays(starts, _cells(values.flatten()))
        texts = pc.binary_join_element_wise("[", pc.binary_join(inner, ","), "]", "")
        return pc.if_else(values.is_valid(), texts, "null")
    if _is_number(values.type) or pa.types.is_timestamp(values.type):
        return _numbers(values)
    return pa.array([json.dumps(value, default=str) for value in values.to_pylist()], pa.string())


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _numbers(values: pa.Array) -> pa.Array:
    if pa.types.is_timestamp(values.type):
        values = values.cast(pa.timestamp("ms", values.type.tz), safe=False).cast(pa.int64())
    if pa.types.is_float16(values.type):
        values = values.cast(pa.float32())
    texts = values.cast(pa.string())
    if pa.types.is_floating(values.type):
        is_whole = pc.match_substring_regex(texts, r"^-?\d+$")
        texts = pc.if_else(is_whole, pc.binary_join_element_wise(texts, ".0", ""), texts)
        texts = pc.if_else(pc.is_finite(values), texts, "null")
    return pc.fill_null(texts, "null")
