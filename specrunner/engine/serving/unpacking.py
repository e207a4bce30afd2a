"""How large Arrow and Parquet data becomes when it is read, found out before it is: a kilobyte may unpack to gigabytes.

Sources: the Arrow columnar format, "Encapsulated message format" and "Compression" (each packed buffer begins with
its unpacked size); the FlatBuffers internals, "Tables" (offsets of fields by a vtable).
"""

from __future__ import annotations

import struct

import pyarrow as pa
import pyarrow.parquet as pq

from specrunner.core.errors import TooLarge

MAX_ROWS = 10_000_000  # of one request
MAX_UNPACKED = 2 * 2**30  # bytes that one request may have in memory

_BATCH, _DICTIONARY = "record batch", "dictionary"
_HEADER = 2  # the field `header` of a Message
_DATA = 1  # the field `data` of a DictionaryBatch
_BUFFERS, _COMPRESSION = 2, 3  # fields of a RecordBatch


def check_rows(rows: int) -> None:
    """Raises TooLarge for more rows than one request may have."""
    if rows > MAX_ROWS:
        raise TooLarge(f"The input has {rows:,} rows", f"One request may have {MAX_ROWS:,}.", "Send it in parts.")


def check_arrow(stream: pa.Buffer) -> int:
    """How many record batches an Arrow stream has. Raises TooLarge for what unpacks to too much, ArrowInvalid."""
    batches, unpacked = 0, 0
    for message in pa.ipc.MessageReader.open_stream(stream):
        if message.type in {_BATCH, _DICTIONARY}:
            batches += message.type == _BATCH
            unpacked += _unpacked(message)
            _check_bytes(unpacked)
    return batches


def read_parquet(source: pa.NativeFile) -> pa.Table:
    """The table of a Parquet file. Raises TooLarge for what unpacks to too much."""
    file = pq.ParquetFile(source)
    metadata = file.metadata
    check_rows(metadata.num_rows)
    groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
    _check_bytes(sum(group.total_byte_size for group in groups))
    # A long text that all rows refer to is stored once: no more are read at a time than fit.
    longest = max((group.total_byte_size for group in groups), default=0)
    batches, unpacked = [], 0
    for batch in file.iter_batches(batch_size=max(1, min(65_536, MAX_UNPACKED // (4 * max(longest, 1))))):
        unpacked += batch.nbytes
        _check_bytes(unpacked)
        batches.append(batch)
    return pa.Table.from_batches(batches, file.schema_arrow)


def _check_bytes(unpacked: int) -> None:
    if unpacked > MAX_UNPACKED:
        raise TooLarge(
            "The input is too large when unpacked",
            f"It takes more than {MAX_UNPACKED // 2**20:,} MiB of memory.",
            "Send it in parts.",
        )


def _unpacked(message: pa.ipc.Message) -> int:
    """The bytes that the buffers of a batch take. Raises ArrowInvalid for metadata that leads nowhere."""
    data = memoryview(message.metadata)
    try:
        batch = _table(data, _root(data), _HEADER)
        if message.type == _DICTIONARY:
            batch = _table(data, batch, _DATA)
        if not _offset(data, batch, _COMPRESSION):
            return int(message.body.size)
        return sum(_unpacked_buffer(message.body, place, size) for place, size in _buffers(data, batch))
    except (struct.error, IndexError) as error:
        raise pa.ArrowInvalid(f"the metadata of a record batch is broken: {error}") from None


def _unpacked_buffer(body: pa.Buffer, place: int, size: int) -> int:
    if size < 8:
        return size
    (unpacked,) = struct.unpack_from("<q", memoryview(body), place)
    # Minus one says that it was stored as it is.
    return size - 8 if unpacked == -1 else int(unpacked)


def _root(data: memoryview) -> int:
    return int(struct.unpack_from("<I", data, 0)[0])


def _offset(data: memoryview, table: int, field: int) -> int:
    """Where a field of a table lies, relative to it; 0 where it is left out."""
    vtable = table - struct.unpack_from("<i", data, table)[0]
    size = struct.unpack_from("<H", data, vtable)[0]
    place = 4 + 2 * field
    return int(struct.unpack_from("<H", data, vtable + place)[0]) if place < size else 0


def _table(data: memoryview, table: int, field: int) -> int:
    """Where the table or vector lies that a field refers to."""
    place = table + _offset(data, table, field)
    return place + int(struct.unpack_from("<I", data, place)[0])


def _buffers(data: memoryview, batch: int) -> list[tuple[int, int]]:
    """Place and size of each buffer of a RecordBatch in its body."""
    vector = _table(data, batch, _BUFFERS)
    (count,) = struct.unpack_from("<I", data, vector)
    if count > len(data) // 16:
        raise IndexError("it tells of more buffers than it holds")
    return [struct.unpack_from("<qq", data, vector + 4 + 16 * index) for index in range(count)]
