"""A small world for the scheduler: a clock that can be stepped, a store that commits or does not, and processes.

The store's transactions are atomic, and the host may die before or after each. What a host had in hand dies with it;
rows and processes stay.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count

from specrunner.core.due import (
    Due,
    NextFire,
    Passed,
    Timing,
    arrivals,
    effective_since,
    is_ahead,
    superseded,
    unrecorded,
)
from specrunner.core.lifecycle import RUN_TRANSITIONS, Reason, RunState, moved
from specrunner.core.overlap import Waiting
from specrunner.engine.tasks.book import Changes, OpenRuns, Scheduled, Settling
from specrunner.engine.tasks.scheduler import Scheduler

BEGIN = datetime(2026, 3, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)
GRACE = 10 * SECOND


class HostDied(Exception):
    """The host was killed at this point."""


class OutOfReach(Exception):
    """The store did not answer; what it was asked may have happened all the same."""


def marks(cycle: int, at: Collection[int]) -> NextFire:
    """Fires at the given minutes of every cycle of so many minutes."""
    ordered = sorted({minute % cycle for minute in at})

    def fire(after: datetime) -> datetime | None:
        passed = (after - BEGIN) // timedelta(minutes=1)  # the newest whole minute, never after `after`
        start = passed - passed % cycle
        minutes = (start + turn * cycle + minute for turn in (0, 1) for minute in ordered)
        return next(BEGIN + timedelta(minutes=minute) for minute in minutes if minute > passed)

    return fire


@dataclass(slots=True)
class Row:
    run_id: str
    task_id: str
    instant: datetime | None
    due: datetime
    status: RunState = RunState.PENDING
    reason: Reason | None = None
    first: datetime | None = None  # of a skip that stands for several instants


@dataclass(slots=True)
class Process:
    started: datetime  # by the true time, which no step of a clock changes
    ends: datetime


@dataclass(slots=True)
class Epoch:
    """A time during which a task had one timing: every instant due in it must be accounted for."""

    timing: Timing
    since: datetime
    seen: datetime  # the latest moment at which a scheduler looked, or the task changed


@dataclass(slots=True)
class World:
    """The store, the clock and the processes; `host` is the scheduler that lives, if one does."""

    max_runs: int
    takes: timedelta = 90 * SECOND
    true: datetime = BEGIN
    offset: timedelta = timedelta(0)
    tasks: dict[str, Scheduled] = field(default_factory=dict)
    rows: dict[str, Row] = field(default_factory=dict)
    open: dict[str, Row] = field(default_factory=dict)  # those that have not ended
    known: set[tuple[str, datetime | None]] = field(default_factory=set)
    journal: list[tuple[str, RunState]] = field(default_factory=list)
    processes: dict[str, Process] = field(default_factory=dict)
    changed: dict[str, int] = field(default_factory=dict)  # task -> generation of its last change
    generation: int = 0
    news: set[str] = field(default_factory=set)  # tasks of which another process made runs
    handed: set[str] = field(default_factory=set)
    points_left: int | None = None  # until `trouble` comes
    trouble: type[Exception] = HostDied
    host: Scheduler | None = None
    epochs: dict[str, list[Epoch]] = field(default_factory=dict)
    lived: list[tuple[str, datetime, datetime]] = field(default_factory=list)  # task, and when a process of it lived
    rewound: set[str] = field(default_factory=set)
    ids: count[int] = field(default_factory=count)

    @property
    def now(self) -> datetime:
        return self.true + self.offset

    # The port.

    def changes_since(self, generation: int | None) -> Changes:
        self._point()
        ids = [task for task, at in self.changed.items() if generation is None or at > generation]
        here = tuple(self.tasks[task] for task in ids if task in self.tasks)
        gone = tuple(task for task in ids if task not in self.tasks)
        touched = {row.task_id for row in self.open.values()} if generation is None else self.news
        self.news = set()
        return Changes(self.generation, here, gone, tuple(touched))

    def settle(self, found: Sequence[Settling]) -> Mapping[str, datetime]:
        self._point()
        for settling in found:
            task = self.tasks.get(settling.task_id)
            if task is None or task.since != settling.since:
                continue
            assert settling.settled > settling.since or is_ahead(settling.since, self.now)
            self.rewound |= {task.task_id} if settling.settled < settling.since else set()
            for passed in settling.passed:
                self._skipped(task.task_id, passed)
            for due in settling.claims:
                self._claimed(task.task_id, due)
            self._store(Scheduled(task.task_id, task.timing, settling.settled))
        self._point()
        return {one.task_id: self.tasks[one.task_id].since for one in found if one.task_id in self.tasks}

    def open_runs(self, task_ids: Collection[str]) -> Mapping[str, OpenRuns]:
        self._point()
        return {task_id: self._open(task_id) for task_id in task_ids}

    def skip(self, runs: Sequence[tuple[str, Reason]]) -> None:
        self._point()
        for run_id, reason in runs:
            if self._waits(run_id):
                self.move(run_id, RunState.SKIPPED, reason)
        self._point()

    def live(self) -> int:
        self._point()
        return len(self.processes) + len(self.handed)

    def start(self, run_id: str) -> bool:
        self._point()
        if not self._waits(run_id):
            return False
        assert self.live() < self.max_runs
        self.handed.add(run_id)
        self._point()
        return True

    def end(self, run_id: str, grace: bool) -> None:
        self._point()
        if run_id in self.handed:
            self.handed.discard(run_id)
            self.move(run_id, RunState.KILLED, Reason.KILLED)
            self._tell(run_id)
        elif run_id in self.processes:
            process = self.processes[run_id]
            process.ends = min(process.ends, self.true + (GRACE if grace else timedelta(0)))
        self._point()

    # What people and time do.

    def put(self, task_id: str, timing: Timing) -> None:
        """Make or change a task, in one transaction, as the engine is to."""
        old = self.tasks.get(task_id)
        since = self.now
        if old is None and task_id in self.epochs and since < self.epochs[task_id][-1].seen:
            self.rewound.add(task_id)  # a new task of an old name, of a time that the old one has seen
        if old is not None and old.timing is not None:
            since = self._leave(old, old.timing, timing)
        self._store(Scheduled(task_id, timing, since), is_change=True)
        self.epochs.setdefault(task_id, []).append(Epoch(timing, since, self.now))

    def kill_task(self, task_id: str) -> None:
        task = self.tasks.get(task_id)
        if task is None or task.timing is None:
            return
        self._leave(task, task.timing, task.timing)
        del self.tasks[task_id]
        self.generation += 1
        self.changed[task_id] = self.generation
        for row in [row for row in self.open.values() if row.task_id == task_id]:
            self.kill_run(row.run_id)

    def kill_run(self, run_id: str) -> None:
        """As the engine does: when this returns nothing of the run is alive."""
        self.handed.discard(run_id)
        if run_id in self.processes:
            self._buried(run_id)
        self.move(run_id, RunState.KILLED, Reason.KILLED)
        self._tell(run_id)

    def by_hand(self, task_id: str) -> None:
        if task_id in self.tasks:
            self._insert(Row(f"r{next(self.ids)}", task_id, None, self.now))
            self.news.add(task_id)

    def launch(self) -> None:
        """The workers come to what was handed to them."""
        for run_id in sorted(self.handed):
            self.move(run_id, RunState.RUNNING)
            self.processes[run_id] = Process(self.true, self.true + self.takes)
        self.handed.clear()

    def reap(self) -> None:
        """Processes end, and a living host, or the next one, writes it down."""
        for run_id in [run_id for run_id, process in self.processes.items() if process.ends <= self.true]:
            if self.host:
                self._buried(run_id)
                self.move(run_id, RunState.SUCCESS)
                self._tell(run_id)

    def die(self) -> None:
        self.host, self.points_left = None, None
        self.handed.clear()

    def move(self, run_id: str, state: RunState, reason: Reason | None = None) -> None:
        row = self.rows[run_id]
        row.status, row.reason = moved(RUN_TRANSITIONS, row.status, state), reason
        self.journal.append((run_id, state))
        if state.ended:
            del self.open[run_id]

    # Inside the store.

    def _leave(self, task: Scheduled, old: Timing, new: Timing) -> datetime:
        passed = superseded(old, task.since, self.now)
        if passed:
            self._skipped(task.task_id, passed)
        self.rewound |= {task.task_id} if self.now < task.since else set()
        epoch = self.epochs[task.task_id][-1]
        epoch.seen = max(epoch.seen, self.now)
        return effective_since(old, new, task.since, self.now)

    def _store(self, task: Scheduled, is_change: bool = False) -> None:
        self.tasks[task.task_id] = task
        self.generation += is_change
        self.changed[task.task_id] = self.generation if is_change else self.changed[task.task_id]

    def _claimed(self, task_id: str, due: Due) -> None:
        self._insert(Row(f"r{next(self.ids)}", task_id, due.instant, due.at))

    def _skipped(self, task_id: str, passed: Passed) -> None:
        timing = self.tasks[task_id].timing
        assert timing
        recorded = {instant for task, instant in self.known if task == task_id and instant}
        shortened = unrecorded(timing, passed, recorded)
        if shortened is None:
            return
        row = Row(f"r{next(self.ids)}", task_id, shortened.last, shortened.last, first=shortened.first)
        if self._insert(row):
            self.move(row.run_id, RunState.SKIPPED, shortened.reason)

    def _insert(self, row: Row) -> bool:
        """The unique constraint."""
        if row.instant and (row.task_id, row.instant) in self.known:
            return False
        self.known.add((row.task_id, row.instant))
        self.rows[row.run_id] = self.open[row.run_id] = row
        self.journal.append((row.run_id, row.status))
        return True

    def _open(self, task_id: str) -> OpenRuns:
        rows = [row for row in self.open.values() if row.task_id == task_id]
        return OpenRuns(
            tuple(Waiting(row.run_id, row.due, row.instant is None) for row in rows if self._waits(row.run_id)),
            tuple(row.run_id for row in rows if not self._waits(row.run_id)),
        )

    def _buried(self, run_id: str) -> None:
        process = self.processes.pop(run_id)
        self.lived.append((self.rows[run_id].task_id, process.started, min(process.ends, self.true)))

    def _waits(self, run_id: str) -> bool:
        return self.rows[run_id].status is RunState.PENDING and run_id not in self.handed

    def _tell(self, run_id: str) -> None:
        if self.host:
            self.host.heard(self.rows[run_id].task_id)

    def _point(self) -> None:
        """A point at which the host may die, or the store be out of reach."""
        if self.points_left is not None:
            self.points_left -= 1
            if self.points_left < 0:
                self.points_left = None
                raise self.trouble


@dataclass(slots=True)
class Life:
    """Lets time pass in a world, with a host that steps when its loop would."""

    world: World
    looks_itself: bool = True  # asks the schedules too, whether a step left something due

    def pass_time(self, span: timedelta) -> None:
        """Let so much true time pass; the host, if one lives, wakes whenever something is to be done."""
        world = self.world
        until = world.true + span
        while True:
            wake = self.step()
            moments = [until, *(process.ends for process in world.processes.values() if world.host)]
            moments += [world.true + (wake - world.now)] if wake else []
            if world.true >= until and min(moments) >= until:
                return
            world.true = max(world.true, min(moments))

    def step(self) -> datetime | None:
        world = self.world
        world.reap()
        if world.host is None:
            return None
        now = world.now
        try:
            wake = world.host.step(now)
        except HostDied:
            world.die()
            return None
        except OutOfReach:
            world.launch()
            return now + SECOND
        assert wake is None or wake > now
        asks_again = wake is not None and wake - now <= timedelta.resolution
        if self.looks_itself and not asks_again:
            assert not [task for task in world.tasks.values() if _is_due(task, now)], "a step left something due"
        for task_id in world.tasks.keys() & world.epochs.keys():
            epoch = world.epochs[task_id][-1]
            epoch.seen = max(epoch.seen, now)
        world.launch()
        return wake

    def restart(self) -> None:
        self.world.die()
        self.world.host = Scheduler(self.world, self.world.max_runs)


def _is_due(task: Scheduled, now: datetime) -> bool:
    return task.timing is not None and arrivals(task.timing, task.since, now).settled is not None
