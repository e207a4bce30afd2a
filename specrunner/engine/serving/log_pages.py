"""Which requests make a page of the inference log, and that page as a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import pyarrow as pa

from specrunner.core.errors import BadInput
from specrunner.core.values import JsonObject
from specrunner.engine.serving.segments import Segment
from specrunner.engine.serving.tensors import Array

DEFAULT_PAGE_BYTES = 2**20

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
    """Some rows of one request, and how many of its rows are gone before and with them."""

    segment: int
    number: int
    first: int
    count: int


def is_within(time: int, window: Window) -> bool:
    """Whether a request of this time belongs to the window."""
    return (window.start is None or time >= window.start) and (window.end is None or time <= window.end)


def read_page(segments: Sequence[Segment], window: Window, after: JsonObject | None = None) -> LogPage:
    """The next page of a window. The rows of a request keep their order, whichever request comes first.

    A page has one row at least, however large, unless there is none. Raises BadInput for a limit below 1, or an
    `after` that no page gave.
    """
    if window.limit is not None and window.limit < 1:
        raise BadInput("The limit is below 1", f"It is {window.limit}.", "Ask for one row or more.")
    order, offset = _ordered(segments, window, after)
    chosen, status = _choose(segments, order, offset, window)
    if not chosen:
        return LogPage(_empty(segments), LogStatus.ALL)
    last = chosen[-1]
    position = {"segment": segments[last.segment].name, "number": last.number, "row": last.first + last.count}
    position["time"] = segments[last.segment].times[last.number]
    return LogPage(_load(segments, chosen), status, None if status is LogStatus.ALL else position)


def _ordered(segments: Sequence[Segment], window: Window, after: JsonObject | None) -> tuple[Array, int]:
    """Rows (time, segment, number) in reading order, and how many rows of the first request are gone already."""
    keys = np.concatenate([np.empty((0, 3), np.int64), *map(_keys, range(len(segments)), segments)])
    if window.start is not None:
        keys = keys[keys[:, 0] >= window.start]
    if window.end is not None:
        keys = keys[keys[:, 0] <= window.end]
    keys = keys[np.lexsort((keys[:, 2], keys[:, 1], keys[:, 0]))]
    if window.newest_first:
        keys = keys[::-1]
    return (keys, 0) if after is None else _resume(segments, keys, window, after)


def _keys(index: int, segment: Segment) -> Array:
    count = len(segment.times)
    return np.column_stack([np.array(segment.times, np.int64), np.full(count, index), np.arange(count)])


def _resume(segments: Sequence[Segment], keys: Array, window: Window, after: JsonObject) -> tuple[Array, int]:
    """What is left from the request of `after` on; it may be half read, or deleted since."""
    try:
        name, gone = str(after["segment"]), int(after["row"])
        place = (int(after["time"]), sum(segment.name < name for segment in segments), int(after["number"]))
    except (KeyError, TypeError, ValueError) as error:
        detail = f"It reads {after!r}."
        raise BadInput("The position in the log is none that a page gave", detail, "Begin anew.") from error
    earlier = _is_before(keys, place)
    is_same = (keys == np.array(place)).all(axis=1) & any(segment.name == name for segment in segments)
    left = keys[is_same | (earlier if window.newest_first else ~earlier)]
    if not is_same.any():
        return left, 0
    row_count = segments[place[1]].rows[place[2]]
    return (left, gone) if gone < row_count else (left[1:], 0)


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
        segment, first = segments[index], 0 if chosen else offset
        if schema is not None and segment.schema != schema:
            return chosen, LogStatus.SCHEMA_CHANGE
        schema = segment.schema
        there = segment.rows[number] - first
        row_bytes = max(segment.sizes[number] / segment.rows[number], 1)
        by_limit = there if window.limit is None else window.limit - rows
        by_bytes = max(int((window.page_bytes - size) / row_bytes), 0 if chosen else 1)
        taken = min(there, by_limit, by_bytes)
        if taken:
            chosen.append(_Slice(index, number, first, taken))
        if taken < there:
            return chosen, LogStatus.RECORD_LIMITED if by_limit <= by_bytes else LogStatus.BYTE_LIMITED
        rows += taken
        size += int(taken * row_bytes)
    return chosen, LogStatus.ALL


def _load(segments: Sequence[Segment], chosen: Sequence[_Slice]) -> pa.Table:
    """The slices as one table that no longer needs the files."""
    wanted: dict[int, list[int]] = {}
    for part in chosen:
        wanted.setdefault(part.segment, []).append(part.number)
    found = {
        (index, number): batch
        for index, numbers in wanted.items()
        for number, batch in zip(numbers, segments[index].batches(numbers), strict=True)
    }
    batches = [found[part.segment, part.number].slice(part.first, part.count) for part in chosen]
    return pa.Table.from_batches(batches).combine_chunks()


def _empty(segments: Sequence[Segment]) -> pa.Table:
    schemas: Iterator[pa.Schema] = (segment.schema for segment in reversed(segments) if segment.schema is not None)
    return next(schemas, _NOTHING).empty_table()
