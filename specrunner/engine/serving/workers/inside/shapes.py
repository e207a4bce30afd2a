"""What a model's function takes and gives, and how tables and JSON values become that and are made of it.

What it takes is told by the annotation of its first parameter, or else by that parameter's name:

* `pyarrow.Table`, or a parameter called `table`: an Arrow table
* `pandas.DataFrame`, or any other name: a DataFrame
* `dict` or `list`: the JSON value; of a table, its columns as lists
* `str`: that as JSON text; a function called `wallaroo_json` without an annotation gets this too
"""

from __future__ import annotations

import inspect
import json
import math
from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from enum import Enum
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

Function = Callable[[Any], Any]


class Form(Enum):
    """What a function takes."""

    ARROW = "a pyarrow.Table"
    FRAME = "a pandas.DataFrame"
    VALUE = "a JSON value"
    TEXT = "JSON text"


class OurWords(Exception):
    """Said by the worker itself: where in its code it says so is nobody's business."""


class Unusable(OurWords):
    """The file is no model as the framework has them."""


class BadAnswer(OurWords):
    """The function gave what is no answer."""


class BadRequest(OurWords):
    """What came can't be made into what the function takes."""


def form_of(function: Function) -> Form:
    """What a function takes, see this module's description. Raises Unusable where it takes nothing."""
    try:
        first = next(iter(inspect.signature(function).parameters.values()), None)
    except (TypeError, ValueError):  # built-in functions may have no signature
        return Form.FRAME
    if first is None:
        raise Unusable(f"the function {function.__name__} takes no argument; it must take one, the table")
    if first.annotation is not inspect.Parameter.empty:
        return _annotated(first.annotation)
    if getattr(function, "__name__", "") == "wallaroo_json":
        return Form.TEXT
    return Form.ARROW if first.name in {"table", "arrow_table"} else Form.FRAME


def _annotated(annotation: Any) -> Form:
    words = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", str(annotation))
    words = words.strip("'\"")  # a text in a module whose annotations all are texts
    plain = words.rpartition(".")[2] if "[" not in words else words
    if plain == "Table":
        return Form.ARROW
    if plain in {"str", "bytes"}:
        return Form.TEXT
    if plain.startswith(("dict", "list", "Dict", "List", "Mapping", "typing.Dict", "typing.List", "Any")):
        return Form.VALUE
    return Form.FRAME


def from_table(table: pa.Table, form: Form) -> Any:
    """A table as the function takes it."""
    if form is Form.ARROW:
        return table
    if form is Form.FRAME:
        return table.to_pandas()
    columns = table.to_pydict()
    return columns if form is Form.VALUE else json.dumps(plain(columns))


def from_json(value: Any, form: Form) -> Any:
    """A JSON value as the function takes it. Raises BadRequest where it holds no table and one is wanted."""
    if form is Form.VALUE:
        return value
    if form is Form.TEXT:
        return json.dumps(value)
    frame = _frame(value)
    return frame if form is Form.FRAME else pa.Table.from_pandas(frame, preserve_index=False)


def _frame(value: Any) -> pd.DataFrame:
    """Columns of rows (`{"a": {"0": 1}}` or `{"a": [1]}`), one row (`{"a": 1}`), or a list of rows."""
    try:
        if isinstance(value, dict) and value and not any(isinstance(part, (dict, list)) for part in value.values()):
            return pd.DataFrame([value])
        return pd.DataFrame.from_dict(value) if isinstance(value, dict) else pd.DataFrame(value)
    except (ValueError, TypeError, AttributeError) as error:
        raise BadRequest(f"the JSON value is no table: {error}") from error


def to_table(result: Any, rows: int, names: list[str], default: str) -> pa.Table:
    """What a function gave as a table of `rows` rows.

    `names` are the declared outputs, which name what comes without names; `default` does where there are none.
    Raises BadAnswer for what is no table, and for another number of rows.
    """
    try:
        table = _table(result, rows, names or [default])
    except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:
        raise BadAnswer(f"what it returned can't be made into a table: {error}") from error
    if table.num_rows != rows:
        raise BadAnswer(f"{rows} rows went in and {table.num_rows} came out; there must be one for each")
    return table.replace_schema_metadata(None)


def _table(result: Any, rows: int, names: list[str]) -> pa.Table:
    if isinstance(result, pa.Table):
        return result
    if isinstance(result, pa.RecordBatch):
        return pa.Table.from_batches([result])
    if isinstance(result, str):
        result = json.loads(result)
    if isinstance(result, pd.DataFrame):
        result.columns = [str(name) for name in result.columns]
        return pa.Table.from_pandas(result, preserve_index=False)
    if isinstance(result, pd.Series):
        result = {str(result.name) if result.name is not None and len(names) != 1 else names[0]: result.to_numpy()}
    if isinstance(result, Mapping):
        return pa.table({str(name): _column(values) for name, values in result.items()})
    if isinstance(result, list) and result and all(isinstance(row, dict) for row in result):
        # A script for custom JSON answers with one object, whose lists are the columns.
        return _table(result[0], rows, names) if len(result) == 1 != rows else pa.Table.from_pylist(plain(result))
    if isinstance(result, (np.ndarray, list, tuple)):
        return pa.table({names[0]: _column(result)})
    raise BadAnswer(
        f"it returned {_kind(result)}; it must return a DataFrame, an Arrow table, a dict of columns, a list of dicts "
        "or an array"
    )


def _column(values: Any) -> pa.Array:
    if isinstance(values, (pa.Array, pa.ChunkedArray)):
        return values
    if isinstance(values, (str, bytes)) or not hasattr(values, "__len__"):
        raise BadAnswer(f"a column is {_kind(values)}; it must be a list or an array")
    array = values.to_numpy() if isinstance(values, pd.Series) else values
    if isinstance(array, np.ndarray):
        if array.ndim == 0:
            raise BadAnswer("a column is a single number; it must be a list or an array")
        return pa.array(array) if array.ndim == 1 else pa.array(_nested(array))
    return pa.array(array)


def _nested(array: np.ndarray[Any, Any]) -> list[Any]:
    return list(array) if array.ndim == 2 else [_nested(part) for part in array]


def to_json(result: Any, default: str) -> list[dict[str, Any]]:
    """What a function gave as a list of JSON objects; NaN and infinity are null. Raises BadAnswer for what is none."""
    if isinstance(result, str):
        try:
            result = json.loads(result)
        except ValueError as error:
            raise BadAnswer(f"it returned text that is no JSON: {error}") from error
    if isinstance(result, pa.RecordBatch):
        result = pa.Table.from_batches([result])
    if isinstance(result, pa.Table):
        result = result.to_pylist()
    elif isinstance(result, pd.DataFrame):
        result = result.to_dict(orient="records")
    elif isinstance(result, Mapping):
        result = [result]
    found = plain(result)
    if not isinstance(found, list):
        found = [found]
    return [row if isinstance(row, dict) else {default: row} for row in found]


def plain(value: Any) -> Any:  # noqa: PLR0911 - one line for each sort of value
    """The same of the types that JSON has. Raises BadAnswer for what has no form there."""
    if value is None or value is pd.NaT or value is pd.NA:  # NaT calls itself a datetime
        return None
    if isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(name): plain(part) for name, part in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [plain(part) for part in value]
    if isinstance(value, (np.ndarray, np.generic, pd.Series, pd.Index)):
        return plain(value.tolist())
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    raise BadAnswer(f"it returned {_kind(value)}, which has no form in JSON")


def _kind(value: Any) -> str:
    if value is None:
        return "nothing (None)"
    return f"something of the type {type(value).__module__}.{type(value).__qualname__}"
