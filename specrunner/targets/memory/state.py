"""What a memory target holds: plain records in mappings, shared by any number of targets, as JSON on request.

The state plays the server. It keeps objects by ids of its own making, so that a second object of the same name (a twin)
is seen as such, and it keeps apart what the adapter remembers of each: whose it is and what was applied.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from specrunner.core.errors import NotFound
from specrunner.core.keys import Key
from specrunner.core.leases import Lease
from specrunner.core.resources import Owner, references_of
from specrunner.core.values import Json, JsonObject, Secret, canonical
from specrunner.targets.memory.files import StateFile
from specrunner.targets.memory.quirks import Quirk
from specrunner.targets.memory.raw import RawObject, RawRun, Record


class MemoryState:
    """Everything one memory target holds.

    Given a path, it is kept there as JSON: each write is there when the call returns, and other processes that open
    the same path see it. What is in the mappings is read freely and written inside `writing()`; `add`, `drift` and
    `lose` do what somebody else might do on a server.
    """

    def __init__(self, path: Path | None = None, quirks: frozenset[Quirk] = frozenset(), lingers: int = 2) -> None:
        self.quirks = quirks
        self.lingers = lingers  # how many looks still see a deleted object, with Quirk.LINGERS
        self.key = secrets.token_bytes(32)
        self.count = 0
        self.objects: dict[str, RawObject] = {}
        self.records: dict[Key, Record] = {}
        self.runs: dict[str, RawRun] = {}
        self.logs: dict[str, list[tuple[float, str]]] = {}
        self.leases: dict[str, Lease] = {}
        self.blobs: dict[str, bytes] = {}
        self.remembered: set[Owner] = set()
        self.suspended: set[str] = set()  # tasks, by id
        self.killed: dict[str, threading.Event] = {}  # by run, for what runs in this process
        self.changed = threading.Condition(threading.RLock())  # told of every write
        self._ids: dict[Key, list[str]] = {}
        self._users: dict[Key, set[str]] = {}
        self._run_ids: dict[str, list[str]] = {}
        self._file = StateFile(path) if path is not None else None

    # Transactions

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Look at one consistent state."""
        with self.changed:
            if self._file is not None:
                with self._file.locked():
                    self._file.refresh(self)
            yield

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Write alone. What is raised inside leaves the file as it was."""
        with self.changed:
            if self._file is None:
                yield
            else:
                with self._file.locked():
                    self._file.refresh(self)
                    try:
                        yield
                    except BaseException:
                        self._file.distrust()
                        raise
                    self._file.save(self)
            self.changed.notify_all()

    @property
    def is_shared(self) -> bool:
        """Whether other processes may write too."""
        return self._file is not None

    # Objects

    def new_id(self) -> str:
        """An id that the server makes."""
        self.count += 1
        return f"m-{self.count}"

    def find(self, key: Key) -> RawObject | None:
        """The oldest object known as `key`; one that is being deleted only where there is no other."""
        found = self.all_of(key)
        return next((thing for thing in found if not thing.looks), found[0]) if found else None

    def all_of(self, key: Key) -> list[RawObject]:
        """Every object known as `key`: more than one are twins."""
        return [self.objects[identity] for identity in self._ids.get(key, ())]

    def twins(self) -> list[Key]:
        """The keys under which there are several objects, not counting what is being deleted."""
        return sorted(key for key in self._ids if sum(not thing.looks for thing in self.all_of(key)) > 1)

    def users(self, key: Key) -> list[Key]:
        """The objects that cannot do without this one, deleted ones left out."""
        found = (self.objects[identity] for identity in self._users.get(key, ()))
        return sorted(user.key for user in found if not user.looks)

    def keep(self, thing: RawObject) -> RawObject:
        """Store an object, new or changed."""
        self.drop(thing.id)
        self.objects[thing.id] = thing
        ids = self._ids.setdefault(thing.key, [])
        ids.append(thing.id)
        ids.sort(key=_number)
        for used in references_of(thing.key, thing.spec):
            self._users.setdefault(used, set()).add(thing.id)
        return thing

    def drop(self, identity: str) -> None:
        """Remove an object; one that isn't there is fine."""
        thing = self.objects.pop(identity, None)
        if thing is None:
            return
        self._ids[thing.key].remove(identity)
        if not self._ids[thing.key]:
            del self._ids[thing.key]
        for used in references_of(thing.key, thing.spec):
            self._users[used].discard(identity)

    # Runs

    def keep_run(self, run: RawRun) -> RawRun:
        """Store a run, new or changed."""
        if run.id not in self.runs:
            self._run_ids.setdefault(run.task_id, []).append(run.id)
        self.runs[run.id] = run
        return run

    def runs_of(self, task_id: str) -> list[RawRun]:
        """The runs of a task by its id, oldest first."""
        return [self.runs[identity] for identity in self._run_ids.get(task_id, ())]

    def left_runs(self, key: Key) -> list[RawRun]:
        """The runs of a task that is gone, by its key, oldest first."""
        return [run for run in self.runs.values() if run.task == key and run.task_id not in self.objects]

    def hand_over(self, key: Key, task_id: str) -> None:
        """The runs of a task that was lost are those of the one that was made in its place."""
        for run in self.left_runs(key):
            self._run_ids[run.task_id].remove(run.id)
            self._run_ids.setdefault(task_id, []).append(run.id)
            self.runs[run.id] = replace(run, task_id=task_id)

    # What somebody else might do

    def add(self, key: Key, spec: JsonObject, data: bytes | None = None) -> RawObject:
        """Make an object that nobody owns."""
        with self.writing():
            if data is not None:
                sha = hashlib.sha256(data).hexdigest()
                self.blobs[sha] = data
                spec = {**spec, "sha": sha}
            return self.keep(RawObject(self.new_id(), key, key.name, dict(spec), fresh=False))

    def drift(self, key: Key, **fields: Json) -> None:
        """Change fields of an object behind the tool's back; None removes one. Raises NotFound."""
        with self.writing():
            found = self._there(key)
            spec = {name: value for name, value in {**found.spec, **fields}.items() if value is not None}
            self.keep(replace(found, spec=spec))

    def exchange(self, key: Key, path: str, secret: Secret) -> None:
        """Put another secret at a path of an object behind the tool's back. Raises NotFound."""
        with self.writing():
            found = self._there(key)
            self.keep(replace(found, secrets={**found.secrets, path: self.fingerprint(secret)}))

    def lose(self, key: Key) -> None:
        """Remove an object behind the tool's back: what was applied stays remembered. Raises NotFound."""
        with self.writing():
            self.drop(self._there(key).id)

    def fingerprint(self, secret: Secret) -> str:
        """Equal for equal values under this state's key; says nothing else about the value."""
        return hmac.new(self.key, canonical(secret.reveal()).encode(), hashlib.sha256).hexdigest()

    def clear(self) -> None:
        """Forget everything but the quirks and the key, for whoever fills it anew from a file."""
        for held in (self.objects, self.records, self.runs, self.logs, self.leases, self.blobs):
            held.clear()
        for index in (self._ids, self._users, self._run_ids):
            index.clear()
        self.remembered.clear()
        self.suspended.clear()

    def _there(self, key: Key) -> RawObject:
        found = self.find(key)
        if found is None:
            raise NotFound(f"There is no {key} on this memory target.")
        return found


def _number(identity: str) -> int:
    return int(identity.removeprefix("m-"))
