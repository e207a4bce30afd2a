"""Hosts in processes of their own, on a clock that can run faster than the world's, and ways to end them."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from specrunner.core.lifecycle import RunState
from specrunner.engine.engine import Engine
from specrunner.engine.records import Run
from tests.integration.engine_samples import PATIENCE, until

ROOT = Path(__file__).resolve().parents[2]
# Arguments: the state folder, the clock's epoch, its speed and its steps, slots; where to die, at which passing of it.
HOST = """\
import signal, sys
from pathlib import Path
from specrunner.engine.engine import Engine
from specrunner.engine.tasks import scheduler
from specrunner.reconcile.lease import this_process
from tests.integration import dying
from tests.integration.daemon_samples import Fast
from tests.integration.engine_samples import StubEnvironments, no_api

folder, slots = Path(sys.argv[1]), int(sys.argv[5])
clock = Fast(float(sys.argv[2]), float(sys.argv[3]), sys.argv[4])
if sys.argv[6:]:
    dying.arm(sys.argv[6], int(sys.argv[7]))
scheduler.LONGEST_SLEEP = 0.05  # a second of the world may be a minute here
with Engine(folder, folder / "cache", run_api=no_api, clock=clock, environments=StubEnvironments()) as engine:
    host = engine.host(slots)
    signal.signal(signal.SIGTERM, lambda *_: host.leave())
    print(host.serve(this_process(clock, {"GITHUB_ACTOR": "tester"}), lambda: print("ready", flush=True)), flush=True)
"""


@dataclass(frozen=True, slots=True)
class Fast:
    """A clock that has run so many times as fast as the world's since `epoch`; the same in every process.

    By `step` it is set: `steps` is the file that says by how many seconds.
    """

    epoch: float = 0.0
    times: float = 1.0
    steps: str = ""

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.epoch + (time.time() - self.epoch) * self.times + self._stepped(), UTC)

    def step(self, by: timedelta) -> None:
        fresh = Path(f"{self.steps}.new")
        fresh.write_text(str(self._stepped() + by.total_seconds()))
        fresh.replace(self.steps)

    def _stepped(self) -> float:
        return float(Path(self.steps).read_text()) if self.steps and Path(self.steps).exists() else 0.0

    def monotonic(self) -> float:
        return time.monotonic()


REAL = Fast()


class Daemon:
    """A host in a process of its own; `dies` names a point of `dying`, and the passing of it that is its last."""

    def __init__(self, folder: Path, clock: Fast = REAL, slots: int = 8, dies: tuple[str, int] | None = None) -> None:
        words = [sys.executable, "-c", HOST, str(folder), str(clock.epoch), str(clock.times), clock.steps, str(slots)]
        words += map(str, dies or ())
        self.log = folder.parent / "daemon.log"
        with self.log.open("ab") as errors:
            self.process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=errors, text=True)

    def ready(self) -> Daemon:
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n", self.log.read_text("utf-8")
        return self

    def crash(self) -> None:
        self.process.kill()
        self.process.wait(PATIENCE)

    def died(self, within: float) -> bool:
        """Whether it came to the point where it is to die; it is dead afterwards in any case."""
        try:
            self.process.wait(within)
        except subprocess.TimeoutExpired:
            self.crash()
            return False
        return self.process.returncode == -signal.SIGKILL

    def stop(self) -> str:
        """End it as an init system does; the last line that it says."""
        self.process.send_signal(signal.SIGTERM)
        out, _ = self.process.communicate(timeout=PATIENCE)
        return out.strip()


@contextmanager
def daemon(folder: Path, clock: Fast = REAL, slots: int = 8) -> Iterator[Daemon]:
    found = Daemon(folder, clock, slots)
    try:
        yield found.ready()
    finally:
        if found.process.poll() is None:
            found.crash()
        if found.process.stdout is not None:
            found.process.stdout.close()


def ended(engine: Engine, run_id: str) -> Run:
    """The record of a run once it has ended."""
    until(lambda: engine.history.get(run_id).status.ended, f"the end of run {run_id}")
    return engine.history.get(run_id)


def running(engine: Engine, run_id: str) -> Run:
    until(lambda: engine.history.get(run_id).status is RunState.RUNNING, f"the start of run {run_id}")
    return engine.history.get(run_id)
