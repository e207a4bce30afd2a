"""The records as the memory of a machine that has none: what is recorded of schedules, and who claims what."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import datetime

from specrunner.core.keys import Key, Kind
from specrunner.core.lifecycle import RunState
from specrunner.core.outcome import RunView
from specrunner.core.ports import Claims, Look, StatusRepository
from specrunner.core.recorded import Recorded, Records
from specrunner.core.resources import LiveObject, Owner
from specrunner.core.ticks import OpenRun, TaskMemory, claimed_until
from specrunner.core.values import JsonObject, parse_iso
from specrunner.record import recorded as reading
from specrunner.record.batch import Log, Policy
from specrunner.record.files import claim_file, claim_path, object_path, run_name, run_path, runs_folder
from specrunner.record.listing import Files
from specrunner.record.names import to_file_name
from specrunner.record.renewing import Held, Wanted, renewed, renewing
from specrunner.record.status import record_runs
from specrunner.record.summary import intents_of, last_run, last_runs, settled_of
from specrunner.record.writing import to_yaml

_SUSPENDED = "suspended"


@dataclass(frozen=True, slots=True)
class Order:
    """What a run-once task is told to do, and the spec that says for how long."""

    intent: str
    spec: JsonObject


@dataclass(slots=True)
class StatusBook:
    """The `Book` of ticks and the `Claimer` of applies, on status files.

    `claims` decides between machines; without it there is one only. `push` shares what was written. What is claimed
    here is held until it is recorded or released.
    """

    repository: StatusRepository
    claims: Claims | None
    owner: Owner
    who: str
    policy: Policy
    place: str = ""
    push: Callable[[], None] = lambda: None
    _held: Held = field(default_factory=Held)

    def memories(self, now: datetime) -> tuple[list[TaskMemory], Records]:
        """What is recorded of this owner's scheduled tasks, and of all objects."""
        files = Files(self.repository.read(self._prefix), self._prefix)
        found = reading.recorded_in(files, self.place, self._prefix, now)
        tasks = [one for one in found.objects if one.key.kind is Kind.TASK and one.owner == self.owner]
        scheduled = [one for one in tasks if one.applied.get("schedule") is not None]
        telling = {one.key: _telling(one, files) for one in scheduled}
        files.need(path for paths in telling.values() for path in paths)
        return [_memory(one, files, telling[one.key], now) for one in scheduled], found

    def claim(self, tasks: Mapping[Key, TaskMemory], runs: Sequence[RunView]) -> list[RunView]:
        """Those of the runs that are ours to carry out. Raises SpecrunnerError where nobody can say."""
        if self.claims is None:
            return list(runs)
        wanted = {self._prefix + run_path(run): Wanted(run, tasks[run.task].spec, run.created) for run in runs}

        def free(path: str, look: Look) -> bool:
            run = wanted[path].run
            settled = settled_of(look(self._prefix + object_path(run.task)) or b"")
            # A record may be gone for its age; what the task is settled up to tells of it all the same.
            return look(path) is None and run.scheduled is not None and (settled is None or settled < run.scheduled)

        won = self.claims.claim(self._files(wanted), f"Claim {_instants(runs)} of {self.owner}", free)
        return [one.run for one in self._held.take(wanted, won)]

    def claim_orders(self, orders: Mapping[Key, Order], now: datetime) -> dict[Key, RunView]:
        """Have the orders of run-once tasks be ours to carry out; the runs of those that others have, by task.

        Raises SpecrunnerError where nobody can say.
        """
        if self.claims is None or not orders:
            return {}
        tasks = {self._prefix + claim_path(key, one.intent): key for key, one in orders.items()}
        taken: dict[Key, RunView] = {}

        def free(path: str, look: Look) -> bool:
            key = tasks[path]
            found = self._carried_out(key, orders[key].intent, look(path), look, now)
            taken.pop(key, None)
            if found is not None:
                taken[key] = found
            return found is None

        wanted = {
            path: Wanted(_order_run(key, orders[key].intent, now), orders[key].spec, now) for path, key in tasks.items()
        }
        words = f"Claim {len(wanted)} order{'s' if len(wanted) > 1 else ''} of {self.owner}"
        won = self.claims.claim(self._files(wanted), words, free)
        self._held.take(wanted, won)
        return {key: run for key, run in taken.items() if self._prefix + claim_path(key, run.intent) not in won}

    def _carried_out(self, task: Key, intent: str, claim: bytes | None, look: Look, now: datetime) -> RunView | None:
        """The run of an order, as far as is told; None where there is none yet."""
        claimed = reading.run_of(task, claim) if claim is not None else None
        if claimed is not None:
            return claimed
        state = intents_of(look(self._prefix + object_path(task)) or b"").get(intent)
        return replace(_order_run(task, intent, now), status=RunState(state)) if state is not None else None

    def release(self, orders: Mapping[Key, Order]) -> None:
        """Give back orders that were claimed here and whose runs were never begun."""
        gone = [self._prefix + claim_path(key, one.intent) for key, one in orders.items()]
        self._held.drop(gone)
        if gone:
            self.repository.write(dict.fromkeys(gone), f"Release {len(gone)} orders of {self.owner}")

    def record(self, tasks: Mapping[Key, LiveObject], runs: Sequence[RunView], log: Log, now: datetime) -> None:
        """Write how runs went, and share it."""
        message = f"{_instants(runs)} of {self.owner}"
        self._held.drop(self._prefix + run_path(run) for run in runs)
        record_runs(self.repository, self.owner, tasks, runs, log, now, message=message, policy=self.policy)
        self.push()

    def renewing(self, now: Callable[[], datetime]) -> AbstractContextManager[None]:
        """Meanwhile what is claimed here stays claimed, however long its runs take."""
        return renewing(lambda: self.renew(now()))

    def renew(self, now: datetime) -> None:
        """Have claims of ours whose time is half over count on from now. Raises SpecrunnerError where nobody can say.

        One that somebody has told to be lost meanwhile is ours no longer.
        """
        worn = self._held.worn(now)
        if self.claims is not None and worn:
            wanted = {path: replace(one, since=now) for path, one in worn.items()}
            words = f"Renew {len(wanted)} claim{'s' if len(wanted) > 1 else ''} of {self.owner}"
            won = self.claims.claim(self._files(wanted), words, renewed(wanted))
            self._held.drop(wanted)
            self._held.take(wanted, won)

    def _files(self, wanted: Mapping[str, Wanted]) -> dict[str, bytes]:
        return {path: to_yaml(claim_file(one.run, self.who, one.until)) for path, one in wanted.items()}

    @property
    def _prefix(self) -> str:
        return f"{to_file_name(self.owner.environment)}/"


