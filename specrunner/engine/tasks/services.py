"""Keeping services alive: each has one run, and when that ends another, after a pause.

All that is decided is decided from the records, so that a host that was killed costs a service nothing.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from specrunner.core.errors import NotFound
from specrunner.core.lifecycle import RunState, TaskState
from specrunner.core.services import CRASHES, REMEMBERED, Life, ServiceState, crashes, next_start
from specrunner.engine.packaging.orchestrations import Orchestrations
from specrunner.engine.records import Origin, Run, Task
from specrunner.engine.tasks.activation import Doorman
from specrunner.engine.tasks.history import History
from specrunner.engine.tasks.storebook import Carrying
from specrunner.engine.tasks.tasks import Tasks

_logger = logging.getLogger(__name__)

_ANSWERS_WITHIN = 0.5  # seconds
_DOWN = frozenset({TaskState.PENDING_KILL, TaskState.KILLED})


@dataclass(frozen=True, slots=True)
class Services:
    """The service that knows how services are."""

    history: History

    def state(self, task: Task) -> ServiceState | None:
        """How a service is, by its records and its port; None for a task that is none."""
        service = task.spec.get("service")
        if service is None:
            return None
        runs = self.history.newest(task.id, REMEMBERED)
        if any(run.status is RunState.RUNNING for run in runs):
            return ServiceState.RUNNING if answers(service["port"]) else ServiceState.STARTING
        if task.status in _DOWN or task.suspended:
            return ServiceState.STOPPED
        return ServiceState.CRASH_LOOP if crashes(lives(runs)) >= CRASHES else ServiceState.WAITING


@dataclass(slots=True)
class Keeper:
    """Keeps the services of one host alive. `step` belongs to one thread, `told` to another."""

    tasks: Tasks
    history: History
    orchestrations: Orchestrations
    carrier: Carrying
    wake: Callable[[], None] = lambda: None  # has `step` called soon
    _services: dict[str, Task] = field(default_factory=dict)
    _called: set[str] = field(default_factory=set)  # services that sleep and that somebody has called
    _doorman: Doorman = field(init=False)

    def __post_init__(self) -> None:
        self._doorman = Doorman(self._woken)

    @property
    def services(self) -> int:
        """How many services it keeps."""
        return len(self._services)

    def told(self, tasks: Sequence[Task], gone: Collection[str]) -> None:
        """These tasks were made or changed, those are gone."""
        services = {task.id: task for task in tasks if task.spec.get("service") is not None}
        others = {task.id for task in tasks} - services.keys()
        self._services = {
            task_id: task for task_id, task in self._services.items() if task_id not in others and task_id not in gone
        } | services

    def step(self, now: datetime) -> None:
        """Start what is to be started, and end what was started from an older spec."""
        self._doorman.only(self._services.keys())
        for task in self._services.values():
            try:
                self._keep(task, now)
            except NotFound:
                pass  # it is gone, and we are about to be told
            except Exception:
                _logger.exception("action=keep service=%s it will be tried again", task.key)

    def _keep(self, task: Task, now: datetime) -> None:
        runs = self.history.newest(task.id, REMEMBERED)
        going = [run for run in runs if not run.status.ended]
        for run in going:
            if run.created_at < task.updated_at:
                self.carrier.end(run.id, grace=True)
            elif run.origin is Origin.SERVICE:
                self.carrier.take(run.id, task.id)
        start = next_start(lives(runs))
        if going or task.suspended:
            self._doorman.leave(task.id)
            self._called.discard(task.id)
        elif (start is None or start <= now) and self._is_wanted(task):
            self._start(self.tasks.get(task.id))

    def _start(self, task: Task) -> None:
        """Start it as it is now: what was told of it may be older than that it was killed."""
        if task.status not in _DOWN and not task.suspended:
            version = self.orchestrations.get(task.orchestration_id)
            run = self.history.add(task, version, task.spec.get("args", {}), None, Origin.SERVICE)
            self.carrier.take(run.id, task.id)

    def _is_wanted(self, task: Task) -> bool:
        """Whether it is to run now: always, or since somebody has called it."""
        service = task.spec["service"]
        if service.get("activation") != "onRequest" or task.id in self._called:
            return True
        self._doorman.watch(task.id, service["port"])
        return False

    def _woken(self, task_id: str) -> None:
        self._called.add(task_id)
        self.wake()

    def close(self) -> None:
        """Listen for services no more."""
        self._doorman.close()


def lives(newest_first: Sequence[Run]) -> list[Life]:
    """The runs that have ended, as `core.services` looks at them."""
    return [
        Life(run.status, run.started_at if run.code_started else None, run.ended_at)
        for run in newest_first
        if run.ended_at is not None
    ]


def answers(port: int) -> bool:
    """Whether something on this machine accepts connections on the port."""
    try:
        with socket.create_connection(("127.0.0.1", port), _ANSWERS_WITHIN):
            return True
    except OSError:
        return False
