"""The columns that a model takes and gives: declared, read from it, or seen when it is tried on a row of zeros."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

# name, element type as Arrow names it, shape with None for any: the rows come first
Field = dict[str, Any]
_ELEMENTS = {
    "float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "bool",
    "string",
}  # fmt: skip
_NAMES = {"halffloat": "float16", "float": "float32", "double": "float64", "large_string": "string"}


def zero_row(fields: list[Field]) -> pa.Table | None:
    """One row of zeros and empty texts; None where a dimension besides the rows is not known."""
    if not fields or any(size is None for field in fields for size in field["shape"][1:]):
        return None
    return pa.table({field["name"]: _zeros(field["type"], field["shape"][1:]) for field in fields})


def _zeros(kind: str, inner: list[int]) -> pa.Array:
    zero: Any = "" if kind == "string" else np.zeros((), kind).item()
    arrow = pa.type_for_alias(kind)
    for size in reversed(inner):
        zero = [zero] * size
        arrow = pa.list_(arrow)
    return pa.array([zero], arrow)


def fields_of(table: pa.Table) -> list[Field]:
    """The fields that these columns are of; none where one is of a type that fields do not have."""
    found = [_field(column.name, column.type) for column in table.schema]
    return [] if None in found else [field for field in found if field is not None]


def _field(name: str, kind: pa.DataType) -> Field | None:
    shape: list[int | None] = [None]
    while pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        shape.append(kind.list_size if pa.types.is_fixed_size_list(kind) else None)
        kind = kind.value_type
    element = _NAMES.get(str(kind), str(kind))
    return {"name": name, "type": element, "shape": shape} if element in _ELEMENTS else None
