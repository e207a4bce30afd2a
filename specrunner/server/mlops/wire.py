"""Columns as the platform's clients take them off the wire.

The engine counts the checks that a row has failed; the clients count them themselves, from a list of their names.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import pyarrow as pa

_FEW: Final = 1024  # rows
_FAILED: Final = "check_failures"
_BY_NAME: Final = "anomaly."
_COUNT: Final = "anomaly.count"
_NAMELESS: Final = "check"


def as_clients_count(table: pa.Table) -> pa.Table:
    """The table with the names of the failed checks in place of their number."""
    import pyarrow as pa

    position = table.schema.get_field_index(_FAILED)
    if position < 0 or not pa.types.is_integer(table.schema.field(position).type):
        return table
    if not any(chunk.to_numpy(zero_copy_only=False).any() for chunk in table.column(position).iterchunks()):
        without = _few_without if table.num_rows <= _FEW else _without
        return table.set_column(position, _FAILED, without(table.num_rows))
    counts = table.column(position).to_pylist()
    names = _names(table, counts)
    offsets = pa.array([0, *accumulate(len(row) for row in names)], pa.int32())
    flat = pa.array([name for row in names for name in row], pa.string())
    return table.set_column(position, _FAILED, pa.ListArray.from_arrays(offsets, flat))


def _without(rows: int) -> pa.Array:
    import pyarrow as pa

    return pa.ListArray.from_arrays(pa.repeat(pa.scalar(0, pa.int32()), rows + 1), pa.array([], pa.string()))


# Most requests have few rows and fail no check.
_few_without = lru_cache(maxsize=256)(_without)


def with_metadata(table: pa.Table, model: tuple[str, str], version: str, elapsed: float) -> pa.Table:
    """The table with what the clients ask for under `metadata`: the model (name and sha256), the version, how fast."""
    import json

    import pyarrow as pa

    rows = table.num_rows
    last = json.dumps({"model_name": model[0], "model_sha": model[1]})
    columns = {
        "metadata.last_model": pa.array([last] * rows, pa.string()),
        "metadata.pipeline_version": pa.array([version] * rows, pa.string()),
        "metadata.elapsed": pa.array([[round(elapsed * 1e9)]] * rows, pa.list_(pa.uint64())),
    }
    for name, values in columns.items():
        table = table.append_column(name, values)
    return table


def _names(table: pa.Table, counts: list[int | None]) -> list[list[str]]:
    """By row, the checks that have failed; a row that counts more than are named gets words without meaning."""
    columns = [name for name in table.column_names if name.startswith(_BY_NAME) and name != _COUNT]
    failed = {name.removeprefix(_BY_NAME): table.column(name).to_pylist() for name in columns}
    rows = []
    for number, count in enumerate(counts):
        found = [name for name, values in failed.items() if values[number]]
        rows.append((found + [_NAMELESS] * (count or 0))[: count or 0])
    return rows
