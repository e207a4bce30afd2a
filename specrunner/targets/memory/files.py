"""The state of a memory target as a JSON file that several processes share."""

from __future__ import annotations

import json
import os
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from specrunner.core.keys import Key
from specrunner.core.leases import Holder, Lease
from specrunner.core.lifecycle import Reason, RunState
from specrunner.core.resources import Owner
from specrunner.core.values import iso, parse_iso
from specrunner.targets.memory.quirks import Quirk
from specrunner.targets.memory.raw import RawObject, RawRun, Record

if TYPE_CHECKING:
    from specrunner.targets.memory.state import MemoryState

_MOMENTS = ("created", "started", "ended", "scheduled")


class StateFile:
    """One file and its lock. Written whole and exchanged at once, so that a reader never sees half of it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = FileLock(f"{path}.lock")
        self._known: tuple[int, int] | None = None

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes out; the lock ends with the process that holds it."""
        with self._lock:
            yield

    def refresh(self, state: MemoryState) -> None:
        """Read the file if another process has written it since."""
        stamp = self._stamp()
        if stamp is not None and stamp != self._known:
            fill(state, json.loads(self._path.read_text(encoding="utf-8")))
            self._known = stamp

    def save(self, state: MemoryState) -> None:
        """Write the state."""
        partial = self._path.with_name(f"{self._path.name}.{os.getpid()}.new")
        partial.write_text(json.dumps(dump(state)), encoding="utf-8")
        partial.replace(self._path)
        self._known = self._stamp()

    def distrust(self) -> None:
        """Something went wrong in the middle of a write: what is in memory no longer counts."""
        self._known = None

    def _stamp(self) -> tuple[int, int] | None:
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return None
        return found.st_ino, found.st_mtime_ns


def dump(state: MemoryState) -> dict[str, Any]:
    """The whole state as JSON."""
    return {
        "key": state.key.hex(),
        "count": state.count,
        "quirks": sorted(state.quirks),
        "lingers": state.lingers,
        "remembered": [asdict(owner) for owner in state.remembered],
        "suspended": sorted(state.suspended),
        "objects": [_plain(thing) for thing in state.objects.values()],
        "records": [{"key": str(key), **_plain(record)} for key, record in state.records.items()],
        "runs": [_plain(run) for run in state.runs.values()],
        "logs": state.logs,
        "leases": [_plain(lease) for lease in state.leases.values()],
        "blobs": {sha: b64encode(data).decode() for sha, data in state.blobs.items()},
    }


def fill(state: MemoryState, data: dict[str, Any]) -> None:
    """Make the state what `dump` wrote."""
    state.clear()
    state.key, state.count = bytes.fromhex(data["key"]), data["count"]
    state.quirks, state.lingers = frozenset(map(Quirk, data["quirks"])), data["lingers"]
    state.remembered.update(Owner(**owner) for owner in data["remembered"])
    state.suspended.update(data["suspended"])
    for thing in data["objects"]:
        state.keep(RawObject(**thing | {"key": Key.parse(thing["key"])}))
    for record in data["records"]:
        key = Key.parse(record.pop("key"))
        state.records[key] = Record(**record | {"owner": Owner(**record["owner"])})
    for run in data["runs"]:
        state.keep_run(RawRun(**_run(run)))
    state.logs.update({name: [(moment, text) for moment, text in lines] for name, lines in data["logs"].items()})
    state.leases.update({lease["name"]: _lease(lease) for lease in data["leases"]})
    state.blobs.update({sha: b64decode(text) for sha, text in data["blobs"].items()})


def _plain(thing: Any) -> dict[str, Any]:
    """A record as JSON; keys and instants as text."""
    found = {}
    for name in thing.__slots__:
        value = getattr(thing, name)
        if isinstance(value, Key):
            value = str(value)
        elif isinstance(value, datetime):
            value = iso(value)
        elif isinstance(value, Owner | Holder):
            value = _plain(value)
        found[name] = value
    return found


def _run(data: dict[str, Any]) -> dict[str, Any]:
    moments = {name: parse_iso(data[name]) if data[name] else None for name in _MOMENTS}
    reason = Reason(data["reason"]) if data["reason"] else None
    return {**data, **moments, "task": Key.parse(data["task"]), "status": RunState(data["status"]), "reason": reason}


def _lease(data: dict[str, Any]) -> Lease:
    holder = Holder(**data["holder"] | {"since": parse_iso(data["holder"]["since"])})
    return Lease(data["name"], holder, parse_iso(data["heartbeat"]), parse_iso(data["expires"]))
