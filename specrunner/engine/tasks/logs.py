"""Reading a run's log back as lines, while it grows and after. How it lies on disk: `logfile`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from specrunner.core.errors import Unavailable
from specrunner.engine.ports import LogLine
from specrunner.engine.tasks.logfile import ENTRY, segments

_ATTEMPTS = 20  # a segment may be removed between the listing and the reading
_BLOCK = 2**16  # bytes; how far `tail` first looks back


@dataclass(frozen=True, slots=True)
class _File:
    start: int
    end: int
    path: str


def read_lines(folder: Path, offset: int = 0, *, ended: bool = False) -> tuple[list[LogLine], int]:
    """The complete lines from this offset on, and the offset after them.

    With `ended` also what stands after the last line end. Where output was cut to keep the log's cap, one line in
    its place says how much. Invalid UTF-8 is replaced; a line end is `\\n` or `\\r\\n`. A line's time is when its
    first byte was read. The log of a run that has written nothing is empty. Raises Unavailable if the log changes
    faster than it can be read.
    """
    for _ in range(_ATTEMPTS):
        try:
            return _read(_files(folder), offset, ended)
        except FileNotFoundError:
            continue
    raise Unavailable(
        "The log can't be read now.",
        f"The log in {folder} is cut faster than it can be read.",
        "Ask again, or let the run write less.",
    )


def tail(folder: Path, count: int, *, ended: bool = False) -> list[LogLine]:
    """The last `count` lines, as `read_lines` gives them, without reading the whole log."""
    if count <= 0:
        return []
    back = _BLOCK
    while True:
        files = _files(folder)
        first, end = (files[0].start, files[-1].end) if files else (0, 0)
        begin = max(first, end - back)
        lines, _ = read_lines(folder, begin, ended=ended)
        # Unless it begins where the log does, the first line found may be the end of a longer one.
        whole = lines if begin == first else lines[1:]
        if len(whole) >= count or begin == first:
            return whole[-count:]
        back *= 4


def _files(folder: Path) -> list[_File]:
    # Sizes are taken after the listing: whatever has a successor in it does not grow any more.
    try:
        found = segments(str(folder))
        return [_File(start, start + Path(path).stat().st_size, path) for start, path in found]
    except FileNotFoundError:
        return _files(folder) if folder.is_dir() else []


def _read(files: list[_File], offset: int, ended: bool) -> tuple[list[LogLine], int]:
    lines: list[LogLine] = []
    stretches = _stretches(files)
    for number, stretch in enumerate(stretches):
        end = stretch[-1].end
        if end <= offset:
            continue
        start = max(offset, stretch[0].start)
        if start > offset:
            cut = f"[specrunner: {start - offset:,} bytes of output were cut here, the log is over its limit]"
            lines.append(LogLine(_time_at(stretch[0], start), cut))
        last = number == len(stretches) - 1
        found, offset = _lines_of(stretch, start, partial=ended or not last)
        lines += found
    return lines, offset


def _stretches(files: list[_File]) -> list[list[_File]]:
    """Files that follow each other without a gap, together."""
    stretches = [files[:1]] if files else []
    for before, after in pairwise(files):
        if after.start == before.end:
            stretches[-1].append(after)
        else:
            stretches.append([after])
    return stretches


def _lines_of(stretch: list[_File], start: int, *, partial: bool) -> tuple[list[LogLine], int]:
    files = [file for file in stretch if file.end > start]
    data = b"".join(_bytes(file, max(start, file.start)) for file in files)
    if not partial:
        data = data[: data.rfind(b"\n") + 1]
    if not data:
        return [], start
    times = _Times(files, start)
    pieces = data.split(b"\n")
    if not pieces[-1]:
        pieces.pop()
    lines, position = [], start
    for piece in pieces:
        lines.append(LogLine(times.at(position), piece.removesuffix(b"\r").decode("utf-8", "replace")))
        position += len(piece) + 1
    return lines, start + len(data)


def _bytes(file: _File, start: int) -> bytes:
    with Path(file.path).open("rb") as source:
        source.seek(start - file.start)
        return source.read(file.end - start)


class _Times:
    """When the byte at a position was read; positions are asked in rising order."""

    def __init__(self, files: list[_File], start: int) -> None:
        self._entries = _entries(files, start)
        self._next = next(self._entries, None)
        self._time = Path(files[0].path).stat().st_mtime  # only where a crash has left no index

    def at(self, position: int) -> float:
        while self._next is not None and self._next[0] <= position:
            self._time = self._next[1]
            self._next = next(self._entries, None)
        return self._time


def _time_at(file: _File, position: int) -> float:
    return _Times([file], position).at(position)


def _entries(files: list[_File], start: int) -> Iterator[tuple[int, float]]:
    """The index entries that matter from `start` on, the one in force there included."""
    for file in files:
        with Path(file.path + ".index").open("rb") as source:
            source.seek(_first_entry(source.fileno(), start) * ENTRY.size)
            data = source.read()
        yield from ENTRY.iter_unpack(data[: len(data) // ENTRY.size * ENTRY.size])


def _first_entry(descriptor: int, position: int) -> int:
    """The number of the last entry at or before a position, 0 where there is none. Reads a handful of them."""
    low, high = 0, os.fstat(descriptor).st_size // ENTRY.size
    while high - low > 1:
        middle = (low + high) // 2
        offset, _ = ENTRY.unpack(os.pread(descriptor, ENTRY.size, middle * ENTRY.size))
        low, high = (middle, high) if offset <= position else (low, middle)
    return low
