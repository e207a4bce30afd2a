"""Tables larger than memory: read in parts from files and pipes, written part by part.

Arrow (file and stream), Parquet and CSV are read part by part; a JSON document is one value, and is read whole. Where
no name tells the format of a pipe, its first bytes do.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO, Final, cast

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from specrunner.core.errors import BadInput
from specrunner.core.values import Json
from specrunner.engine.serving.codecs import Media, decode, media_of_path
from specrunner.engine.serving.records import parse_json, parse_text_lists, to_text_lists, write_records

CHUNK_ROWS: Final = 10_000

Write = Callable[[pa.Table], None]

_STREAM_MAGIC = b"\xff\xff\xff\xff"
_MAGIC: Mapping[bytes, Media] = {b"ARROW1": Media.ARROW_FILE, _STREAM_MAGIC: Media.ARROW_STREAM, b"PAR1": Media.PARQUET}
_PEEKED = 64  # bytes


@contextmanager
def read_chunks(source: Path | BinaryIO, media: Media | None = None) -> Iterator[Iterator[pa.Table]]:
    """The tables of a file or a pipe, of `CHUNK_ROWS` rows but the last; one at least, perhaps without rows.

    The format is that of the file's name, or of a pipe's first bytes, unless it is given. Raises BadInput, at any of
    the tables, for what can't be read as that.
    """
    if isinstance(source, Path):
        media = media or media_of_path(source)
        try:
            with source.open("rb") as file:
                yield _explained(_chunks(file, media), source.name, media)
        except OSError as error:
            raise BadInput(f"{source} can't be read", f"{error.strerror}.", "Name a file that exists.") from error
        return
    # Some formats are read from their end, and what is peeked at must be read again.
    with tempfile.TemporaryFile() as file:
        shutil.copyfileobj(source, file)
        file.seek(0)
        media = media or _media_of(file.read(_PEEKED))
        file.seek(0)
        yield _explained(_chunks(cast("BinaryIO", file), media), "what came", media)


def is_custom_json(source: Path | BufferedReader) -> bool:
    """Whether it begins as a JSON object does, which is custom JSON and no table. Of a pipe, nothing is taken."""
    if not isinstance(source, Path):
        return source.peek(_PEEKED).lstrip()[:1] == b"{"
    return media_of_path(source) is Media.PANDAS_RECORDS and _content(source)[:_PEEKED].lstrip()[:1] == b"{"


def read_custom_json(source: Path | BinaryIO) -> Json:
    """The whole JSON value of a file or a pipe. Raises BadInput."""
    is_file = isinstance(source, Path)
    data = _content(source) if isinstance(source, Path) else source.read()
    try:
        return parse_json(data)
    except ValueError as error:
        what = str(source) if is_file else "What came"
        raise BadInput(f"{what} is not readable as JSON", f"{error}.", "Check that it is whole.") from error


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path} can't be read", f"{error.strerror}.", "Name a file that exists.") from error


def _media_of(head: bytes) -> Media:
    for magic, media in _MAGIC.items():
        if head.startswith(magic):
            return media
    return Media.PANDAS_RECORDS if head.lstrip()[:1] in {b"[", b"{"} else Media.CSV


def _explained(chunks: Iterator[pa.Table], what: str, media: Media) -> Iterator[pa.Table]:
    try:
        yield from chunks
    except (pa.ArrowException, EOFError, ValueError) as error:
        words = (str(error).strip().splitlines() or [type(error).__name__])[0]
        summary, remedy = f"{what} is not readable as {media.value}", "Check that it is whole and of that format."
        raise BadInput(summary[:1].upper() + summary[1:], f"{words.rstrip('.')}.", remedy) from error


def _chunks(file: BinaryIO, media: Media) -> Iterator[pa.Table]:
    if media is Media.PANDAS_RECORDS:
        table = decode(file.read(), media)
        yield from (table.slice(first, CHUNK_ROWS) for first in range(0, table.num_rows, CHUNK_ROWS))
        return
    schema, batches = _READERS[media](file)
    found = False
    for table in _gathered(schema, batches):
        table.validate(full=True)
        yield parse_text_lists(table) if media is Media.CSV else table
        found = True
    if not found:
        yield schema.empty_table()


def _gathered(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """The rows of batches in tables of `CHUNK_ROWS`, the last of which may have fewer."""
    waiting: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        waiting.append(batch)
        rows += batch.num_rows
        while rows >= CHUNK_ROWS:
            table = pa.Table.from_batches(waiting, schema)
            yield table.slice(0, CHUNK_ROWS).combine_chunks()
            rest = table.slice(CHUNK_ROWS)
            waiting, rows = rest.to_batches(), rest.num_rows
    if rows:
        yield pa.Table.from_batches(waiting, schema).combine_chunks()


_Read = tuple[pa.Schema, Iterable[pa.RecordBatch]]


def _read_arrow(file: BinaryIO) -> _Read:
    head = file.read(6)
    file.seek(0)
    if head != b"ARROW1":
        stream = pa.ipc.open_stream(file)
        return stream.schema, stream
    reader = pa.ipc.open_file(file)
    return reader.schema, (reader.get_batch(number) for number in range(reader.num_record_batches))


def _read_parquet(file: BinaryIO) -> _Read:
    reader = pq.ParquetFile(file)
    return reader.schema_arrow, reader.iter_batches(batch_size=CHUNK_ROWS)


def _read_csv(file: BinaryIO) -> _Read:
    reader = pacsv.open_csv(file, parse_options=pacsv.ParseOptions(newlines_in_values=True))
    return reader.schema, reader


_READERS: Mapping[Media, Callable[[BinaryIO], _Read]] = {
    Media.ARROW_FILE: _read_arrow,
    Media.ARROW_STREAM: _read_arrow,
    Media.PARQUET: _read_parquet,
    Media.CSV: _read_csv,
}


@contextmanager
def write_chunks(sink: BinaryIO, media: Media) -> Iterator[Write]:
    """What writes tables of one schema one after another, as one file; it is whole when the context ends.

    At least one table must be written.
    """
    with ExitStack() as opened:
        write: Write | None = None

        def first_or_next(table: pa.Table) -> None:
            nonlocal write
            if write is None:
                write = opened.enter_context(_WRITERS[media](sink, table.schema))
            write(table)

        yield first_or_next


@contextmanager
def _arrow_file(sink: BinaryIO, schema: pa.Schema) -> Iterator[Write]:
    with pa.ipc.new_file(sink, schema) as writer:
        yield writer.write_table


@contextmanager
def _arrow_stream(sink: BinaryIO, schema: pa.Schema) -> Iterator[Write]:
    with pa.ipc.new_stream(sink, schema) as writer:
        yield writer.write_table


@contextmanager
def _parquet(sink: BinaryIO, schema: pa.Schema) -> Iterator[Write]:
    with pq.ParquetWriter(sink, schema) as writer:
        yield writer.write_table


@contextmanager
def _csv(sink: BinaryIO, schema: pa.Schema) -> Iterator[Write]:
    texts = to_text_lists(schema.empty_table()).schema
    with pacsv.CSVWriter(sink, texts) as writer:
        yield lambda table: writer.write(to_text_lists(table))


@contextmanager
def _records(sink: BinaryIO, _schema: pa.Schema) -> Iterator[Write]:
    parts = 0

    def write(table: pa.Table) -> None:
        nonlocal parts
        if table.num_rows:
            sink.write((b"," if parts else b"[") + write_records(table)[1:-1])
            parts += 1

    yield write
    sink.write(b"]" if parts else b"[]")


_WRITERS: Mapping[Media, Callable[[BinaryIO, pa.Schema], AbstractContextManager[Write]]] = {
    Media.ARROW_FILE: _arrow_file,
    Media.ARROW_STREAM: _arrow_stream,
    Media.PARQUET: _parquet,
    Media.CSV: _csv,
    Media.PANDAS_RECORDS: _records,
}
