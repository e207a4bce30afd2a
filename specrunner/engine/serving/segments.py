"""The files of the inference log: Arrow IPC streams that only ever grow, one writer each, and an index beside each.

`<start>-<pid>-<random>.arrows`: 13 digits of milliseconds, greater than those of every segment that was there
before, so that names sort in the order in which segments were begun. A segment has one schema; each record batch
is one request. The end-of-stream marker seals it. A segment without one is being written, or its writer died: it
is good up to the first message that is not whole, and what follows is left out ("torn").

`<segment>.index`: five 64-bit numbers for each request (place, length, time, rows, bytes), written after the request
itself. A sealed one ends with a summary (-1, requests, oldest, newest, rows), so that a span of time is found without
reading what lies outside it. An index tells nothing that its segment does not: where it lags behind or is gone, the
segment is read.

Source: the Arrow columnar format, "IPC Streaming Format" (encapsulated messages, end-of-stream marker).
"""

from __future__ import annotations

import logging
import os
import secrets
import struct
from array import array
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

SUFFIX = ".arrows"
INDEX_SUFFIX = ".index"

Entries = np.ndarray[Any, np.dtype[np.int64]]
PLACE, LENGTH, TIME, ROWS, SIZE = range(5)  # the columns of an index

_END_OF_STREAM = b"\xff\xff\xff\xff\x00\x00\x00\x00"
_ENTRY: Final = struct.Struct("<5q")
_SUMMARY = -1
_BROKEN = (pa.ArrowException, OSError, EOFError, ValueError)

_logger = logging.getLogger(__name__)


def segment_paths(folder: Path) -> list[Path]:
    """The segments of a folder, in the order in which they were begun."""
    return sorted(folder.glob(f"*{SUFFIX}"), key=lambda path: path.name)


def index_path(path: Path) -> Path:
    """The index of a segment."""
    return path.with_name(path.name + INDEX_SUFFIX)


def delete_segment(path: Path) -> None:
    """Remove a segment and its index; it may be gone already."""
    path.unlink(missing_ok=True)
    index_path(path).unlink(missing_ok=True)


def stamp_of(batch: pa.RecordBatch) -> int:
    """When a request was answered, in milliseconds since the epoch: its first column's first value."""
    return int(batch.column(0)[0].value)


