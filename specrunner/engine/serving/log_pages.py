"""Which requests make a page of the inference log, and that page as a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
import pyarrow as pa

from specrunner.core.errors import BadInput
from specrunner.core.values import JsonObject
from specrunner.engine.serving.segments import ROWS, SIZE, TIME, Segment
from specrunner.engine.serving.tensors import Array

DEFAULT_PAGE_BYTES = 2**20

_NO_INT64 = 2**62

_NOTHING = pa.schema([pa.field("time", pa.timestamp("ms"))])


class LogStatus(StrEnum):
    """Why a page ended where it did; the values are those of the public protocol."""

    ALL = "All"  # there is no more
    RECORD_LIMITED = "RecordLimited"  # the limit of rows was reached
    BYTE_LIMITED = "ByteLimited"  # the page was full: more with the next page, or by an export
    SCHEMA_CHANGE = "SchemaChange"  # the next request has other columns


@dataclass(frozen=True, slots=True)
class LogPage:
    """Rows of one schema in one block of memory, why there are no more, and where the next page begins.

    `next` is plain JSON, opaque to whoever carries it, and None at the end.
    """

    table: pa.Table
    status: LogStatus
    next: JsonObject | None = None


@dataclass(frozen=True, slots=True)
class Window:
    """What to read: instants in milliseconds since the epoch, both included; rows at most; bytes a page may have."""

    start: int | None = None
    end: int | None = None
    newest_first: bool = False
    limit: int | None = None
    page_bytes: int = DEFAULT_PAGE_BYTES


@dataclass(frozen=True, slots=True)
class _Slice:
    """So many rows of one request, after so many that were read before, in the order of reading."""

    segment: int
    number: int
    read: int
    count: int

    def of(self, batch: pa.RecordBatch, *, newest_first: bool) -> pa.RecordBatch:
        """Its rows, in the order of the request."""
        return batch.slice(batch.num_rows - self.read - self.count if newest_first else self.read, self.count)


def overlaps(segment: Segment, window: Window) -> bool:
    """Whether a segment may have requests within a window."""
    is_late = window.end is not None and segment.oldest > window.end
    return bool(segment.requests) and not is_late and (window.start is None or segment.newest >= window.start)


def rows_within(segment: Segment, window: Window) -> int:
    """How many rows of a segment lie within a window."""
    if not overlaps(segment, window):
        return 0
    starts = window.start is None or segment.oldest >= window.start
    if starts and (window.end is None or segment.newest <= window.end):
        return segment.rows
    return int(segment.entries[_inside(segment, window), ROWS].sum())


def read_page(segments: Sequence[Segment], window: Window, after: JsonObject | None = None) -> LogPage:
    """The next page of a window: the rows as they were written, or with `newest_first` from the last one backwards.

    A page has one row at least, however large, unless there is none. Raises BadInput for a limit below 1, or an
    `after` that no page gave.
    """
    if window.limit is not None and window.limit < 1:
        raise BadInput("The limit is below 1", f"It is {window.limit}.", "Ask for one row or more.")
    order, offset = _ordered(segments, window, None if after is None else _Position.of(after))
    chosen, status = _choose(segments, order, offset, window)
    if not chosen:
        return LogPage(_empty(segments), LogStatus.ALL)
    last = chosen[-1]
    position = {"segment": segments[last.segment].name, "number": last.number, "row": last.read + last.count}
    position["time"] = int(segments[last.segment].entries[last.number, TIME])
    table = _load(segments, chosen, newest_first=window.newest_first)
    return LogPage(table, status, None if status is LogStatus.ALL else position)


@dataclass(frozen=True, slots=True)
class _Position:
    """Where a page ended: after so many rows of a request, counted as they are read."""

    time: int
    segment: str
    number: int
    row: int

    @classmethod
    def of(cls, after: JsonObject) -> _Position:
        try:
            found = cls(int(after["time"]), str(after["segment"]), int(after["number"]), int(after["row"]))
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            detail = f"It reads {after!r}."
            raise BadInput("The position in the log is none that a page gave", detail, "Begin anew.") from error
        if max(abs(found.time), abs(found.number), abs(found.row)) >= _NO_INT64:
            raise BadInput("The position in the log is none that a page gave", f"It reads {after!r}.", "Begin anew.")
        return found


def _ordered(segments: Sequence[Segment], window: Window, after: _Position | None) -> tuple[Array, int]:
    """Rows (time, segment, number) in reading order, and how many rows of the first request are gone already.

    There are as many as a page may need, and perhaps more.
    """
    if after is not None and window.newest_first:
        window = replace(window, end=after.time if window.end is None else min(window.end, after.time))
    elif after is not None:
        window = replace(window, start=after.time if window.start is None else max(window.start, after.time))
    keys = _needed(segments, window, after)
    keys = keys[np.lexsort((keys[:, 2], keys[:, 1], keys[:, 0]))]
    if window.newest_first:
        keys = keys[::-1]
    return (keys, 0) if after is None else _resume(segments, keys, window, after)


def _needed(segments: Sequence[Segment], window: Window, after: _Position | None) -> Array:
    """The keys of the requests among which the page is: segment after segment, until no other can reach into it."""
    near = [index for index, segment in enumerate(segments) if overlaps(segment, window)]
    near.sort(key=lambda index: -segments[index].newest if window.newest_first else segments[index].oldest)
    found: list[Array] = []
    for place, index in enumerate(near):
        found.append(_keys(index, segments[index], window))
        rest = near[place + 1 :]
        if rest and _is_enough(segments, found, rest[0], window, after):
            break
    return np.concatenate([np.empty((0, 3), np.int64), *found])


def _is_enough(
    segments: Sequence[Segment], found: list[Array], following: int, window: Window, after: _Position | None
) -> bool:
    """Whether the requests that come before all of the following segments fill the page, and one more is left."""
    rows = size = largest = 0
    # Of the request where the last page ended, and of those of the same moment, some rows may be gone.
    moment = None if after is None else after.time
    for keys in found:
        if not len(keys):
            continue
        edge = segments[following].newest if window.newest_first else segments[following].oldest
        before = keys[:, 0] > edge if window.newest_first else keys[:, 0] < edge
        before &= keys[:, 0] != moment if moment is not None else True
        entries = segments[int(keys[0, 1])].entries[keys[before, 2]]
        rows += int(entries[:, ROWS].sum())
        size += int(entries[:, SIZE].sum())
        largest = max(largest, int(entries[:, SIZE].max(initial=0)))
    return (window.limit is not None and rows > window.limit) or size - largest > window.page_bytes


def _keys(index: int, segment: Segment, window: Window) -> Array:
    numbers = _inside(segment, window)
    times = segment.entries[numbers, TIME]
    return np.column_stack([times, np.full(len(numbers), index), numbers])


def _inside(segment: Segment, window: Window) -> Array:
    """The numbers of its requests within a window."""
    times = segment.entries[:, TIME]
    inside = np.ones(len(times), bool)
    if window.start is not None:
        inside &= times >= window.start
    if window.end is not None:
        inside &= times <= window.end
    return np.flatnonzero(inside)


def _resume(segments: Sequence[Segment], keys: Array, window: Window, after: _Position) -> tuple[Array, int]:
    """What is left from the request of `after` on; it may be half read, or deleted since."""
    place = (after.time, sum(segment.name < after.segment for segment in segments), after.number)
    earlier = _is_before(keys, place)
    is_same = (keys == np.array(place)).all(axis=1) & any(segment.name == after.segment for segment in segments)
    left = keys[is_same | (earlier if window.newest_first else ~earlier)]
    if not is_same.any():
        return left, 0
    row_count = segments[place[1]].entries[place[2], ROWS]
    return (left, after.row) if after.row < row_count else (left[1:], 0)


def _is_before(keys: Array, place: tuple[int, int, int]) -> Array:
    time, segment, number = keys[:, 0], keys[:, 1], keys[:, 2]
    is_inner = (segment < place[1]) | ((segment == place[1]) & (number < place[2]))
    before: Array = (time < place[0]) | ((time == place[0]) & is_inner)
    return before


def _choose(segments: Sequence[Segment], order: Array, offset: int, window: Window) -> tuple[list[_Slice], LogStatus]:
    """The slices that fit into the page, and why it ends."""
    chosen: list[_Slice] = []
    rows, size = 0, 0
    schema: pa.Schema | None = None
    for _, index, number in order.tolist():
        segment, read = segments[index], 0 if chosen else offset
        if schema is not None and segment.schema != schema:
            return chosen, LogStatus.SCHEMA_CHANGE
        schema = segment.schema
        rows_there, bytes_there = (int(segment.entries[number, column]) for column in (ROWS, SIZE))
        there = rows_there - read
        row_bytes = max(bytes_there / rows_there, 1)
        by_limit = there if window.limit is None else window.limit - rows
        by_bytes = max(int((window.page_bytes - size) / row_bytes), 0 if chosen else 1)
        taken = min(there, by_limit, by_bytes)
        if taken:
            chosen.append(_Slice(index, number, read, taken))
        if taken < there:
            return chosen, LogStatus.RECORD_LIMITED if by_limit <= by_bytes else LogStatus.BYTE_LIMITED
        rows += taken
        size += int(taken * row_bytes)
    return chosen, LogStatus.ALL


def _load(segments: Sequence[Segment], chosen: Sequence[_Slice], *, newest_first: bool) -> pa.Table:
    """The slices as one table that no longer needs the files."""
    wanted: dict[int, list[int]] = {}
    for part in chosen:
        wanted.setdefault(part.segment, []).append(part.number)
    found = {
        (index, number): batch
        for index, numbers in wanted.items()
        for number, batch in zip(numbers, segments[index].batches(numbers), strict=True)
    }
    batches = [
        part.of(batch, newest_first=newest_first)
        for part in (reversed(chosen) if newest_first else chosen)
        if (batch := found[part.segment, part.number]) is not None
    ]
    table = pa.Table.from_batches(batches, segments[chosen[0].segment].schema).combine_chunks()
    return table.take(np.arange(table.num_rows)[::-1]) if newest_first else table


def _empty(segments: Sequence[Segment]) -> pa.Table:
    schemas: Iterator[pa.Schema] = (segment.schema for segment in reversed(segments) if segment.schema is not None)
    return next(schemas, _NOTHING).empty_table()
