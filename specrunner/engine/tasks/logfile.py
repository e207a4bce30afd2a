"""How a run's log lies on disk, and the writer of it. `logs` is the reader. Standard library only.

The log is one stream of bytes, stdout and stderr together, as it came; an offset is a position in that stream.
The head of it (half the cap) is the file `log`. What comes after goes into segments named by the offset at which
they begin, `log.00000000000033554432`; when the segments outgrow the other half of the cap, the oldest is removed.
So head and tail are kept, and a gap between the end of `log` and the first segment says how much was cut.

Beside each of these files lies an index, `<name>.index`: entries of 16 bytes, little-endian, an unsigned 64-bit
offset and a double with the seconds since the epoch at which the bytes from there on were read. An entry is written
before its bytes, at most every five milliseconds. (Raw bytes with an index cost a third of stamping lines.)
"""

from __future__ import annotations

# Paths are plain texts here: importing pathlib would cost the start of every run some milliseconds.
# ruff: noqa: PTH108, PTH118, PTH208
import os
import struct

LOG = "log"
ENTRY = struct.Struct("<Qd")
_SEGMENTS = 4  # the tail is this many files: a quarter of it goes at a time
_INDEX_EVERY = 0.005  # seconds


def segments(folder: str) -> list[tuple[int, str]]:
    """The files of a log as (offset of the first byte, path), in order; empty before anything was written."""
    names = [name for name in os.listdir(folder) if name == LOG or name.startswith(LOG + ".")]
    starts = [(0 if name == LOG else int(name[len(LOG) + 1 :]), name) for name in names if not name.endswith(".index")]
    return [(start, os.path.join(folder, name)) for start, name in sorted(starts)]


class LogWriter:
    """Appends to the log of a run folder; a log that is there already is continued.

    `cap` bounds the bytes on disk, indexes included. Bytes are visible to readers when `write` returns. Raises
    OSError as writing does.
    """

    __slots__ = ("_data", "_folder", "_index", "_kept", "_last_entry", "_limit", "_position", "_room", "_tail")

    def __init__(self, folder: str, cap: int) -> None:
        self._folder = folder
        self._limit = max(cap // 2, 1)
        self._tail = max(self._limit // _SEGMENTS, 1)
        self._kept: list[tuple[str, int]] = []  # closed segments with their sizes, oldest first
        self._position = 0
        self._data = self._index = -1
        self._open(LOG, self._limit)
        self._position = os.lseek(self._data, 0, os.SEEK_END)
        self._room -= self._position

    def _open(self, name: str, room: int) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        path = os.path.join(self._folder, name)
        self._index = os.open(path + ".index", flags, 0o600)
        self._data = os.open(path, flags, 0o600)
        self._room = room
        self._last_entry = 0.0

    def write(self, data: bytes, now: float) -> None:
        """Append bytes that were read at `now`, in seconds since the epoch."""
        view = memoryview(data)
        while view:
            if self._room <= 0:
                self._next_segment()
            if not 0 <= now - self._last_entry < _INDEX_EVERY:
                _write_all(self._index, memoryview(ENTRY.pack(self._position, now)))
                self._last_entry = now
                self._room -= ENTRY.size
            piece = view[: max(self._room, 1)]
            _write_all(self._data, piece)
            self._position += len(piece)
            self._room -= len(piece)
            view = view[len(piece) :]

    def _next_segment(self) -> None:
        self.close()
        room = min(self._tail, self._limit)
        while self._kept and sum(size for _, size in self._kept) + room > self._limit:
            path, _ = self._kept.pop(0)
            os.unlink(path)
            os.unlink(path + ".index")
        name = f"{LOG}.{self._position:020d}"
        self._open(name, room)
        self._kept.append((os.path.join(self._folder, name), room))

    def close(self) -> None:
        """Close the files; what was written stays."""
        for descriptor in (self._data, self._index):
            if descriptor >= 0:
                os.close(descriptor)
        self._data = self._index = -1


def _write_all(descriptor: int, view: memoryview) -> None:
    while view:
        view = view[os.write(descriptor, view) :]