class SegmentWriter:
    """A new segment for batches of one schema. Raises OSError where the disk does not take it."""

    def __init__(self, folder: Path, schema: pa.Schema, stamp: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        newest = max((int(path.name.split("-")[0]) for path in segment_paths(folder)), default=-1)
        self.begun = max(stamp, newest + 1)
        path = folder / f"{self.begun:013}-{os.getpid()}-{secrets.token_hex(4)}{SUFFIX}"
        self.schema = schema
        # The index is there first: a segment without one is an old one, and is read whole.
        self._index = index_path(path).open("xb")
        self._file = path.open("xb")
        self.size = self._file.write(schema.serialize())
        self._requests = self._rows = 0
        self._oldest = self._newest = stamp

    def write(self, batch: pa.RecordBatch) -> None:
        """Append one request; it may stay in a buffer until `flush`."""
        stamp = stamp_of(batch)
        length = self._file.write(batch.serialize())
        self._index.write(_ENTRY.pack(self.size, length, stamp, batch.num_rows, batch.nbytes))
        self.size += length
        self._requests += 1
        self._rows += batch.num_rows
        self._oldest, self._newest = min(self._oldest, stamp), max(self._newest, stamp)

    def flush(self) -> None:
        """Hand everything to the operating system, the requests before what tells of them."""
        self._file.flush()
        self._index.flush()

    def sync(self) -> None:
        """Bring what was flushed to the disk."""
        os.fdatasync(self._file.fileno())

    @property
    def is_deleted(self) -> bool:
        """Whether the file was deleted under the writer, as another process's retention may do."""
        return os.fstat(self._file.fileno()).st_nlink == 0

    def seal(self) -> None:
        """Mark the end and close."""
        self._file.write(_END_OF_STREAM)
        self._file.close()
        self._index.write(_ENTRY.pack(_SUMMARY, self._requests, self._oldest, self._newest, self._rows))
        self._index.close()

    def abandon(self) -> None:
        """Close after a failed write, without a mark: readers cut what is torn."""
        for file in (self._file, self._index):
            with suppress(OSError):  # what the buffer still holds is bound to fail again
                file.close()


class Segment:
    """One segment as a reader knows it: where each request lies, found out once and then only for what is new."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.name
        self.requests = self.rows = 0
        begun = int(self.name.split("-")[0])
        self.oldest = self.newest = begun  # times of requests; when it was begun, where it holds none
        self._schema: pa.Schema | None = None
        self._is_sealed = False
        self._indexed = 0  # bytes of the index that are known
        self._size = -1
        self._known = array("q")  # entries, of a segment that grows; a sealed one's are mapped
        self._mapped: Entries | None = None
        self._begin = self._end = 0  # where the first request lies, and where the last whole one ends

    @property
    def size(self) -> int:
        """Bytes up to the end of the last whole request."""
        return self._end

    @property
    def schema(self) -> pa.Schema | None:
        """The schema of all its requests; None where not even that was written. Raises FileNotFoundError."""
        if self._schema is None:
            with pa.memory_map(str(self.path)) as source, suppress(*_BROKEN):
                self._schema = pa.ipc.read_schema(source)
                self._begin = source.tell()
        return self._schema

    @property
    def entries(self) -> Entries:
        """A row for each request: place, length, time, rows, bytes."""
        if self._mapped is not None:
            return self._mapped
        return np.frombuffer(self._known, np.int64).reshape(-1, 5) if self._known else np.empty((0, 5), np.int64)

    def refresh(self) -> None:
        """Take notice of the requests written since the last look. Raises FileNotFoundError if it is gone."""
        if self._is_sealed:
            return
        size = self.path.stat().st_size
        if size == self._size:
            return
        if not self._read_summary():
            self._read_index(size)
            self._read_rest()
        self._size = size

    def _read_summary(self) -> bool:
        """Know a sealed segment by what its index ends with."""
        path = index_path(self.path)
        try:
            with path.open("rb") as file:
                count, torn = divmod(file.seek(0, os.SEEK_END), _ENTRY.size)
                if torn or not count:
                    return False
                file.seek(-_ENTRY.size, os.SEEK_END)
                mark, requests, oldest, newest, rows = _ENTRY.unpack(file.read(_ENTRY.size))
        except OSError:
            return False
        if mark != _SUMMARY or requests != count - 1:
            return False
        self.requests, self.oldest, self.newest, self.rows = requests, oldest, newest, rows
        self._mapped = np.memmap(path, np.int64, "r", shape=(count, 5))[:-1] if requests else np.empty((0, 5), np.int64)
        self._known = array("q")
        self._is_sealed = True
        self._end = self.path.stat().st_size - len(_END_OF_STREAM)
        return True

    def _read_index(self, size: int) -> None:
        """Take over what the index tells beyond what is known, as far as the segment reaches."""
        try:
            with index_path(self.path).open("rb") as file:
                file.seek(self._indexed)
                data = file.read()
        except OSError:
            return
        found = np.frombuffer(data[: len(data) // _ENTRY.size * _ENTRY.size], np.int64).reshape(-1, 5)
        if self.schema is None:
            return
        begin = self._end or self._begin
        found = found[found[:, PLACE] >= begin]
        ends = found[:, PLACE] + found[:, LENGTH]
        # Each begins where the one before ends; from the first that does not, the segment itself is read.
        fits = (found[:, LENGTH] > 0) & (found[:, ROWS] > 0) & (ends <= size)
        fits &= found[:, PLACE] == np.concatenate([[begin], ends[:-1]])[: len(found)]
        self._indexed += len(data) // _ENTRY.size * _ENTRY.size
        self._take(found if fits.all() else found[: int(np.argmin(fits))])

    def _read_rest(self) -> None:
        """Read the requests that no index tells of: it lags, is gone, or the writer died between the two."""
        with suppress(*_BROKEN), pa.memory_map(str(self.path)) as source:
            schema = self.schema
            if schema is None:
                return
            source.seek(self._end or self._begin)
            found = []
            try:
                while True:
                    place = source.tell()
                    batch = pa.ipc.read_record_batch(pa.ipc.read_message(source), schema)
                    batch.validate(full=True)
                    found.append((place, source.tell() - place, stamp_of(batch), batch.num_rows, batch.nbytes))
            finally:  # torn, or being written: whoever looks again goes on from there
                self._take(np.array(found, np.int64).reshape(-1, 5))

    def _take(self, found: Entries) -> None:
        if not len(found):
            return
        oldest, newest = int(found[:, TIME].min()), int(found[:, TIME].max())
        if self.requests:
            oldest, newest = min(oldest, self.oldest), max(newest, self.newest)
        self.oldest, self.newest = oldest, newest
        self.requests += len(found)
        self.rows += int(found[:, ROWS].sum())
        self._end = int(found[-1, PLACE] + found[-1, LENGTH])
        # A new array: entries that were handed out hold on to the old one.
        self._known = self._known + array("q", found.tobytes())

    def batches(self, numbers: list[int]) -> list[pa.RecordBatch | None]:
        """The requests of these numbers, backed by the file, None for a broken one. Raises OSError if it is gone."""
        entries, schema = self.entries, self.schema
        with pa.memory_map(str(self.path)) as source:
            return [self._batch(source, schema, int(entries[number, PLACE])) for number in numbers]

    def _batch(self, source: pa.MemoryMappedFile, schema: pa.Schema, place: int) -> pa.RecordBatch | None:
        try:
            source.seek(place)
            batch = pa.ipc.read_record_batch(pa.ipc.read_message(source), schema)
            batch.validate(full=True)
        except _BROKEN as error:
            _logger.error("inference log broken at %s of %s: %s", place, self.path, error, extra={"action": "log-read"})
            return None
        return batch
