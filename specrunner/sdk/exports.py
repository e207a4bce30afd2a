"""Writing a pipeline's log into files."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from specrunner.sdk.exceptions import SdkError
from specrunner.sdk.logs import LogPage

if TYPE_CHECKING:
    import pyarrow as pa

DEFAULT_SIZE = "100 MiB"

_SIZE = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*([KMGT]iB)\s*$", re.IGNORECASE)
_UNITS = {"kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}


def size_of(text: str) -> float:
    """Bytes of a size such as `1.5MiB` or `1 GiB`. Raises SdkError for anything else, and for zero."""
    found = _SIZE.match(text)
    size = float(found.group(1)) * _UNITS[found.group(2).lower()] if found else 0.0
    if size <= 0:
        raise SdkError(f"{text!r} is not a size", remedy="Write a number above zero and a unit: 1.5MiB or 1 GiB.")
    return size


def write(pages: Iterable[LogPage], folder: Path, prefix: str, limit: float, *, arrow: bool) -> list[Path]:
    """Write `pages` to `<folder>/<prefix>-<n>.json` (a record a line, time in ms) or `.arrow`, and return the files.

    A change of columns begins a new file. It ends after the page that passes `limit`, in bytes of data, and says so.
    """
    files = _Files(folder, prefix, arrow)
    written = 0
    with files:
        for page in pages:
            files.write(page.table)
            written += page.table.nbytes
            if page.next is not None and written > limit:
                sys.stderr.write(
                    f"Warning: Pipeline log data size limit of {limit:.0f} bytes exceeded."
                    " Set a different limit using data_size_limit for more data.\n"
                )
                break
    if len(files.paths) > 1:
        sys.stderr.write("Note: The logs with different schemas are written to separate files.\n")
    return files.paths


class _Files:
    """The files of one export; a context manager that closes the last one."""

    def __init__(self, folder: Path, prefix: str, arrow: bool) -> None:
        self.paths: list[Path] = []
        self._folder = folder
        self._prefix = prefix
        self._arrow = arrow
        self._schema: pa.Schema | None = None
        self._writer: Any = None

    def __enter__(self) -> _Files:
        return self

    def __exit__(self, *_: object) -> None:
        if self._writer is not None:
            self._writer.close()

    def write(self, table: pa.Table) -> None:
        """Append the rows, to a new file where the columns are others than before."""
        if table.schema != self._schema:
            self._begin(table.schema)
        if self._arrow:
            self._writer.write_table(table)
        else:
            self._writer.write(_json_lines(table))

    def _begin(self, schema: pa.Schema) -> None:
        import pyarrow as pa  # a heavy library: imported when used

        self.__exit__()
        self._folder.mkdir(parents=True, exist_ok=True)
        suffix = "arrow" if self._arrow else "json"
        path = self._folder / f"{self._prefix}-{len(self.paths) + 1}.{suffix}"
        self.paths.append(path)
        self._schema = schema
        self._writer = pa.ipc.new_file(str(path), schema) if self._arrow else path.open("w", encoding="utf-8")


def _json_lines(table: pa.Table) -> str:
    import pyarrow as pa  # a heavy library: imported when used

    for position, column in enumerate(table.schema):
        if pa.types.is_timestamp(column.type):
            stamps = table.column(position).cast(pa.timestamp("ms")).cast(pa.int64())
            table = table.set_column(position, column.name, stamps)
    lines = table.to_pandas().to_json(orient="records", lines=True)
    return str(lines) if lines.endswith("\n") else f"{lines}\n"
