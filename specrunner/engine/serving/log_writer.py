"""The thread that writes the inference log, so that no response waits for a disk."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from threading import Condition, Lock, Thread

import pyarrow as pa

from specrunner.core.errors import BadInput, EngineError, Unavailable
from specrunner.engine.serving.segments import SegmentWriter, stamp_of

DEFAULT_SEGMENT_BYTES = 16 * 2**20
DEFAULT_QUEUE_BYTES = 64 * 2**20

_GATHER = 0.1  # seconds that requests gather before they are written, if nobody reads; lost if the process dies
_SYNC = 1.0  # seconds between two writes through to the disk
_LONGEST = 24 * 3_600 * 1_000  # milliseconds that a segment spans, so that little traffic is deleted in time too
_FAILURES = (OSError, pa.ArrowException)

_logger = logging.getLogger(__name__)


class LogWriter:
    """Writes requests in the order in which they were appended, into segments of about `segment_bytes`.

    At most `queue_bytes` wait in memory, or one request that is larger; then `append` blocks: slower rather than
    with gaps. Where the disk refuses, the requests concerned are lost, the log of the process says so, and the
    next `flush` or `close` raises EngineError.
    """

    def __init__(
        self, folder: Path, segment_bytes: int, queue_bytes: int, on_segment: Callable[[], object] = lambda: None
    ) -> None:
        self._folder = folder
        self._on_segment = on_segment
        self._segment_bytes = segment_bytes
        self._queue_bytes = queue_bytes
        self._lock = Lock()
        self._work = Condition(self._lock)  # for the thread: there is something to do
        self._done = Condition(self._lock)  # for the others: something was written
        # All below is guarded by `_lock`; bytes count until they are written.
        self._pending: deque[pa.Table] = deque()
        self._pending_bytes = 0
        self._is_urgent = False  # somebody waits
        self._appended = self._written = 0
        self._is_closed = False
        self._failure: Exception | None = None
        self._thread: Thread | None = None
        self._segment: SegmentWriter | None = None  # the thread's own
        self._synced = 0.0  # when the segment was last brought to the disk; what was written since is to be
        self._is_dirty = False

    def append(self, result: pa.Table) -> None:
        """Queue one request; blocks while the queue is full.

        Raises BadInput as `check_result` does, and Unavailable once closed.
        """
        check_result(result)
        size = result.nbytes
        with self._lock:
            if not self._has_room(size):
                self._is_urgent = True
                self._work.notify()
                self._done.wait_for(lambda: self._is_closed or self._has_room(size))
            if self._is_closed:
                raise Unavailable("The inference log is closed", "The pipeline was undeployed.", "Deploy it again.")
            self._pending.append(result)
            self._pending_bytes += size
            self._appended += 1
            if self._thread is None:
                self._thread = Thread(target=self._run, name="inference-log", daemon=True)
                self._thread.start()
            if len(self._pending) == 1 or self._is_due():
                self._work.notify()

    def flush(self) -> None:
        """Wait until all that was appended before is in the files. Raises EngineError if some of it was lost."""
        with self._lock:
            goal = self._appended
            if self._written < goal:
                self._is_urgent = True
                self._work.notify()
                self._done.wait_for(lambda: self._written >= goal)
            self._raise_failure()

    def close(self) -> None:
        """Write what is queued, seal the segment and end the thread; again does nothing."""
        with self._lock:
            self._is_closed = True
            self._work.notify()
            self._done.notify_all()
        if self._thread is not None:
            self._thread.join()
        with self._lock:
            self._raise_failure()

    def _has_room(self, size: int) -> bool:
        return not self._pending_bytes or self._pending_bytes + size <= self._queue_bytes

    def _raise_failure(self) -> None:
        failure, self._failure = self._failure, None
        if failure is not None:
            raise EngineError(
                "The inference log could not be written",
                f"{failure} ({self._folder}). Requests answered meanwhile are not in it.",
                "Make room on the disk, or make the folder writable.",
            ) from failure

    def _run(self) -> None:
        while (drained := self._drain()) or not self._is_closed:
            failure = self._write_all(drained)
            with self._lock:
                self._failure = failure or self._failure
                self._written += len(drained)
                self._pending_bytes -= sum(result.nbytes for result in drained)
                self._done.notify_all()
        failure = self._end_segment()
        with self._lock:
            self._failure = failure or self._failure

    def _drain(self) -> list[pa.Table]:
        """All that waits, once there is something; nothing once the log is closed and empty.

        While nobody waits for it, the thread lets requests gather: a thread that woke up for each of them would
        take the processor from the one that answers.
        """
        with self._lock:
            if self._is_dirty and not self._work.wait_for(lambda: self._pending or self._is_closed, timeout=_SYNC):
                return []
            self._work.wait_for(lambda: self._pending or self._is_closed)
            self._work.wait_for(self._is_due, timeout=_GATHER)
            self._is_urgent = False
            drained = list(self._pending)
            self._pending.clear()
            return drained

    def _is_due(self) -> bool:
        return self._is_urgent or self._is_closed or 2 * self._pending_bytes > self._queue_bytes

    def _write_all(self, results: list[pa.Table]) -> Exception | None:
        try:
            for result in results:
                batch = one_batch(result)
                self._segment_for(batch).write(batch)
            if self._segment is not None:
                self._segment.flush()
                self._sync(self._segment, wrote=bool(results))
        except _FAILURES as error:
            _logger.error("inference log not written: %s", error, extra={"action": "log-write"})
            self._abandon()
            return error
        return None

    def _sync(self, segment: SegmentWriter, *, wrote: bool) -> None:
        """Once a second, so that a machine that loses its power loses no more than that."""
        self._is_dirty = self._is_dirty or wrote
        now = time.monotonic()
        if self._is_dirty and now - self._synced >= _SYNC:
            segment.sync()
            self._synced, self._is_dirty = time.monotonic(), False

    def _segment_for(self, batch: pa.RecordBatch) -> SegmentWriter:
        segment = self._segment
        if segment is not None and self._is_done(segment, batch.schema, stamp_of(batch)):
            segment.seal()
            segment = None
        if segment is None:
            segment = self._segment = SegmentWriter(self._folder, batch.schema, stamp_of(batch))
            self._tell_begun()
        return segment

    def _tell_begun(self) -> None:
        try:
            self._on_segment()
        except Exception:
            _logger.exception("what follows a new segment failed", extra={"action": "log-segment"})

    def _is_done(self, segment: SegmentWriter, schema: pa.Schema, stamp: int) -> bool:
        is_old = stamp - segment.begun >= _LONGEST
        return is_old or segment.size >= self._segment_bytes or segment.schema != schema or segment.is_deleted

    def _end_segment(self) -> Exception | None:
        try:
            if self._segment is not None:
                self._segment.seal()
        except _FAILURES as error:
            self._abandon()
            return error
        self._segment = None
        return None

    def _abandon(self) -> None:
        if self._segment is not None:
            self._segment.abandon()
        self._segment, self._is_dirty = None, False


def check_result(result: pa.Table) -> None:
    """Raises BadInput where a table has no rows, or its first column is not `time: timestamp[ms]`."""
    schema = result.schema
    if not result.num_rows or schema.names[:1] != ["time"] or schema.field(0).type != pa.timestamp("ms"):
        raise BadInput(
            "This is no result of an inference",
            f"It has {result.num_rows} rows and the columns {', '.join(schema.names) or '(none)'}.",
            "Append tables with rows, whose first column is `time: timestamp[ms]`.",
        )


def one_batch(result: pa.Table) -> pa.RecordBatch:
    """The rows of one request as one batch, without metadata and dictionaries."""
    schema = result.schema.remove_metadata()
    for number, field in enumerate(schema):
        if pa.types.is_dictionary(field.type):
            schema = schema.set(number, field.with_type(field.type.value_type))
            result = result.cast(schema)
    columns = [column.chunk(0) if column.num_chunks == 1 else column.combine_chunks() for column in result.columns]
    return pa.RecordBatch.from_arrays(columns, schema=schema)
