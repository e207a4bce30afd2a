"""Ten thousand schedules, a thousand of them due in one second: how late each is claimed, and how long a start takes.

Options: `--schedules N`, `--due N`, `--rounds N`, `--at-once`; README.md says what it prints.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import sqlalchemy as sa

from benchmarks.figures import percentile
from specrunner.cli.wiring import STATE_FOLDER
from specrunner.core.lifecycle import Reason
from specrunner.engine.context import stored_instant
from specrunner.engine.engine import Engine
from specrunner.engine.store import tables
from specrunner.engine.tasks.scheduler import Scheduler
from specrunner.engine.tasks.storebook import StoreBook
from tests.integration.engine_samples import StubEnvironments, add_orchestration, no_api

BEGIN = datetime(2026, 3, 1, 0, 30, tzinfo=UTC)
HOUR = datetime(2026, 3, 1, 1, tzinfo=UTC)


@dataclass
class Moved:
    """A clock that is set, and then goes on by itself."""

    base: datetime = BEGIN
    since: float = field(default_factory=time.monotonic)

    def set(self, moment: datetime) -> None:
        """It is that moment now."""
        self.base, self.since = moment, time.monotonic()

    def now(self) -> datetime:
        return self.base + timedelta(seconds=time.monotonic() - self.since)

    def monotonic(self) -> float:
        return time.monotonic()


@dataclass
class Nothing:
    """Carries out nothing, and writes down when it was asked to."""

    clock: Moved
    taken: dict[str, datetime] = field(default_factory=dict)

    def take(self, run_id: str, task_id: str) -> None:
        self.taken[run_id] = self.clock.now()

    def end(self, run_id: str, grace: bool) -> None:
        """Nothing was started."""

    def carried(self) -> Collection[str]:
        return self.taken.keys()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--schedules", type=int, default=10_000)
    parser.add_argument("--due", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--at-once", action="store_true", help="due in one and the same moment, not within a second")
    asked = parser.parse_args()
    with TemporaryDirectory() as folder:
        clock, root = Moved(), Path(folder)
        state = root / STATE_FOLDER
        engine = Engine(state, root / "cache", no_api, clock, environments=StubEnvironments())
        with engine:
            put(engine, asked.schedules, asked.due, jitter=0 if asked.at_once else 1)
            clock.set(BEGIN)
            print_start(engine, clock, asked.schedules)
            claimed: list[float] = []
            for number in range(asked.rounds):
                claimed += lateness(engine, clock, HOUR + timedelta(hours=number))
            settle_all(engine)
        print_serve(root, asked.schedules)
    print_late("due to claimed", claimed)
    print(f"highest memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:8.1f} MB")
    print_apscheduler(asked.schedules, asked.due)


def settle_all(engine: Engine) -> None:
    """Nothing was missed: what follows goes by the real clock."""
    with engine._context.database.write() as connection:
        connection.execute(sa.update(tables.tasks).values(since=stored_instant(datetime.now(UTC))))


def print_serve(root: Path, schedules: int) -> None:
    """How long `specrunner serve` takes, from asking for its process until it says that it serves."""
    project = "apiVersion: specrunner/v1\nkind: Project\nmetadata: {name: bench}\nspec: {target: local}\n"
    (root / "specrunner.yaml").write_text(project, encoding="utf-8")
    words, began = [sys.executable, "-m", "specrunner", "-C", str(root), "serve"], time.monotonic()
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        serving = next((line for line in process.stdout if line.startswith("Serving")), "it never served")
        passed, seen = time.monotonic() - began, psutil.Process(process.pid)
        times, memory = seen.cpu_times(), seen.memory_info().rss / 2**20
        process.terminate()
    spent = times.user + times.system
    print(f"specrunner serve with them: {passed * 1000:8.0f} ms, of a processor {spent * 1000:.0f} ms, {memory:.0f} MB")
    if f"{schedules} schedules" not in serving.replace(",", ""):
        print(f"  but it says: {serving.strip()}")


def print_late(what: str, seconds: Sequence[float]) -> None:
    for share in (50, 99):
        print(f"{what}, p{share}: {percentile(seconds, share / 100) * 1000:8.1f} ms")


def print_apscheduler(schedules: int, due: int) -> None:
    """The same with APScheduler, where it is installed."""
    try:
        from benchmarks.peers.apscheduler_schedules import measured
    except ImportError:
        print("APScheduler is not installed here: pip install 'apscheduler<4'")
        return
    with TemporaryDirectory() as folder:
        found = measured(Path(folder), schedules, due)
    print(f"APScheduler, SQLite: {schedules} stored in {found.storing:.1f} s, {len(found.late)} of {due} handed over")
    print(f"  its start: {found.starting * 1000:8.0f} ms")
    print_late("  due to handed over", found.late)


def put(engine: Engine, schedules: int, due: int, jitter: int) -> None:
    """Every hour from one on has `due` tasks, spread over `jitter` seconds, as far as there are so many."""
    workspace = engine.workspaces.ensure("lab")
    version = add_orchestration(engine, workspace, "")
    with engine.transaction():
        for number in range(schedules):
            cron = f"0 {1 + number // due % 23} * * *"
            schedule = {"cron": cron, "overlap": "allow", "jitter": jitter}
            spec = {"orchestration": "code", "schedule": schedule}
            engine.tasks.put(workspace.id, f"t{number}", version.id, spec, {})


def print_start(engine: Engine, clock: Moved, schedules: int) -> None:
    began, spent = time.monotonic(), time.process_time()
    Scheduler(StoreBook(engine._context, Nothing(clock)), schedules).step(clock.now())
    passed, spent = time.monotonic() - began, time.process_time() - spent
    print(f"first look at {schedules} schedules: {passed * 1000:8.0f} ms, of a processor {spent * 1000:.0f} ms")


def lateness(engine: Engine, clock: Moved, moment: datetime) -> list[float]:
    """Seconds between each instant with its jitter and its being handed over."""
    hands = Nothing(clock)
    book = StoreBook(engine._context, hands)
    clock.set(moment - timedelta(seconds=5))
    host = Scheduler(book, max_runs=100_000)
    wake = host.step(clock.now())
    clock.set(moment - timedelta(milliseconds=20))
    while clock.now() < moment + timedelta(seconds=2):
        time.sleep(max(0.0, min(0.05, (wake - clock.now()).total_seconds())) if wake else 0.05)
        wake = host.step(clock.now())
    timings = {task.id: timing for task in engine.tasks.all() if (timing := engine.tasks.timing(task))}
    due = {run.id: timings[run.task_id].due(moment).at for run in engine.history.active() if run.scheduled_at == moment}
    found = [(taken - due[run_id]).total_seconds() for run_id, taken in hands.taken.items() if run_id in due]
    hands.taken.clear()
    book.skip([(run.id, Reason.SKIPPED_DEADLINE) for run in engine.history.active()])
    return found


if __name__ == "__main__":
    main()
