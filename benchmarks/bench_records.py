"""Status files on a branch: how long one commit takes, of thousands of tasks or beside a hundred thousand records.

`python -m benchmarks.bench_records [--tasks N] [--runs N] [--rounds N]`. It makes a clone with a bare remote beside it,
both on this machine, so that no network is measured. *Whole* is what apply does at its end: what is live is told, the
files are compared with those of before, committed and pushed. *Bare* is the same files through `git add` and `git
commit` in a work tree. Then N tasks get N/tasks records of runs each, and one run ends: as a tick records it, as an
apply does that finds one run that is new, and as `BranchStatus.write` alone.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.figures import percentile
from specrunner.core.keys import Key, Kind
from specrunner.core.lifecycle import RunState
from specrunner.core.outcome import RunView
from specrunner.core.resources import Live, LiveObject, Owner
from specrunner.record.branch import BranchStatus
from specrunner.record.plumbing import Plumbing
from specrunner.record.remote import Remote
from specrunner.record.status import record, record_runs

OWNER = Owner("bench", "live")
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
BRANCH = "specrunner-status"


@dataclass(slots=True)
class Made:
    """Tasks with their runs, as a target tells them."""

    tasks: dict[Key, LiveObject]
    views: list[RunView]

    def read(self) -> Live:
        return self.tasks

    def runs(self, task: Key | None = None) -> Sequence[RunView]:
        return [run for run in self.views if task in {None, run.task}]

    def log(self, run_id: str) -> Iterator[tuple[float, str]]:
        yield 0.0, f"run {run_id} was here"


def task(number: int) -> LiveObject:
    spec = {
        "orchestration": "forecast",
        "orchestrationSha": "a" * 64,
        "args": {"store": number, "table": "bikes"},
        "schedule": {"cron": "0 2 * * *", "timezone": "UTC", "overlap": "skip"},
        "timeout": 600,
        "history": {"succeeded": 10, "failed": 10},
    }
    key = Key(Kind.TASK, f"stores {number % 10}", f"forecast store {number}")
    return LiveObject(key, spec, id=f"{number:032x}", state="started", owner=OWNER, applied=spec)


def run(key: Key, number: int) -> RunView:
    instant = NOON + timedelta(days=number)
    return RunView(
        id=f"{abs(hash((key, number))):032x}",
        task=key,
        status=RunState.SUCCESS,
        created=instant,
        scheduled=instant,
        started=instant,
        ended=instant + timedelta(seconds=9),
    )


def branch(folder: Path) -> BranchStatus:
    for words in (["init", "-q", "--bare", "hub.git"], ["clone", "-q", "hub.git", "clone"]):
        subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True)
    git = Plumbing(folder / "clone")
    return BranchStatus(git, BRANCH, Remote(git, "origin", BRANCH))


def timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def told(status: BranchStatus, made: Made, day: int) -> None:
    record(status, OWNER, None, made, now=NOON + timedelta(days=day))
    status.push()


def by_hand(folder: Path, status: BranchStatus) -> float:
    """The same files by `git add` and `git commit`, with the writing of the files."""
    files = dict(status.read(""))
    subprocess.run(["git", "init", "-q", folder], check=True)
    person = ["-c", "user.name=a", "-c", "user.email=a@b"]

    def work() -> None:
        for path, data in files.items():
            place = folder / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)
        for words in (["add", "-A"], [*person, "commit", "-qm", "all"]):
            subprocess.run(["git", *words], cwd=folder, check=True)

    return timed(work)


def many_tasks(count: int, rounds: int) -> None:
    whole, bare = [], []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory(prefix="bench-records-") as name:
            status = branch(Path(name))
            objects = [task(number) for number in range(count)]
            made = Made({found.key: found for found in objects}, [])
            whole.append(timed(lambda status=status, made=made: told(status, made, 0)))  # type: ignore[misc]
            bare.append(by_hand(Path(name) / "by-hand", status))
    base = percentile(bare, 0.5)
    print(f"{count:,} tasks in one commit")
    for label, taken in (("whole, with its push", whole), ("bare: git add, git commit", bare)):
        print(f"  {label:<34} p50 {percentile(taken, 0.5):6.2f} s  x{percentile(taken, 0.5) / base:5.2f}")


def many_runs(tasks: int, each: int, rounds: int) -> None:
    with tempfile.TemporaryDirectory(prefix="bench-records-") as name:
        status = branch(Path(name))
        objects = [task(number) for number in range(tasks)]
        made = Made({one.key: one for one in objects}, [run(one.key, day) for one in objects for day in range(each)])
        told(status, made, each)
        ticks, applies, writes = [], [], []
        for turn in range(rounds):
            one, other = objects[turn], objects[-1 - turn]
            found = [run(one.key, each + turn)]
            ticks.append(timed(lambda one=one, found=found: _tick(status, made, one, found)))  # type: ignore[misc]
            made.views += [*found, run(other.key, each + turn)]
            applies.append(timed(lambda turn=turn: told(status, made, each + turn)))  # type: ignore[misc]
            files = {f"live/runs/extra/{turn}.yaml": b"one more\n"}
            writes.append(timed(lambda files=files: _write(status, files)))  # type: ignore[misc]
        print(f"one more run beside {tasks * each:,} records of runs of {tasks:,} tasks")
        for label, taken in (("a tick", ticks), ("an apply", applies), ("the commit and its push alone", writes)):
            print(f"  {label:<34} p50 {percentile(taken, 0.5):6.2f} s")


def _tick(status: BranchStatus, made: Made, one: LiveObject, found: list[RunView]) -> None:
    tasks = {one.key: replace(one)}
    record_runs(status, OWNER, tasks, found, made.log, NOON, message="one run")
    status.push()


def _write(status: BranchStatus, files: dict[str, bytes]) -> None:
    status.write(dict(files), "one file")
    status.push()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=5_000)
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    many_tasks(given.tasks, given.rounds)
    many_runs(given.runs // 10, 10, given.rounds)


if __name__ == "__main__":
    main()
