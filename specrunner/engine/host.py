"""The host of a state folder: the loops that `specrunner serve` keeps going, over one engine.

It begins by looking at what others have left: it waits for the runs that live, writes down how those have ended that
do not, and starts what was claimed and never started. It ends by letting go: runs stay under their supervisors.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from specrunner.core.errors import SpecrunnerError
from specrunner.core.leases import HEARTBEAT, Holder
from specrunner.core.lifecycle import RunState
from specrunner.engine.context import Context
from specrunner.engine.hosting import Bell, Hosting
from specrunner.engine.records import Run, Task
from specrunner.engine.tasks.carrier import Carrier
from specrunner.engine.tasks.retention import Retention
from specrunner.engine.tasks.runs import Runs
from specrunner.engine.tasks.scheduler import Scheduler, run_scheduler
from specrunner.engine.tasks.services import Keeper
from specrunner.engine.tasks.storebook import StoreBook

_logger = logging.getLogger(__name__)

_KEEPING: Final = 1.0  # seconds between two looks at the services
_SWEEPING: Final = 5.0  # seconds between two looks at what retention has to do
_LETTING_GO: Final = 5.0  # seconds that a thread is given to end


@dataclass(frozen=True, slots=True)
class Kept:
    """How many schedules and services a host found as it began."""

    schedules: int = 0
    services: int = 0


@dataclass(slots=True)
class Host:
    """One host. `serve` blocks; `leave` may be called from any thread, or a signal's handler."""

    context: Context
    runs: Runs
    hosting: Hosting
    max_runs: int
    kept: Kept = Kept()
    _leaving: threading.Event = field(default_factory=threading.Event)
    _news: threading.Event = field(default_factory=threading.Event)
    _lost: bool = False
    _swept: set[str] = field(default_factory=set)

    def serve(self, holder: Holder, ready: Callable[[], None] = lambda: None) -> bool:
        """Host until `leave`; False where another host has taken over. Raises Busy where one serves already.

        `ready` is called once everything is under way.
        """
        self.hosting.take(holder)
        bell = self.hosting.bell()
        try:
            self._serve(bell, ready)
        finally:
            bell.close()
            self.hosting.give_back()
        return not self._lost

    def leave(self) -> None:
        """Have `serve` return soon."""
        self._leaving.set()
        self._news.set()
        # Not by its event: a signal's handler may run while its own thread holds that.
        self.hosting.ring()

    def _serve(self, bell: Bell, ready: Callable[[], None]) -> None:
        carrier = Carrier(self.runs, lambda task_id: self._heard(scheduler, bell, task_id))
        others = self.runs.with_
        keeper = Keeper(others.tasks, others.history, others.orchestrations, carrier, self._news.set)
        scheduler = Scheduler(StoreBook(self.context, carrier, keeper.told), self.max_runs)
        loops = [
            self._loop("lease", self._renew, HEARTBEAT.total_seconds()),
            self._loop("services", lambda: keeper.step(self.context.clock.now()), _KEEPING, self._news),
            self._loop("retention", self._sweep, _SWEEPING),
        ]
        try:
            self.runs.api().address()
            self._swept.update(Retention(self.context).tasks())
            self._adopt(carrier)
            scheduler.step(self.context.clock.now())
            self.kept = Kept(scheduler.schedules, keeper.services)
            for loop in loops:
                loop.start()
            ready()
            run_scheduler(scheduler, self.context.clock, bell, self._leaving)
        finally:
            self.leave()
            carrier.leave(_LETTING_GO)
            for loop in loops:
                if loop.is_alive():
                    loop.join(_LETTING_GO)
            keeper.close()

    def _heard(self, scheduler: Scheduler, bell: Bell, task_id: str) -> None:
        """A run of that task has ended."""
        scheduler.heard(task_id)
        self._swept.add(task_id)
        self._news.set()
        bell.ring()

    def _adopt(self, carrier: Carrier) -> None:
        """Take on what a host before us had in hand."""
        for run in self.runs.with_.history.active():
            if (found := self._found(run)) and (found.status is RunState.RUNNING or found.attempt > 1):
                carrier.take(found.id, found.task_id)
        for task in self.runs.with_.tasks.being_killed():
            threading.Thread(target=self._kill, args=(task,), name=f"kill {task.name}", daemon=True).start()

    def _found(self, run: Run) -> Run | None:
        """A run as it is: one that is said to wait may have been started by who died before writing that down."""
        if run.status is not RunState.PENDING:
            return run
        try:
            return self.runs.recovered(run)
        except (SpecrunnerError, OSError):
            _logger.exception("action=adopt run=%s its folder can't be read", run.id)
            return None

    def _kill(self, task: Task) -> None:
        try:
            self.runs.kill_task(task)
        except Exception:
            _logger.exception("action=kill task=%s the next host will try again", task.key)

    def _renew(self) -> None:
        if not self.hosting.renew() and not self._leaving.is_set():
            self._lost = True
            _logger.error("action=lease another process hosts this state by now; this one leaves, runs go on")
            self.leave()

    def _sweep(self) -> None:
        retention, again = Retention(self.context), set[str]()
        while self._swept and not self._leaving.is_set():
            task_id = self._swept.pop()
            again |= {task_id} if retention.sweep(task_id) else set()
        self._swept |= again

    def _loop(
        self, name: str, work: Callable[[], object], every: float, woken: threading.Event | None = None
    ) -> threading.Thread:
        """A thread that does its work again and again, and goes on whatever happens to it."""
        alarm = woken or self._leaving

        def loop() -> None:
            while not self._leaving.is_set():
                if woken is not None:
                    woken.clear()
                try:
                    work()
                except Exception:
                    _logger.exception("action=%s it will be tried again", name)
                alarm.wait(every)

        return threading.Thread(target=loop, name=name, daemon=True)
