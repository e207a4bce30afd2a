"""The log of a pipeline's inferences: one page for the eye, or all of it into files."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from specrunner.sdk import tables
from specrunner.sdk.exceptions import SdkError
from specrunner.sdk.inference import ARROW, Selection
from specrunner.sdk.session import Session, api_error
from specrunner.sdk.transport import Request

if TYPE_CHECKING:
    import pyarrow as pa

DEFAULT_LIMIT = 100  # rows of a page without times
LAST = ("All", "RecordLimited")

_WARNINGS = {
    "ByteLimited": "Warning: Pipeline log size limit exceeded. Please request logs using export_logs",
    "RecordLimited": (
        "Warning: There are more logs available. Please set a larger limit or request a file using export_logs."
    ),
    "SchemaChange": (
        "Warning: The columns of the pipeline's logs changed within what was asked for."
        " Please request the other records separately, or use export_logs."
    ),
}


class LogQuery(NamedTuple):
    """Which records: the newest `limit` ones first, or those from `start` to `end` in order of time.

    Naive instants are local time.
    """

    limit: int | None = None
    start: datetime | None = None
    end: datetime | None = None
    selection: Selection = Selection()

    def parameters(self) -> list[tuple[str, str]]:
        """The query parameters of the log route. Raises SdkError where only one of the two instants is given."""
        if (self.start is None) != (self.end is None):
            raise SdkError(
                "Only one end of the time range is given",
                "Logs are asked for with both times, or with none.",
                "Please provide both start datetime and end datetime together.",
            )
        pairs: list[tuple[str, str]] = []
        if self.start is not None and self.end is not None:
            pairs += [("time.start", _utc(self.start)), ("time.end", _utc(self.end))]
            pairs += [] if self.limit is None else [("page_size", str(self.limit))]
        else:
            pairs += [("page_size", str(self.limit or DEFAULT_LIMIT)), ("order", "desc")]
        return pairs + self.selection.query(hide_metadata=False)


class LogPage(NamedTuple):
    """One page: its rows, why it ends where it does, and what to ask for the next one with (None: there is none)."""

    table: pa.Table
    status: str
    next: Mapping[str, Any] | None


def topic_of(session: Session, pipeline_id: int) -> str:
    """The name under which the platform keeps a pipeline's log."""
    return str(session.post("plateau/get_topic_name", {"pipeline_pk_id": pipeline_id})["topic_name"])


def page(session: Session, topic: str, query: LogQuery, iterator: Mapping[str, Any] | None = None) -> LogPage:
    """The first page, or the one that `iterator`, the `next` of another, leads to. Raises ApiError."""
    request = Request(
        "POST",
        f"/v1/logs/topic/{quote(topic, safe='')}/records",
        query.parameters(),
        {"Accept": ARROW, "Content-Type": "application/json"},
        json.dumps(dict(iterator or {})).encode(),
    )
    answer = session.transport.send(request)
    if not answer.ok:
        raise api_error(answer, "The logs cannot be read")
    table = tables.read_arrow(answer.content)
    told = (table.schema.metadata or {}).get(b"status")
    # An empty log may come without a status; there is nothing after it.
    state: dict[str, Any] = json.loads(told) if told else {"status": "All"}
    table = table.replace_schema_metadata(None)
    if not query.selection.metadata:
        table = table.select([name for name in table.column_names if name.split(".")[0] != "metadata"])
    return LogPage(tables.tidied(table), str(state.get("status")), state.get("next"))


def pages(session: Session, topic: str, query: LogQuery) -> Iterator[LogPage]:
    """All pages that have rows, cut at the query's limit."""
    left = query.limit
    iterator: Mapping[str, Any] | None = {}
    while iterator is not None:
        found = page(session, topic, query, iterator)
        rows = found.table.num_rows
        if rows:
            kept = found.table if left is None else found.table.slice(0, left)
            yield LogPage(kept, found.status, found.next)
        left = None if left is None else left - rows
        stop = found.status in LAST or (left is not None and left <= 0)
        iterator = None if stop or found.next == iterator else found.next


def warn(status: str) -> None:
    """Say on standard error, in the tutorials' words, that a page is not all there is."""
    if status in _WARNINGS:
        sys.stderr.write(_WARNINGS[status] + "\n")


def _utc(instant: datetime) -> str:
    return instant.astimezone(timezone.utc).isoformat()  # noqa: UP017  # Python 3.9
