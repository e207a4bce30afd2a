"""A whole inference log as one file, page by page, so that its size is not bounded by memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from specrunner.core.errors import BadInput
from specrunner.engine.serving.records import to_text_lists

_Write = Callable[[pa.Table], None]


def export_pages(path: Path, schemas: Sequence[pa.Schema], pages: Iterable[pa.Table]) -> int:
    """Write `pages`, whose schemas are among `schemas`, to a `.arrow`, `.parquet` or `.csv` file; how many rows.

    The file appears under its name when it is complete. Raises BadInput for another ending, for types of one
    column that nothing unites, and where the file can't be written.
    """
    opener = _OPENERS.get(path.suffix.lower())
    if opener is None:
        known = ", ".join(_OPENERS)
        raise BadInput(f"{path.name} is no file to export to", f"Its name ends in none of {known}.", "Rename it.")
    schema = _united(schemas)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    rows = 0
    try:
        with opener(part, schema) as write:
            for page in pages:
                write(_conform(page, schema))
                rows += page.num_rows
        part.replace(path)
    except OSError as error:
        detail = f"{error.strerror or error}."
        raise BadInput(f"{path} can't be written", detail, "Name a folder that exists and has room.") from error
    finally:
        part.unlink(missing_ok=True)
    return rows


def _united(schemas: Sequence[pa.Schema]) -> pa.Schema:
    """One schema for all; where there were several, every column may be null."""
    distinct: list[pa.Schema] = []
    for schema in schemas:
        if not any(schema.equals(known) for known in distinct):
            distinct.append(schema)
    if len(distinct) < 2:
        return distinct[0] if distinct else pa.schema([pa.field("time", pa.timestamp("ms"))])
    try:
        united = pa.unify_schemas([_nullable(schema) for schema in distinct], promote_options="permissive")
    except (pa.ArrowTypeError, pa.ArrowInvalid) as error:
        raise BadInput(
            "The log has a column with types that can't be united in one file",
            f"{str(error).strip().splitlines()[0].rstrip('.')}.",
            "Export spans of time one by one, each with the rows of one version of the pipeline.",
        ) from error
    return united


def _nullable(schema: pa.Schema) -> pa.Schema:
    return pa.schema([field.with_nullable(True) for field in schema])


def _conform(page: pa.Table, schema: pa.Schema) -> pa.Table:
    if page.schema.equals(schema):
        return page
    columns = [
        page.column(field.name).cast(field.type)
        if field.name in page.column_names
        else pa.nulls(page.num_rows, field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)


@contextmanager
def _arrow(path: Path, schema: pa.Schema) -> Iterator[_Write]:
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        yield writer.write_table


@contextmanager
def _parquet(path: Path, schema: pa.Schema) -> Iterator[_Write]:
    with pq.ParquetWriter(path, schema) as writer:
        yield writer.write_table


@contextmanager
def _csv(path: Path, schema: pa.Schema) -> Iterator[_Write]:
    texts = to_text_lists(schema.empty_table()).schema
    with pa.OSFile(str(path), "wb") as sink, pacsv.CSVWriter(sink, texts) as writer:
        yield lambda page: writer.write(to_text_lists(page))


_OPENERS: Mapping[str, Callable[[Path, pa.Schema], AbstractContextManager[_Write]]] = {
    ".arrow": _arrow,
    ".parquet": _parquet,
    ".csv": _csv,
}
