"""What a request starts and does not wait for: packaging an orchestration, ending a task."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue

from specrunner.core.errors import NotFound, PackagingFailed
from specrunner.core.lifecycle import OrchestrationState
from specrunner.engine.engine import Engine
from specrunner.engine.records import Task

_logger = logging.getLogger(__name__)

_PACKAGERS = 2  # builds at once; one is mostly waiting for downloads
_KILLERS = 8  # a kill takes up to its grace


class Background:
    """Carries such work out in threads of its own; what a crash interrupts is taken up by `resume`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._packagers = _Workers("package", _PACKAGERS, self._package)
        self._killers = _Workers("kill", _KILLERS, self._kill)

    def package(self, orchestration_id: str) -> None:
        """Make an orchestration ready, soon."""
        self._packagers.give(orchestration_id)

    def kill(self, task: Task) -> None:
        """End a task that is to be killed, soon."""
        self._killers.give(task.id)

    def resume(self) -> None:
        """Take up the packaging that a server before us has left."""
        waiting = {OrchestrationState.PENDING_PACKAGING, OrchestrationState.PACKAGING}
        for found in reversed(self._engine.orchestrations.all()):
            if found.status in waiting:
                self.package(found.id)

    def close(self) -> None:
        """Begin nothing more; what is under way ends by itself, or with this process."""
        self._packagers.close()
        self._killers.close()

    def _package(self, orchestration_id: str) -> None:
        # Why it failed stands beside it, where its callers look.
        with suppress(PackagingFailed, NotFound):
            self._engine.orchestrations.package(orchestration_id)

    def _kill(self, task_id: str) -> None:
        with suppress(NotFound):
            self._engine.runs.kill_task(self._engine.tasks.get(task_id))


class _Workers:
    """At most `most` threads that carry out what they are given, in its order; none before there is anything.

    They are daemons: a process that ends does not wait for them.
    """

    def __init__(self, action: str, most: int, work: Callable[[str], object]) -> None:
        self._action = action
        self._most = most
        self._work = work
        self._given: SimpleQueue[str | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._count = 0

    def give(self, identity: str) -> None:
        self._given.put(identity)
        with self._lock:
            if self._count < self._most:
                self._count += 1
                threading.Thread(target=self._go, name=f"{self._action} {self._count}", daemon=True).start()

    def close(self) -> None:
        with self._lock:
            while not self._given.empty():
                self._given.get()
            for _ in range(self._count):
                self._given.put(None)

    def _go(self) -> None:
        while (identity := self._given.get()) is not None:
            try:
                self._work(identity)
            except Exception:
                _logger.exception("action=%s id=%s it was not brought to its end", self._action, identity)
