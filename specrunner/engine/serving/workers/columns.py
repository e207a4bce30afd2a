"""A model's columns at the border of its process: declared fields, what comes in, what goes out."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from specrunner.core.errors import BadInput, ModelFailed
from specrunner.engine.ports import TensorField
from specrunner.engine.serving.tensors import ARROW_TYPES, bind, describe, describe_columns, to_column
from specrunner.engine.serving.workers.inside.schema import fields_of

_ALIASES = {"float": "float32", "double": "float64", "halffloat": "float16", "utf8": "string", "boolean": "bool"}


def declared(fields: Iterable[Mapping[str, Any]]) -> tuple[TensorField, ...]:
    """The fields of a declaration; without a shape a column is of single values. Raises BadInput."""
    return tuple(_field(field) for field in fields)


def _field(field: Mapping[str, Any]) -> TensorField:
    kind = _ALIASES.get(str(field["type"]), str(field["type"]))
    shape = tuple(field.get("shape") or (None,))
    if kind not in ARROW_TYPES:
        raise BadInput(
            f"The column `{field['name']}` is declared with the type {field['type']!r}.",
            f"Known are {', '.join(ARROW_TYPES)}.",
            "Declare one of these.",
        )
    if not all(size is None or (isinstance(size, int) and size >= 0) for size in shape):
        raise BadInput(f"The column `{field['name']}` is declared with the shape {list(shape)}.")
    return TensorField(str(field["name"]), kind, shape)


def fields_of_schema(text: str) -> list[dict[str, Any]]:
    """The fields that an Arrow schema declares, which comes as its IPC message in base 64.

    None where a column of it is of a type that fields do not have. Raises BadInput for what is no schema.
    """
    try:
        schema = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(text, validate=True)))
    except (ValueError, OSError, pa.ArrowException) as error:
        raise BadInput("The schema is no Arrow schema in base 64.", f"{error}", "Send `schema.serialize()`.") from error
    return fields_of(schema.empty_table())


def fitted(inputs: tuple[TensorField, ...], table: pa.Table) -> pa.Table:
    """The table with the columns of the inputs, in their order, types and shapes; as it came where none are known.

    Where an input is a single float, a null becomes NaN: models know what to do with it. Raises BadInput.
    """
    if not table.num_rows:
        raise BadInput(
            "The input has no rows", f"It has the columns {describe_columns(table)}.", "Send a row at least."
        )
    if not inputs:
        return table
    filled = _filled(inputs, table)
    arrays = bind(inputs, filled)
    made = [to_column(arrays[field.name], field.name, ARROW_TYPES[field.type], table.num_rows) for field in inputs]
    return pa.Table.from_arrays([values for _, values in made], schema=pa.schema([field for field, _ in made]))


def _filled(inputs: tuple[TensorField, ...], table: pa.Table) -> pa.Table:
    by_name = {field.name: field for field in inputs}
    for number, column in enumerate(table.schema):
        field = by_name.get(column.name)
        single = field is not None and len(field.shape) == 1 and field.type.startswith("float")
        values = table.column(number)
        if single and values.null_count and not pa.types.is_nested(column.type):
            if pa.types.is_null(column.type) or pa.types.is_integer(column.type):
                values = values.cast(pa.float64())
            if pa.types.is_floating(values.type):
                table = table.set_column(number, column.name, pc.fill_null(values, float("nan")))
    return table


def answered(name: str, outputs: tuple[TensorField, ...], table: pa.Table, rows: int) -> pa.Table:
    """The answer with the declared columns in their types and order. Raises ModelFailed where they are not in it."""
    if table.num_rows != rows:
        raise ModelFailed(f"{name} gave {table.num_rows} rows for {rows}.", "", "Let it give one row for each.")
    if not outputs:
        return table
    missing = [field for field in outputs if field.name not in table.column_names]
    if missing:
        raise ModelFailed(
            f"{name} did not give what it is declared to give.",
            f"Missing is {', '.join(map(describe, missing))}; it gave {describe_columns(table)}.",
            "Let it return that column, or mend its `outputs`.",
        )
    chosen = [_as_declared(name, field, table.column(field.name)) for field in outputs]
    return pa.table(chosen, names=[field.name for field in outputs])


def _as_declared(name: str, field: TensorField, values: pa.ChunkedArray) -> pa.ChunkedArray:
    wanted = ARROW_TYPES[field.type]
    if len(field.shape) > 1 or values.type == wanted:
        return values
    try:
        return values.cast(wanted, safe=not pa.types.is_floating(wanted))
    except pa.ArrowException as error:
        raise ModelFailed(
            f"{name} did not give what it is declared to give.",
            f"{describe(field)} came as {values.type}: {error}",
            "Let it return that type, or mend its `outputs`.",
        ) from error
