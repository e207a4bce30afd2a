"""Several workers of one model behind one queue: whoever is free answers, who has died is started again.

A worker that died, took too long, or said what is no answer fails the request that it had, is killed with all that
it has started, and is started anew at once in the background; while starting it keeps failing, the pauses between
attempts double. A request waits for a free worker no longer than for its answer, and not at all while every worker
is down and the last attempt to start one has failed: then it is told why.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from specrunner.core.errors import EngineError, ModelFailed, SpecrunnerError, Transient, Unavailable
from specrunner.engine.serving.workers.process import Worker, WorkerDied, WorkerTooSlow

_FIRST_PAUSE = 0.25  # seconds before a worker that could not be started is tried again
_LONGEST_PAUSE = 30.0
_POLL = 0.25  # seconds between looks whether there is still somebody to wait for
_logger = logging.getLogger(__name__)

Answer = tuple[dict[str, Any], bytearray]
Start = Callable[[], Worker]  # makes a worker that has loaded its model


class Pool:
    """The workers of one model. `start` makes one and raises SpecrunnerError where it can't; safe for threads."""

    def __init__(self, name: str, start: Start, replicas: int, seconds: float) -> None:
        """The first worker is started here, and what that raises is raised; the others follow meanwhile."""
        self._name = name
        self._start = start
        self._seconds = seconds
        self._free: queue.LifoQueue[Worker] = queue.LifoQueue()
        self._workers: set[Worker] = set()
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._trouble: SpecrunnerError | None = None
        self._take_in(self._start())
        for _ in range(replicas - 1):
            self._revive_in_background()

    def ask(self, head: Mapping[str, Any], body: bytes) -> Answer:
        """The answer of whoever is free.

        Raises ModelFailed where the worker died over it or took too long, Transient where none is free in time, and
        Unavailable once the pool is closed.
        """
        deadline = time.monotonic() + self._seconds
        worker = self._await_free(deadline)
        answered = False
        try:
            answer = worker.ask(head, body, max(deadline - time.monotonic(), _POLL))
            answered = True
        except (WorkerDied, WorkerTooSlow) as error:
            raise self._failed(error, worker) from error
        finally:
            if answered:
                self._free.put(worker)
            else:
                self._replace(worker)
        return answer

    def close(self) -> None:
        """End every worker; requests under way fail. Doing so again is fine."""
        self._closed.set()
        with self._lock:
            workers, self._workers = self._workers, set()
        for worker in workers:
            worker.kill()

    def _await_free(self, deadline: float) -> Worker:
        while not self._closed.is_set():
            with suppress(queue.Empty):
                return self._free.get(timeout=max(0.0, min(_POLL, deadline - time.monotonic())))
            trouble = self._trouble
            if trouble is not None and not self._workers:
                raise Transient(
                    f"{self._name} can't answer: its worker can't be started.",
                    f"{trouble.summary} {trouble.detail}".strip(),
                    "It is tried again by itself; deploy the pipeline anew once the reason is mended.",
                )
            if time.monotonic() >= deadline:
                raise Transient(
                    f"{self._name} is busy.",
                    f"No worker of it was free within {self._seconds:g} s.",
                    "Try again later, or give the pipeline more `resources.replicas`.",
                )
        raise self.closed()

    def closed(self) -> Unavailable:
        """The error for whoever comes too late."""
        return Unavailable(f"{self._name} is closed", "The model was undeployed.", "Deploy the pipeline again.")

    def _failed(self, error: Exception, worker: Worker) -> EngineError:
        if self._closed.is_set():
            return self.closed()
        if isinstance(error, WorkerTooSlow):
            return ModelFailed(
                f"{self._name} took too long.",
                f"{error} Its process was killed and is started anew.",
                "Send fewer rows, mend the model, or declare a longer `timeout` for it.",
            )
        said = worker.tail()
        return ModelFailed(
            f"{self._name} died while it answered.",
            f"Its process is started anew; of the old one is known: {error}." + (f"\n{said}" if said else ""),
            "Send another request; if the model needs more memory, raise `resources.memory` of the pipeline.",
        )

    def _replace(self, worker: Worker) -> None:
        with self._lock:
            self._workers.discard(worker)
        if not self._closed.is_set():
            _logger.warning("action=worker model=%s a worker has failed and is started anew", self._name)
        threading.Thread(
            target=self._bury, args=(worker,), name=f"replace a worker of {self._name}", daemon=True
        ).start()

    def _bury(self, worker: Worker) -> None:
        worker.kill()
        self._revive()

    def _revive_in_background(self) -> None:
        threading.Thread(target=self._revive, name=f"start a worker of {self._name}", daemon=True).start()

    def _revive(self) -> None:
        """Start a worker, however often that takes, until the pool is closed."""
        pause = _FIRST_PAUSE
        while not self._closed.is_set():
            try:
                self._take_in(self._start())
            except SpecrunnerError as error:
                self._trouble = error
                _logger.warning("action=worker model=%s it can't be started: %s", self._name, error.summary)
                self._closed.wait(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
            else:
                self._trouble = None
                return

    def _take_in(self, worker: Worker) -> None:
        with self._lock:
            closed = self._closed.is_set()
            if not closed:
                self._workers.add(worker)
        if closed:
            worker.kill()
        else:
            self._free.put(worker)
