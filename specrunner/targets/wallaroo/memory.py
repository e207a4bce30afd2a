"""What the platform has no place for: whose an object is, what was applied to it, which order was carried out.

The status files are the truth that everybody shares. What this machine has written since they were is kept in a file
of its state folder, entry by entry with the digest of the record that it was written over: once the record is another,
it is newer, and counts.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from filelock import FileLock

from specrunner.core.errors import InvalidSpecs
from specrunner.core.keys import Key
from specrunner.core.recorded import NO_RECORDS, Recorded, Records
from specrunner.core.resources import Owner
from specrunner.core.values import JsonObject, Secret, canonical, digest


@dataclass(frozen=True, slots=True)
class Entry:
    """What is remembered of one object.

    `orders` are the platform's tasks by the intents that they carried out, `ended` how those ended as it was
    recorded, `begun` the platform's tasks that were there before an order was given whose answer may be lost.
    `prints` are fingerprints of secrets, by path; none where they were applied elsewhere.
    """

    owner: Owner
    applied: JsonObject
    labels: Mapping[str, str] = field(default_factory=dict)
    description: str = ""
    protect: bool = False
    prints: Mapping[str, str] = field(default_factory=dict)
    orders: Mapping[str, str] = field(default_factory=dict)
    ended: Mapping[str, str] = field(default_factory=dict)
    begun: Mapping[str, list[str]] = field(default_factory=dict)


class Memory:
    """The memory of one platform on this machine. Safe for several threads and processes."""

    def __init__(self, path: Path, recorded: Callable[[], Records] = lambda: NO_RECORDS) -> None:
        self._path, self._recorded = path, recorded
        self._lock = FileLock(f"{path}.lock")
        self._guard, self._orders = threading.RLock(), threading.Lock()
        self._records: dict[Key, Recorded] | None = None

    def refresh(self) -> None:
        """Let the status files be read anew when they are needed next."""
        with self._guard:
            self._records = None

    def entries(self) -> dict[Key, Entry]:
        """Everything that is remembered. Raises InvalidSpecs for status files that can't be read."""
        with self._locked():
            return self._merged(self._load())

    def get(self, key: Key) -> Entry | None:
        """What is remembered of one object."""
        return self.entries().get(key)

    def put(self, key: Key, entry: Entry) -> None:
        """Remember an object; it is on disk when this returns."""
        self._write(key, asdict(entry))

    def forget(self, key: Key, mark: str = "") -> None:
        """Remember no longer; of what stays on the platform for want of a way to remove it, its mark."""
        self._write(key, None, mark)

    def left(self) -> dict[Key, str]:
        """The marks of what was let go of here."""
        with self._locked():
            return {Key.parse(key): kept["mark"] for key, kept in self._load()["entries"].items() if kept["mark"]}

    def change(self, key: Key, **fields: Any) -> Entry:
        """The entry of an object that is remembered, with other fields; written."""
        with self._locked():
            entry = replace(self._merged(self._load())[key], **fields)
            self._write(key, asdict(entry))
        return entry

    @contextmanager
    def ordering(self) -> Iterator[None]:
        """Nobody else on this machine gives an order meanwhile."""
        with self._orders, FileLock(f"{self._path}.orders.lock"):
            yield

    def fingerprint(self, secret: Secret) -> str:
        """Equal for equal values under this machine's key; says nothing else about the value."""
        with self._locked():
            key = bytes.fromhex(self._load()["key"])
        return hmac.new(key, canonical(secret.reveal()).encode(), hashlib.sha256).hexdigest()

    def _merged(self, data: dict[str, Any]) -> dict[Key, Entry]:
        records = self._known()
        found = {key: _as_recorded(one) for key, one in records.items()}
        for text, kept in data["entries"].items():
            key = Key.parse(text)
            mine = None if kept["entry"] is None else _entry(kept["entry"])
            if kept["base"] == _digest(records.get(key)):
                if mine is None:
                    found.pop(key, None)
                else:
                    found[key] = mine
            elif mine is not None and key in found:
                found[key] = _newer(found[key], mine)
        return found

    def _known(self) -> dict[Key, Recorded]:
        if self._records is None:
            records = self._recorded()
            if records.problems:
                raise InvalidSpecs(records.problems)
            self._records = {one.key: one for one in records.objects}
        return self._records

    def _write(self, key: Key, entry: dict[str, Any] | None, mark: str = "") -> None:
        with self._locked():
            data = self._load()
            data["entries"][str(key)] = {"base": _digest(self._known().get(key)), "entry": entry, "mark": mark}
            self._save(data)

    def _load(self) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads(self._path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            found = {"key": secrets.token_hex(32), "entries": {}}
            self._save(found)  # or the next fingerprint would be made with another key
        return found

    def _save(self, data: dict[str, Any]) -> None:
        part = self._path.with_name(f"{self._path.name}.{os.getpid()}.new")
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            json.dump(data, stream)
        part.replace(self._path)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with self._guard:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._lock:
                yield


def _as_recorded(one: Recorded) -> Entry:
    return Entry(
        one.owner, one.applied, one.labels, one.description, one.protect, orders=one.runs, ended=dict(one.intents)
    )


def _newer(recorded: Entry, mine: Entry) -> Entry:
    """What was recorded since, with what no record holds."""
    prints = mine.prints if mine.applied == recorded.applied else {}
    orders = {**mine.orders, **recorded.orders} if mine.owner == recorded.owner else recorded.orders
    return replace(recorded, prints=prints, orders=orders, begun=mine.begun)


def _digest(one: Recorded | None) -> str:
    """What a record says, as far as it is remembered; empty for none."""
    if one is None:
        return ""
    return digest([str(one.owner), one.applied, dict(one.labels), one.description, one.protect])


def _entry(data: dict[str, Any]) -> Entry:
    return Entry(**data | {"owner": Owner(**data["owner"])})
