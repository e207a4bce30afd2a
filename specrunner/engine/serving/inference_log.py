"""The inference log of one pipeline: every answered request, kept in segment files, read by time.

Writing is a thread's business (`log_writer`), the files are described in `segments`. Requests are ordered by
their time, then by segment, then by place in it, so that those of one process stay in the order in which they
were appended. "Newest first" is that order turned round row by row: of a large request the last rows come first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from threading import Lock

import pyarrow as pa

from specrunner.core.values import JsonObject
from specrunner.engine.serving.dataplane import milliseconds
from specrunner.engine.serving.log_export import export_pages
from specrunner.engine.serving.log_pages import (
    DEFAULT_PAGE_BYTES,
    LogPage,
    LogStatus,
    Window,
    read_page,
    rows_within,
)
from specrunner.engine.serving.log_writer import DEFAULT_QUEUE_BYTES, DEFAULT_SEGMENT_BYTES, LogWriter
from specrunner.engine.serving.segments import Segment, delete_segment, segment_paths

DEFAULT_LIMIT = 100

_EXPORT_PAGE_BYTES = 16 * 2**20

__all__ = ["DEFAULT_LIMIT", "DEFAULT_PAGE_BYTES", "InferenceLog", "LogPage", "LogRetention", "LogStatus"]


@dataclass(frozen=True, slots=True)
class LogRetention:
    """What a log keeps: nothing older than `oldest`, and about `max_bytes` at most."""

    oldest: datetime | None = None
    max_bytes: int | None = None


class InferenceLog:
    """The log in `folder`, which is made at the first append; several processes may append to it at once.

    Instants are aware datetimes and count in whole milliseconds, both ends included. Whoever reads sees all that
    this process has appended before, and what the others have written.
    """

    def __init__(
        self,
        folder: Path,
        *,
        segment_bytes: int = DEFAULT_SEGMENT_BYTES,
        queue_bytes: int = DEFAULT_QUEUE_BYTES,
        retention: Callable[[], LogRetention] = LogRetention,
    ) -> None:
        self._folder = folder
        self._retention = retention
        self._writer = LogWriter(folder, segment_bytes, queue_bytes, self.expire)
        self._known: dict[str, Segment] = {}
        self._lock = Lock()  # guards `_known` and what the segments know

    def append(self, result: pa.Table) -> None:
        """Take over the answer to one request and return; it is written in the order of the calls.

        The first column is `time: timestamp[ms]`. Raises BadInput for a table that is no answer, and Unavailable
        once the log is closed. Blocks while more waits than the memory for it holds.
        """
        self._writer.append(result)

    def flush(self) -> None:
        """Wait until all that was appended is written. Raises EngineError where the disk refused some of it."""
        self._writer.flush()

    def close(self) -> None:
        """Write what waits and end; reading stays possible. Raises EngineError as `flush` does."""
        self._writer.close()

    def read(
        self,
        limit: int | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
        page_bytes: int = DEFAULT_PAGE_BYTES,
        newest_first: bool | None = None,
        after: JsonObject | None = None,
    ) -> LogPage:
        """One page of rows, of one schema.

        Without `start` and `end`, the newest rows first, 100 unless `limit` says otherwise; with either,
        the oldest first and without a limit. `newest_first` overrules that. `after` is the `next` of another page
        and goes on where it ended. Raises BadInput for a limit below 1, or an `after` that no page gave.
        """
        has_times = start is not None or end is not None
        window = Window(
            *self._span(start, end),
            newest_first=not has_times if newest_first is None else newest_first,
            limit=DEFAULT_LIMIT if limit is None and not has_times else limit,
            page_bytes=page_bytes,
        )
        return self._page(window, after)

    def count(self, start: datetime | None = None, end: datetime | None = None) -> int:
        """The number of rows in a span of time."""
        window = Window(*self._span(start, end))
        self.flush()
        with self._lock:
            return sum(rows_within(segment, window) for segment in self._segments())

    def pages(self, start: datetime | None = None, end: datetime | None = None) -> Iterator[pa.Table]:
        """All rows in a span of time, the oldest first, in tables of one schema and at most 16 MiB each."""
        window = Window(*self._span(start, end), page_bytes=_EXPORT_PAGE_BYTES)
        page = self._page(window, None)
        while page.table.num_rows:
            yield page.table
            if page.next is None:
                return
            page = self._page(window, page.next)

    def export(self, path: Path, start: datetime | None = None, end: datetime | None = None) -> int:
        """Write the rows of a span of time to a `.arrow`, `.parquet` or `.csv` file; how many there were.

        Columns that only some requests have are null in the others. The file is there whole or not at all.
        Raises BadInput for another ending, where one column had types that nothing unites, and where the file
        can't be written.
        """
        window = Window(*self._span(start, end))
        self.flush()
        with self._lock:
            found = [segment.schema for segment in self._segments() if rows_within(segment, window)]
        schemas = [schema for schema in found if schema is not None]
        return export_pages(path, schemas, self.pages(start, end))

    def retain(self, oldest: datetime | None = None, max_bytes: int | None = None) -> int:
        """Delete the segments that hold nothing younger than `oldest`, then the oldest until `max_bytes` are kept.

        Only whole segments go. Returns the number of bytes freed.
        """
        self.flush()
        return self._retain(None if oldest is None else milliseconds(oldest), max_bytes)

    def expire(self) -> int:
        """Delete what the log's retention no longer keeps; the number of bytes freed.

        It is done whenever a segment is begun. What is too old is not read from then on, deleted or not.
        """
        kept = self._retention()
        return self._retain(None if kept.oldest is None else milliseconds(kept.oldest), kept.max_bytes)

    def _retain(self, cutoff: int | None, max_bytes: int | None) -> int:
        if cutoff is None and max_bytes is None:
            return 0
        with self._lock:
            segments = self._segments()
            kept = sum(segment.size for segment in segments)
            before = kept
            for segment in segments:
                is_old = cutoff is not None and segment.newest < cutoff
                if is_old or (max_bytes is not None and kept > max_bytes):
                    delete_segment(segment.path)
                    kept -= segment.size
        return before - kept

    def _span(self, start: datetime | None, end: datetime | None) -> tuple[int | None, int | None]:
        """A span of time in milliseconds, without what is older than the log keeps."""
        oldest = self._retention().oldest
        starts = [milliseconds(moment) for moment in (start, oldest) if moment is not None]
        return max(starts, default=None), None if end is None else milliseconds(end)

    def _page(self, window: Window, after: JsonObject | None) -> LogPage:
        self.flush()
        with self._lock:
            return read_page(self._segments(), window, after)

    def _segments(self) -> list[Segment]:
        """Every segment that is there now, with what it holds now."""
        found: dict[str, Segment] = {}
        for path in segment_paths(self._folder):
            segment = self._known.get(path.name) or Segment(path)
            try:
                segment.refresh()
            except FileNotFoundError:
                continue  # another process's retention was quicker
            found[path.name] = segment
        self._known = found
        return list(found.values())
