"""Tables from files and request bodies, and back.

What is read: Arrow IPC, file and stream format (told apart by their first bytes, whatever the name says), pandas
records as JSON, CSV and Parquet. What came broken is a BadInput with words, never a crash: Arrow data is checked
to the last offset before it is used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from email.message import Message
from enum import StrEnum
from functools import lru_cache
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from specrunner.core.errors import BadInput, TooLarge
from specrunner.engine.serving.records import parse_records, parse_text_lists, to_text_lists, write_records
from specrunner.engine.serving.unpacking import check_arrow, check_rows, read_parquet

_ARROW_FILE_MAGIC = b"ARROW1"
Body = bytes | bytearray | memoryview


class Media(StrEnum):
    """The media types that carry tables."""

    ARROW_FILE = "application/vnd.apache.arrow.file"
    ARROW_STREAM = "application/vnd.apache.arrow.stream"
    PANDAS_RECORDS = "application/json; format=pandas-records"
    CSV = "text/csv"
    PARQUET = "application/vnd.apache.parquet"


_SUFFIXES: Mapping[str, Media] = {
    ".arrow": Media.ARROW_FILE,
    ".arrows": Media.ARROW_STREAM,
    ".json": Media.PANDAS_RECORDS,
    ".csv": Media.CSV,
    ".parquet": Media.PARQUET,
}


def media_of_path(path: Path) -> Media:
    """The media type of a file by the last part of its name. Raises BadInput for any other ending."""
    media = _SUFFIXES.get(path.suffix.lower())
    if media is None:
        known = ", ".join(_SUFFIXES)
        raise BadInput(f"{path.name} is no file of a known kind", f"Its name ends in none of {known}.", "Rename it.")
    return media


@lru_cache(maxsize=256)
def media_of_header(content_type: str) -> Media:
    """The media type of a `Content-Type` or `Accept` header, parameters aside (RFC 9110, 8.3.1).

    Every sort of `application/json` is pandas records here. Raises BadInput for what carries no table.
    """
    header = Message()
    header["content-type"] = content_type
    essence = header.get_content_type() if "/" in content_type else content_type.strip()
    for media in Media:
        if essence == media.partition(";")[0]:
            return media
    raise BadInput(
        f"The media type {content_type.strip() or '(none)'} carries no table here",
        f"Understood are {', '.join(media.value for media in Media)}.",
        f"Send Content-Type: {Media.ARROW_FILE.value}, and a body in that format.",
    )


def read_table(path: Path) -> pa.Table:
    """The table in a file, its format told by its name. Raises BadInput where it can't be read or is none."""
    media = media_of_path(path)
    try:
        body = path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path} can't be read", f"{error.strerror}.", "Name a file that exists.") from error
    return _decode(body, media, path.name)


def decode(body: Body, content_type: str) -> pa.Table:
    """The table in a request's body. Raises BadInput for an unknown media type, and for a body that is not of it."""
    return _decode(body, media_of_header(content_type), "the body")


def encode(table: pa.Table, media: Media) -> bytes:
    """A table as the bytes of a file or answer.

    JSON and CSV have times as integer milliseconds since the epoch and ISO 8601 respectively, and each float by
    the fewest digits that give it back. CSV has lists as JSON texts. Raises BadInput for a column of a type that the
    format has no form for: what no schema declares may have come as anything.
    """
    try:
        return _WRITERS[media](table)
    except pa.ArrowException as error:
        raise BadInput(
            f"The answer can't be written as {media.value}", _first_line(error), f"Ask for {Media.ARROW_FILE.value}."
        ) from error


def _decode(body: Body, media: Media, what: str) -> pa.Table:
    if not len(body):
        raise BadInput(f"{_capital(what)} is empty", f"Expected was {media.value}.", "Send a table.")
    try:
        table = _READERS[media](body)
        check_rows(table.num_rows)
        table.validate(full=True)
    except MemoryError as error:
        detail = f"{len(body):,} bytes came, and there is no memory for what they hold."
        raise TooLarge(f"{_capital(what)} is too large", detail, "Send it in parts.") from error
    except (pa.ArrowException, OSError, EOFError, ValueError) as error:
        raise BadInput(
            f"{_capital(what)} is not readable as {media.value}",
            f"{_first_line(error)} ({len(body)} bytes came.)",
            "Check that it was written in that format and has arrived whole.",
        ) from error
    return table


def _read_arrow(body: Body) -> pa.Table:
    buffer = pa.py_buffer(body)
    if bytes(body[: len(_ARROW_FILE_MAGIC)]) != _ARROW_FILE_MAGIC:
        check_arrow(buffer)
        with pa.ipc.open_stream(buffer) as reader:
            return reader.read_all()
    with pa.ipc.open_file(buffer) as reader:
        # After eight bytes a file is a stream, and its footer names each batch of that once.
        if reader.num_record_batches != check_arrow(buffer.slice(8)):
            raise pa.ArrowInvalid("the footer of the file names other batches than there are")
        return reader.read_all()


def _read_csv(body: Body) -> pa.Table:
    quoted = pacsv.ParseOptions(newlines_in_values=True)
    return parse_text_lists(pacsv.read_csv(pa.BufferReader(body), parse_options=quoted))


def _read_parquet(body: Body) -> pa.Table:
    return read_parquet(pa.BufferReader(body))


def _write_arrow_file(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def _write_arrow_stream(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def _write_csv(table: pa.Table) -> bytes:
    texts, sink = to_text_lists(table), pa.BufferOutputStream()
    if texts.num_columns == 1 and texts.column(0).null_count:
        # Readers pass over a line that is empty: quotes keep the row.
        texts = texts.set_column(0, texts.field(0).name, pc.fill_null(texts.column(0).cast(pa.string()), ""))
    pacsv.write_csv(texts, sink)
    return bytes(sink.getvalue())


def _write_parquet(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return bytes(sink.getvalue())


_READERS: Mapping[Media, Callable[[Body], pa.Table]] = {
    Media.ARROW_FILE: _read_arrow,
    Media.ARROW_STREAM: _read_arrow,
    Media.PANDAS_RECORDS: parse_records,
    Media.CSV: _read_csv,
    Media.PARQUET: _read_parquet,
}
_WRITERS: Mapping[Media, Callable[[pa.Table], bytes]] = {
    Media.ARROW_FILE: _write_arrow_file,
    Media.ARROW_STREAM: _write_arrow_stream,
    Media.PANDAS_RECORDS: write_records,
    Media.CSV: _write_csv,
    Media.PARQUET: _write_parquet,
}


def _capital(what: str) -> str:
    return what.replace("the ", "The ", 1)


def _first_line(error: Exception) -> str:
    words = str(error).strip().splitlines() or [type(error).__name__]
    return f"{words[0].rstrip('.')}."
