"""Carrying runs out in this process: a thread for each, which waits for its end through all its attempts."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from specrunner.core.errors import NotFound
from specrunner.engine.ports import DEFAULT_GRACE
from specrunner.engine.tasks.runs import Runs

_logger = logging.getLogger(__name__)

_LONGEST_PAUSE = 60.0  # seconds between two tries at a run whose record can't be read or written


@dataclass(slots=True)
class Carrier:
    """The runs of one host. `heard` is told of the task of each run that is no longer carried."""

    runs: Runs
    heard: Callable[[str], None]
    _carried: dict[str, threading.Thread] = field(default_factory=dict)
    _ending: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _leaving: threading.Event = field(default_factory=threading.Event)

    def take(self, run_id: str, task_id: str) -> None:
        """Carry a run out, or go on with it; one that is carried already is fine."""
        with self._lock:
            if run_id in self._carried or self._leaving.is_set():
                return
            work = threading.Thread(target=self._carry, args=(run_id, task_id), name=f"run {run_id[:8]}", daemon=True)
            self._carried[run_id] = work
        work.start()

    def end(self, run_id: str, grace: bool) -> None:
        """Have a run killed; asked again meanwhile, nothing further happens."""
        with self._lock:
            if run_id in self._ending:
                return
            self._ending.add(run_id)
        threading.Thread(target=self._end, args=(run_id, grace), name=f"end {run_id[:8]}", daemon=True).start()

    def carried(self) -> frozenset[str]:
        """The runs that are carried now."""
        with self._lock:
            return frozenset(self._carried)

    def leave(self, patience: float) -> None:
        """Let go of every run, and wait for that at most so many seconds. The runs themselves go on."""
        self._leaving.set()
        self.runs.stop_waiting()
        for work in list(self._carried.values()):
            work.join(patience)

    def _carry(self, run_id: str, task_id: str) -> None:
        pause = 1.0
        try:
            while not self._leaving.is_set() and not self._carried_out(run_id):
                self._leaving.wait(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
        finally:
            with self._lock:
                del self._carried[run_id]
            self.heard(task_id)

    def _carried_out(self, run_id: str) -> bool:
        """Whether no more can be done for it; what goes wrong is tried again, as nobody else would."""
        try:
            self.runs.carry_out(run_id)
        except NotFound:
            return True
        except Exception:
            _logger.exception("action=carry_out run=%s it will be tried again", run_id)
            return False
        return True

    def _end(self, run_id: str, grace: bool) -> None:
        try:
            self.runs.kill(run_id, DEFAULT_GRACE if grace else 0.0)
        except Exception:
            _logger.exception("action=kill run=%s the scheduler will ask again", run_id)
        finally:
            with self._lock:
                self._ending.discard(run_id)
