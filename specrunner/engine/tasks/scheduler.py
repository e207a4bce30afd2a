"""The scheduler: claims the instants that are due, and starts what waits as far as rules and slots allow.

What is due is decided by `core.due`, what becomes of waiting runs by `core.overlap`, and everything lasting is in the
book. The scheduler only knows when to look at which task: a heap of (moment, task), and a set of tasks of which it
heard. A look does no harm where nothing is to be done, so a look too many is fine; one too few is not, and hence a task
stays noted until the book has taken everything that the look found. A host that dies anywhere loses nothing but looks,
and a new one begins with a look at every task.
"""

from __future__ import annotations

import heapq
import logging
import threading
from collections import deque
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import chain
from typing import Protocol

from specrunner.core.due import Timing, arrivals, is_ahead
from specrunner.core.lifecycle import Reason
from specrunner.core.overlap import Overlap, Rules, judged
from specrunner.core.ports import Clock
from specrunner.engine.tasks.book import Book, OpenRuns, Scheduled, Settling

_logger = logging.getLogger(__name__)

LONGEST_SLEEP = 1.0  # seconds: so much later is a step of the clock or a lost ring noticed
_TICK = timedelta.resolution
_AGAIN = timedelta(minutes=1)  # until a schedule is looked at again that could not be read
_UNSCHEDULED = Rules(Overlap.ALLOW)


