"""Server-sent events: notes about what goes on, lines of a log, and the end of either.

Source: the section on server-sent events of the HTML standard. An event has a name, an id where a reader may go on
from, and one line of JSON as its data; a comment keeps the connection alive.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

ALIVE: Final = b": alive\n\n"
NOTE: Final = "note"  # something goes on: a text
LINES: Final = "lines"  # lines of a log: a `LogPage`
DONE: Final = "done"  # it has ended well: the answer
FAILED: Final = "failed"  # it has not: a `Fault`


@dataclass(frozen=True, slots=True)
class Event:
    """One event; `data` is JSON."""

    name: str
    data: bytes
    id: str = ""


def written(event: Event) -> bytes:
    """An event as it travels."""
    identity = f"id: {event.id}\n" if event.id else ""
    return f"{identity}event: {event.name}\ndata: ".encode() + event.data + b"\n\n"


def read(lines: Iterable[str]) -> Iterator[Event]:
    """The events in a stream of lines; one that was cut off is left out, comments and unknown fields too."""
    fields: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")
            continue
        if "event" in fields and "data" in fields:
            yield Event(fields["event"], fields["data"].encode(), fields.get("id", ""))
        fields = {}
