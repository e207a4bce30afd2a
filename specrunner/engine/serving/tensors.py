"""Between Arrow columns and the arrays that a model takes and gives, with as few copies as the types allow.

A column of n rows becomes an array whose first dimension is n. Every level of lists (fixed-size or not) is one
more dimension, so all lists of a level must be equally long. A fixed-size list of the model's own element type
is handed over without a copy.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np
import pyarrow as pa

from specrunner.core.errors import BadInput
from specrunner.engine.ports import TensorField

ARROW_TYPES: Mapping[str, pa.DataType] = {
    "float16": pa.float16(),
    "float32": pa.float32(),
    "float64": pa.float64(),
    "int8": pa.int8(),
    "int16": pa.int16(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "uint8": pa.uint8(),
    "uint16": pa.uint16(),
    "uint32": pa.uint32(),
    "uint64": pa.uint64(),
    "bool": pa.bool_(),
    "string": pa.string(),
}
Array = np.ndarray[Any, np.dtype[Any]]
Dimensions = Sequence[int | None]

_FEW = 16  # rows


def describe(field: TensorField) -> str:
    """An input as people read it: `float_input: float32[any, 18]`."""
    return f"{field.name}: {field.type}[{', '.join('any' if n is None else str(n) for n in field.shape)}]"


def describe_columns(table: pa.Table) -> str:
    """The columns of a table as people read them: `tensor: fixed_size_list<item: float>[18]`."""
    return ", ".join(f"{column.name}: {column.type}" for column in table.schema) or "no columns"


def pair_columns(inputs: Sequence[TensorField], names: Sequence[str]) -> dict[str, TensorField]:
    """Which column feeds which input: by name, or by position where there is one of each.

    Raises BadInput for a missing, an additional or a repeated column.
    """
    if len(inputs) == 1 and len(names) == 1:
        return {names[0]: inputs[0]}
    by_name = {field.name: field for field in inputs}
    missing = [name for name in by_name if name not in names]
    surplus = [name for name in names if name not in by_name]
    repeated = sorted({name for name in names if names.count(name) > 1})
    for words, wrong in (("has no", missing), ("has an unknown", surplus), ("repeats the", repeated)):
        if wrong:
            raise BadInput(
                f"The input {words} column {_quoted(wrong)}",
                f"The model takes {', '.join(map(describe, inputs))}; there came {_quoted(names) or 'no columns'}.",
                f"Send exactly the column{'s' if len(inputs) > 1 else ''} {_quoted(by_name)}.",
            )
    return {name: by_name[name] for name in names}


def bind(inputs: Sequence[TensorField], table: pa.Table) -> dict[str, Array]:
    """The arrays of a model's inputs, keyed by input name, from the columns of a table.

    Raises BadInput where the table has no rows, or its columns, types or shapes are not those of the inputs.
    """
    pairs = pair_columns(inputs, table.column_names)
    if not table.num_rows:
        detail = f"It has the columns {describe_columns(table)}."
        raise BadInput("The input has no rows", detail, "Send a row at least.")
    return {field.name: to_array(table.column(name), name, field) for name, field in pairs.items()}


def to_array(column: pa.ChunkedArray | pa.Array, name: str, field: TensorField) -> Array:
    """The column `name` as the array of the input `field`, C-contiguous and aligned.

    Raises BadInput for nulls, ragged lists, another width, or a type that does not become the input's.
    """
    values, shape = _flatten(_contiguous(column), name, field)
    leaf = _leaf(values, name, field)
    return np.require(leaf.reshape(_fitted(shape, name, field)), requirements=("C", "A"))


def _contiguous(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    if isinstance(column, pa.ChunkedArray):
        column = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    return column.storage if isinstance(column, pa.ExtensionArray) else column


def _flatten(values: pa.Array, name: str, field: TensorField) -> tuple[pa.Array, tuple[int, ...]]:
    """The innermost values of a column, and its shape: the rows, then the length of each level of lists."""
    shape = [len(values)]
    _refuse_nulls(values, name, field)
    while is_list(values.type):
        width = _width(values, name, field)
        shape.append(width)
        values = items(values)
        _refuse_nulls(values, name, field)
    return values, tuple(shape)


def items(values: pa.Array) -> pa.Array:
    """The values of all lists, one after another. For lists of which none is null, a fraction of `flatten`'s time."""
    if values.null_count:
        return values.flatten()
    if pa.types.is_fixed_size_list(values.type):
        width = values.type.list_size
        return values.values.slice(values.offset * width, len(values) * width)
    if not len(values):
        return values.values.slice(0, 0)
    begin, end = values.offsets[0].as_py(), values.offsets[-1].as_py()
    return values.values.slice(begin, end - begin)