@dataclass(slots=True)
class Scheduler:
    """The scheduler of one host. `step` belongs to one thread; `heard` may be called from any."""

    book: Book
    max_runs: int
    _tasks: dict[str, Scheduled] = field(default_factory=dict)
    _generation: int | None = None
    _last: datetime | None = None
    _heap: list[tuple[datetime, str]] = field(default_factory=list)
    _in_heap: set[tuple[datetime, str]] = field(default_factory=set)
    _noted: set[str] = field(default_factory=set)
    _heard: deque[str] = field(default_factory=deque)
    _ready: list[tuple[datetime, str, str]] = field(default_factory=list)
    _startable: dict[str, set[str]] = field(default_factory=dict)

    @property
    def schedules(self) -> int:
        """How many schedules it keeps."""
        return sum(task.timing is not None for task in self._tasks.values())

    def heard(self, task_id: str) -> None:
        """Something happened to a run of that task: the next step looks at it."""
        self._heard.append(task_id)

    def step(self, now: datetime) -> datetime | None:
        """Do what is to be done at `now`, and say when the next step is due.

        Where the book raises, nothing is lost: the next step does what this one could not.
        """
        self._take_changes()
        self._look_out(now)
        self._settle(now)
        self._judge(now)
        self._start()
        return self._heap[0][0] if self._heap else None

    def _take_changes(self) -> None:
        """Read what others changed, and note whom it concerns."""
        while self._heard:
            self._noted.add(self._heard.popleft())
        changes = self.book.changes_since(self._generation)
        for task in changes.tasks:
            self._tasks[task.task_id] = task
            self._noted.add(task.task_id)
        for task_id in changes.gone:
            self._tasks.pop(task_id, None)
            self._startable.pop(task_id, None)
        self._noted.update(changes.touched)
        self._generation = changes.generation

    def _look_out(self, now: datetime) -> None:
        """Note the tasks whose moment has come, or whose schedule is far ahead of a clock that was stepped back."""
        if self._last is not None and now < self._last:
            _logger.warning("action=clock_stepped_back from=%s to=%s", self._last, now)
            self._noted.update(task.task_id for task in self._tasks.values() if is_ahead(task.since, now))
        self._last = now
        while self._heap and self._heap[0][0] <= now:
            wake = heapq.heappop(self._heap)
            self._in_heap.discard(wake)
            self._noted.add(wake[1])
        # Those that are gone may be noted still.
        self._noted.intersection_update(self._tasks)

    def _settle(self, now: datetime) -> None:
        """Claim and skip the instants that have come, and set the alarm for those that follow."""
        found = [settling for task_id in self._noted if (settling := self._look_at(self._tasks[task_id], now))]
        if not found:
            return
        known = self.book.settle(found)
        for settling in found:
            task_id, since = settling.task_id, known.get(settling.task_id, settling.since)
            self._tasks[task_id] = replace(self._tasks[task_id], since=since)
            if task_id in known and since != settling.settled:
                # Somebody else settled it, or this host did and never heard the answer.
                self._wake(now + _TICK, task_id)

    def _look_at(self, task: Scheduled, now: datetime) -> Settling | None:
        """What has come of a task's schedule, None if nothing has; a schedule that can't be read stops no other."""
        try:
            return self._arrived(task, task.timing, now) if task.timing else None
        except Exception:
            _logger.exception("action=schedule task=%s its schedule could not be read", task.task_id)
            self._wake(now + _AGAIN, task.task_id)
            return None

    def _arrived(self, task: Scheduled, timing: Timing, now: datetime) -> Settling | None:
        if is_ahead(task.since, now):
            _logger.warning("action=schedule_rewound task=%s from=%s to=%s", timing.key, task.since, now)
            self._wake(now + _TICK, task.task_id)
            return Settling(task.task_id, task.since, now)
        come = arrivals(timing, task.since, now)
        if come.next is not None:
            self._wake(come.next.at, task.task_id)
        settled = come.settled
        return Settling(task.task_id, task.since, settled, come.due, come.passed) if settled else None

    def _judge(self, now: datetime) -> None:
        """Decide what becomes of the open runs of every task noted, and have it done but for the starts."""
        if not self._noted:
            return
        runs = self.book.open_runs(self._noted)
        skips: list[tuple[str, Reason]] = []
        for task_id in self._noted & (runs.keys() | self._startable.keys()):
            skips += self._verdict(task_id, runs.get(task_id, OpenRuns()), now)
        if skips:
            self.book.skip(skips)
        self._noted.clear()

    def _verdict(self, task_id: str, runs: OpenRuns, now: datetime) -> list[tuple[str, Reason]]:
        """Queue what may start, end what is to end, wake when a waiting run's deadline is over; gives the skips."""
        timing = self._tasks[task_id].timing
        rules = timing.rules if timing else _UNSCHEDULED
        verdict = judged(rules, runs.waiting, runs.live, now)
        before = self._startable.get(task_id, set())
        self._startable[task_id] = {run.run_id for run in verdict.start}
        for run in verdict.start:
            if run.run_id not in before:
                heapq.heappush(self._ready, (run.due, run.run_id, task_id))
        patient = [run.due for run in chain(verdict.start, verdict.keep) if not run.asked]
        if patient:
            self._wake(min(patient) + rules.deadline + _TICK, task_id)
        for run_id in verdict.end:
            self.book.end(run_id, verdict.grace)
        return [(run.run_id, reason) for run, reason in verdict.skip]

    def _start(self) -> None:
        """Start what may start, the longest due first, as long as there are slots."""
        free = self.max_runs - self.book.live() if self._ready else 0
        while self._ready and free > 0:
            _, run_id, task_id = self._ready[0]
            if run_id in self._startable.get(task_id, ()):
                free -= self.book.start(run_id)
                self._startable[task_id].discard(run_id)
            heapq.heappop(self._ready)

    def _wake(self, moment: datetime, task_id: str) -> None:
        """Look at the task at that moment."""
        if (moment, task_id) not in self._in_heap:
            self._in_heap.add((moment, task_id))
            heapq.heappush(self._heap, (moment, task_id))


class Bell(Protocol):
    """Wakes the scheduler; a `threading.Event` is one."""

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it rings, at most so many seconds."""

    def clear(self) -> None:
        """Be silent until it is rung again."""


def run_scheduler(scheduler: Scheduler, clock: Clock, bell: Bell, leaving: threading.Event) -> None:
    """Step whenever something is due or the bell rings, until `leaving` is set (ring then, so that it is seen).

    A step that fails is logged and tried again: schedules go on when the disk has room again.
    """
    while not leaving.is_set():
        bell.clear()  # before the step: what rings during it is not missed
        now, wake = clock.now(), None
        try:
            wake = scheduler.step(now)
        except Exception:
            _logger.exception("action=schedule the scheduler could not do its work, and tries again")
        seconds = (wake - clock.now()).total_seconds() if wake else LONGEST_SLEEP
        bell.wait(min(max(seconds, 0.0), LONGEST_SLEEP))