def last_recorded(
    repository: StatusRepository, owner: Owner, place: str, now: datetime
) -> tuple[dict[Key, LiveObject], dict[Key, RunView]]:
    """The objects of an owner as they were recorded, and the last run of each task."""
    prefix = f"{to_file_name(owner.environment)}/"
    files = Files(repository.read(prefix), prefix)
    objects = [one for one in reading.recorded_in(files, place, prefix, now).objects if one.owner == owner]
    paths: dict[str, Key] = {}
    for one in objects:
        last = last_run(files[object_path(one.key)])
        if last is not None:
            scheduled = parse_iso(last.scheduled) if last.scheduled else None
            paths[runs_folder(one.key) + run_name(last.id, scheduled)] = one.key
    files.need(paths)
    views = {key: reading.run_of(key, files[path]) for path, key in paths.items() if path in files}
    return {one.key: one.as_live() for one in objects}, {key: view for key, view in views.items() if view is not None}


def _telling(task: Recorded, files: Files) -> list[str]:
    """The records of a task's runs that its own file does not tell of: later ones, and all where one was open."""
    paths, own = files.inside(runs_folder(task.key)), files.get(object_path(task.key), b"")
    settled = settled_of(own)
    if settled is None or not all(RunState(state).ended for state in last_runs(own).values()):
        return paths
    last = f"{runs_folder(task.key)}{run_name('', settled)}"
    return [path for path in paths if path > last]


def _memory(task: Recorded, files: Files, telling: Sequence[str], now: datetime) -> TaskMemory:
    records = {path: files[path] for path in telling}
    views = {path: view for path, data in records.items() if (view := reading.run_of(task.key, data)) is not None}
    open_ = [
        OpenRun(view, reading.claimed_until(records[path]) or claimed_until(task.applied, view.created))
        for path, view in views.items()
        if not view.status.ended
    ]
    settled = settled_of(files.get(object_path(task.key), b"")) or now
    settled = max([settled, *(view.scheduled for view in views.values() if view.scheduled is not None)])
    ended = sorted((view for view in views.values() if view.status.ended), key=lambda view: view.created, reverse=True)
    states = tuple(view.status for view in ended)
    return TaskMemory(task.key, task.applied, settled, task.state == _SUSPENDED, tuple(open_), states)


def _order_run(task: Key, intent: str, now: datetime) -> RunView:
    return RunView(os.urandom(16).hex(), task, RunState.RUNNING, now, intent=intent, started=now)


def _instants(runs: Sequence[RunView]) -> str:
    """What a commit says of its runs: the only one by name, more by their number."""
    if len(runs) == 1:
        when = f" for {runs[0].scheduled:%Y-%m-%d %H:%M}" if runs[0].scheduled else ""
        return f"{runs[0].status} {runs[0].task}{when}"
    return f"{len(runs)} runs"