def is_list(kind: pa.DataType) -> bool:
    """Whether an Arrow type is a list of any of the three sorts that have a length per row."""
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _width(values: pa.Array, name: str, field: TensorField) -> int:
    if pa.types.is_fixed_size_list(values.type):
        return int(values.type.list_size)
    lengths = np.diff(values.offsets.to_numpy())
    if not lengths.size:
        return 0
    if (lengths != lengths[0]).any():
        row = int(np.argmax(lengths != lengths[0]))
        detail = f"Row 0 has {_values(lengths[0])}, row {row} has {_values(lengths[row])}; {_expected(field)}."
        raise BadInput(f"The lists of column `{name}` are not equally long", detail, "Send lists of one length.")
    return int(lengths[0])


def _refuse_nulls(values: pa.Array, name: str, field: TensorField) -> None:
    if values.null_count:
        count = f"{values.null_count} of its {len(values)} values {'is' if values.null_count == 1 else 'are'} null"
        raise BadInput(
            f"Column `{name}` has nulls",
            f"{count}; {_expected(field)}.",
            "Leave the rows without a value out, or fill the value in.",
        )


def _leaf(values: pa.Array, name: str, field: TensorField) -> Array:
    wanted = ARROW_TYPES[field.type]
    if not _converts(values.type, wanted):
        raise BadInput(
            f"Column `{name}` has the wrong type",
            f"{_expected(field)}; its values are of type {values.type}.",
            f"Send `{name}` as {wanted}.",
        )
    if wanted == pa.string():
        strings: Array = values.to_numpy(zero_copy_only=False)
        return strings
    if values.type != wanted:
        values = _cast(values, wanted, name, field)
    array: Array = values.to_numpy(zero_copy_only=wanted != pa.bool_())
    return array


def _converts(kind: pa.DataType, wanted: pa.DataType) -> bool:
    if wanted == pa.string():
        return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))
    if wanted == pa.bool_():
        return bool(pa.types.is_boolean(kind))
    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind))


def _cast(values: pa.Array, wanted: pa.DataType, name: str, field: TensorField) -> pa.Array:
    """To floats values are rounded as every framework does; to integers they must be whole and in range."""
    try:
        return values.cast(wanted, safe=not pa.types.is_floating(wanted))
    except pa.ArrowInvalid as error:
        raise BadInput(
            f"Column `{name}` does not fit the model's {field.type}",
            f"{_expected(field)}; {error}.",
            f"Send `{name}` as {wanted}.",
        ) from None


def _fitted(shape: tuple[int, ...], name: str, field: TensorField) -> tuple[int, ...]:
    """The shape to give the array: its own, or the input's where plain rows hold just as many values."""
    wanted = field.shape
    if len(shape) == len(wanted) and all(n is None or n == m for n, m in zip(wanted, shape, strict=True)):
        return shape
    inner = [n for n in wanted[1:] if n is not None]
    is_plain = len(shape) <= 2 and len(inner) == len(wanted) - 1 and wanted[0] in {None, shape[0]}
    if is_plain and prod(inner) == prod(shape[1:]):
        return (shape[0], *inner)
    if wanted[0] not in {None, shape[0]}:
        detail = f"{_expected(field)}: {wanted[0]} rows at a time; there came {shape[0]}."
        raise BadInput("The model takes another number of rows", detail, f"Send {wanted[0]} rows in a request.")
    came = " x ".join(map(str, shape[1:])) + " values" if len(shape) > 1 else "one value"
    raise BadInput(
        f"The rows of column `{name}` have the wrong size",
        f"{_expected(field)}; its rows have {came}.",
        f"Send {_rows(inner)} in each row of `{name}`.",
    )


