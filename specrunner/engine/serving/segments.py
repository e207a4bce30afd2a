"""The files of the inference log: Arrow IPC streams that only ever grow, one writer each.

`<start>-<pid>-<random>.arrows`: 13 digits of milliseconds, greater than those of every segment that was there
before, so that names sort in the order in which segments were begun. A segment has one schema; each record batch
is one request. The end-of-stream marker seals it. A segment without one is being written, or its writer died: it
is good up to the first message that is not whole, and what follows is left out ("torn").

Source: the Arrow columnar format, "IPC Streaming Format" (encapsulated messages, end-of-stream marker).
"""

from __future__ import annotations

import os
import secrets
from array import array
from contextlib import suppress
from pathlib import Path

import pyarrow as pa

SUFFIX = ".arrows"

_END_OF_STREAM = b"\xff\xff\xff\xff\x00\x00\x00\x00"


def segment_paths(folder: Path) -> list[Path]:
    """The segments of a folder, in the order in which they were begun."""
    return sorted(folder.glob(f"*{SUFFIX}"), key=lambda path: path.name)


def stamp_of(batch: pa.RecordBatch) -> int:
    """When a request was answered, in milliseconds since the epoch: its first column's first value."""
    return int(batch.column(0)[0].value)


class SegmentWriter:
    """A new segment for batches of one schema. Raises OSError where the disk does not take it."""

    def __init__(self, folder: Path, schema: pa.Schema, stamp: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        newest = max((int(path.name.split("-")[0]) for path in segment_paths(folder)), default=-1)
        name = f"{max(stamp, newest + 1):013}-{os.getpid()}-{secrets.token_hex(4)}{SUFFIX}"
        self.schema = schema
        self._file = (folder / name).open("xb")
        self.size = self._file.write(schema.serialize())

    def write(self, batch: pa.RecordBatch) -> None:
        """Append one request; it may stay in a buffer until `flush`."""
        self.size += self._file.write(batch.serialize())

    def flush(self) -> None:
        """Hand everything to the operating system."""
        self._file.flush()

    @property
    def is_deleted(self) -> bool:
        """Whether the file was deleted under the writer, as another process's retention may do."""
        return os.fstat(self._file.fileno()).st_nlink == 0

    def seal(self) -> None:
        """Mark the end and close."""
        self._file.write(_END_OF_STREAM)
        self._file.close()

    def abandon(self) -> None:
        """Close after a failed write, without a mark: readers cut what is torn."""
        with suppress(OSError):  # what the buffer still holds is bound to fail again
            self._file.close()


class Segment:
    """One segment as a reader knows it: where each request lies, found out once and then only for what is new."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.name
        self.schema: pa.Schema | None = None
        self.times, self.rows, self.sizes = array("q"), array("q"), array("q")
        self._offsets = array("q")
        self._end = 0
        self._is_sealed = False

    @property
    def size(self) -> int:
        """Bytes up to the end of the last whole request."""
        return self._end

    @property
    def newest(self) -> int:
        """The latest time in it; when it was begun, where it holds no request."""
        return max(self.times, default=int(self.name.split("-")[0]))

    def refresh(self) -> None:
        """Take notice of the requests written since the last look. Raises FileNotFoundError if it is gone."""
        if self._is_sealed or self.path.stat().st_size <= self._end:
            return
        with pa.memory_map(str(self.path)) as source:
            source.seek(self._end)
            try:
                if self.schema is None:
                    self.schema = pa.ipc.read_schema(source)
                    self._end = source.tell()
                while True:
                    self._note(pa.ipc.read_record_batch(pa.ipc.read_message(source), self.schema))
                    self._end = source.tell()
            except EOFError:
                source.seek(self._end)
                self._is_sealed = source.read(len(_END_OF_STREAM)) == _END_OF_STREAM
            except (pa.ArrowException, OSError):
                return  # torn, or being written: whoever looks again goes on from `_end`

    def _note(self, batch: pa.RecordBatch) -> None:
        batch.validate(full=True)
        self.times.append(stamp_of(batch))
        self.rows.append(batch.num_rows)
        self.sizes.append(batch.nbytes)
        self._offsets.append(self._end)

    def batches(self, numbers: list[int]) -> list[pa.RecordBatch]:
        """The requests of these numbers, backed by the file. Raises OSError if it is gone."""
        with pa.memory_map(str(self.path)) as source:
            return [self._batch(source, number) for number in numbers]

    def _batch(self, source: pa.MemoryMappedFile, number: int) -> pa.RecordBatch:
        source.seek(self._offsets[number])
        return pa.ipc.read_record_batch(pa.ipc.read_message(source), self.schema)
