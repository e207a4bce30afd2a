"""Arrow tables and data frames on their way to and from the platform; the only module that uses pyarrow and pandas."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from specrunner.sdk.exceptions import InferenceError, SdkError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

FORMATS = ("arrow", "pandas-records", "custom-json", "csv", "parquet")

_SUFFIXES = {".arrow": "arrow", ".json": "pandas-records", ".csv": "csv", ".parquet": "parquet"}


def kind_of(value: object) -> str:
    """`frame`, `table` or `json`, told without importing pandas or pyarrow. Raises InferenceError for others."""
    if isinstance(value, (dict, list)):
        return "json"
    names = {f"{kind.__module__.partition('.')[0]}.{kind.__qualname__}" for kind in type(value).__mro__}
    if "pandas.DataFrame" in names:
        return "frame"
    if "pyarrow.Table" in names:
        return "table"
    raise InferenceError(
        f"Cannot infer on a {type(value).__name__}",
        remedy="Pass a pandas.DataFrame, a pyarrow.Table, a dict or a list.",
    )


def table_of(frame: pd.DataFrame) -> pa.Table:
    """The frame as a table, without its index; cells that are arrays of several dimensions become nested lists.

    Raises InferenceError where a column mixes types.
    """
    import pyarrow as pa  # a heavy library: imported when used

    plain = frame.copy(deep=False)
    for position, column in enumerate(frame.columns):
        if len(frame) and getattr(frame.iloc[0, position], "ndim", 0) > 1:
            plain[column] = frame[column].map(_nested)
    try:
        return pa.Table.from_pandas(plain, preserve_index=False).replace_schema_metadata(None)
    except pa.ArrowException as fault:
        raise InferenceError(
            "The data frame cannot be sent",
            str(fault),
            "Give each column values of one type, and lists of one type of element.",
        ) from fault


def frame_of(table: pa.Table) -> pd.DataFrame:
    """The table as a frame; cells of nested columns are plain lists, as an inference in JSON gives them."""
    import pandas as pd  # a heavy library: imported when used
    import pyarrow as pa

    nested = [field.name for field in table.schema if pa.types.is_nested(field.type)]
    frame: pd.DataFrame = table.select([name for name in table.column_names if name not in nested]).to_pandas()
    for name in nested:
        frame[name] = pd.Series(table.column(name).to_pylist(), index=frame.index, dtype=object)
    ordered: pd.DataFrame = frame[table.column_names]
    return ordered


def arrow_file(table: pa.Table) -> memoryview:
    """The table as an Arrow IPC file."""
    import pyarrow as pa  # a heavy library: imported when used

    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return memoryview(sink.getvalue())


def read_arrow(content: bytes) -> pa.Table:
    """The table in an Arrow IPC file, schema metadata included. Raises SdkError when it is none."""
    import pyarrow as pa  # a heavy library: imported when used

    try:
        with pa.ipc.open_file(pa.py_buffer(content)) as reader:
            return reader.read_all()
    except pa.ArrowException as fault:
        raise SdkError(
            "The answer is not an Arrow file", str(fault), "Check that client and server are of one version."
        ) from fault


def tidied(table: pa.Table) -> pa.Table:
    """An answer as users see it: `time` is a timestamp in ms, `check_failures` the number of failed checks."""
    import pyarrow as pa  # a heavy library: imported when used
    import pyarrow.compute as pc

    for position, field in enumerate(table.schema):
        if field.name == "time" and pa.types.is_integer(field.type):
            stamps = table.column(position).cast(pa.int64()).cast(pa.timestamp("ms"))
            table = table.set_column(position, "time", stamps)
        if field.name == "check_failures" and (pa.types.is_list(field.type) or pa.types.is_large_list(field.type)):
            counts = pc.fill_null(pc.list_value_length(table.column(position)), 0).cast(pa.int8())
            table = table.set_column(position, "check_failures", counts)
    return table


def read_file(path: str | Path, data_format: str | None) -> Any:
    """What is to be inferred on, from a file: a table, a frame, or for `custom-json` what the JSON holds.

    `data_format` is one of FORMATS; None takes it from the suffix. Raises InferenceError for an unknown format,
    a missing file, or a file that is not what it should be.
    """
    file = Path(path)
    chosen = data_format or _SUFFIXES.get(file.suffix.lower(), "")
    if chosen not in FORMATS:
        raise InferenceError(
            f"The format of {file.name} is not known",
            f"It is none of {', '.join(FORMATS)}.",
            "Pass data_format, or use a file that ends in " + ", ".join(_SUFFIXES) + ".",
        )
    try:
        return _READERS[chosen](file)
    except (OSError, ValueError) as fault:
        raise InferenceError(f"Cannot read {file} as {chosen}", str(fault), "Check the path and the format.") from fault


def json_body(value: Any) -> bytes:
    """`value` as JSON; NumPy numbers and arrays and instants inside it are turned into what JSON has."""
    try:
        return json.dumps(value, default=_plain).encode()
    except (TypeError, ValueError) as fault:
        raise InferenceError(
            "The input cannot be written as JSON", str(fault), "Use plain numbers, texts and lists."
        ) from fault


def _nested(cell: Any) -> Any:
    return cell.tolist() if hasattr(cell, "tolist") else cell


def _plain(value: Any) -> Any:
    for method in ("tolist", "isoformat"):
        if hasattr(value, method):
            return getattr(value, method)()
    raise TypeError(f"a {type(value).__name__} has no form in JSON")


def _read_arrow(file: Path) -> pa.Table:
    import pyarrow as pa  # a heavy library: imported when used

    with pa.memory_map(str(file)) as source:
        try:
            return pa.ipc.open_file(source).read_all()
        except pa.ArrowInvalid:
            source.seek(0)
            return pa.ipc.open_stream(source).read_all()


def _read_records(file: Path) -> pd.DataFrame:
    import pandas as pd  # a heavy library: imported when used

    records = json.loads(file.read_text(encoding="utf-8"))
    if not isinstance(records, list) or not records or not all(isinstance(record, dict) for record in records):
        raise ValueError("it must be a non-empty list of objects; other JSON is data_format='custom-json'")
    if any(record.keys() != records[0].keys() for record in records):
        raise ValueError("all objects must have the same keys")
    return pd.DataFrame.from_records(records)


def _read_csv(file: Path) -> pd.DataFrame:
    import pandas as pd  # a heavy library: imported when used

    return pd.read_csv(file)


def _read_parquet(file: Path) -> pa.Table:
    import pyarrow.parquet as pq  # a heavy library: imported when used

    return pq.read_table(file)


def _read_json(file: Path) -> Any:
    return json.loads(file.read_text(encoding="utf-8"))


_READERS = {
    "arrow": _read_arrow,
    "pandas-records": _read_records,
    "custom-json": _read_json,
    "csv": _read_csv,
    "parquet": _read_parquet,
}