def to_column(array: Array, name: str, kind: pa.DataType, rows: int) -> tuple[pa.Field, pa.Array]:
    """An output as a column: `[n]` is a column of scalars, every further dimension a level of lists.

    A list column reads `list<inner: float not null> not null`. Raises BadInput where the model did not give
    one row for each of the `rows` that came.
    """
    if array.ndim == 0 or array.shape[0] != rows:
        raise BadInput(
            f"The model's output `{name}` has not one row for each row of the input",
            f"{rows} rows went in; the output has the shape {list(array.shape)}.",
            "Export the model so that the first dimension of each output is the batch.",
        )
    values = pa.array(array.reshape(-1), kind)
    for depth in range(array.ndim - 1, 0, -1):
        kind = pa.list_(pa.field("inner", values.type, nullable=False))
        values = list_array(values, prod(array.shape[:depth]), array.shape[depth], kind)
    return pa.field(name, values.type, nullable=array.ndim == 1), values


def output_type(field: TensorField) -> pa.DataType:
    """The Arrow type that `to_column` gives an output of the declared shape."""
    kind = ARROW_TYPES[field.type]
    for _ in field.shape[1:]:
        kind = pa.list_(pa.field("inner", kind, nullable=False))
    return kind


def input_column(column: pa.ChunkedArray, name: str, kind: pa.DataType | None = None) -> tuple[pa.Field, pa.Array]:
    """An input as it is answered and logged, `kind` being the element type of the model's input, where that is known.

    Lists of any sort become `list<item: kind> not null`, of which a fixed-size list of that kind is not copied;
    scalars stay as they are.
    """
    values = _contiguous(column)
    if not is_list(values.type):
        return pa.field(name, values.type), values
    kind = kind or leaf_type(values.type)
    if pa.types.is_fixed_size_list(values.type) and values.type.value_type == kind:
        width = values.type.list_size
        values = list_array(items(values), len(values), width, pa.list_(kind))
    elif values.type != pa.list_(kind):
        values = values.cast(_listed(values.type, kind), safe=False)
    return pa.field(name, values.type, nullable=False), values


def leaf_type(kind: pa.DataType) -> pa.DataType:
    """The type of what is in the innermost of lists in lists."""
    return leaf_type(kind.value_type) if is_list(kind) else kind


def _listed(came: pa.DataType, kind: pa.DataType) -> pa.DataType:
    return pa.list_(_listed(came.value_type, kind)) if is_list(came) else kind


def list_array(values: pa.Array, count: int, width: int, kind: pa.DataType) -> pa.Array:
    """`count` lists of `width` values each, of the list type `kind`; the values are not copied."""
    offsets = _few_offsets(count, width) if count <= _FEW else _offsets(count, width)
    return pa.ListArray.from_arrays(offsets, values, type=kind)


def _offsets(count: int, width: int) -> pa.Array:
    return pa.array(np.arange(count + 1, dtype=np.int32) * np.int32(width))


# Most requests have few rows, and to make these again each time costs as much as to infer one.
_few_offsets = lru_cache(maxsize=256)(_offsets)


def _expected(field: TensorField) -> str:
    return f"The model expects {describe(field)}"


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _values(count: int) -> str:
    return f"{count} value{'' if count == 1 else 's'}"


def _rows(inner: Sequence[int]) -> str:
    return " x ".join(map(str, inner)) + " values" if inner else "one value"
