"""A tick: what schedules have come to since somebody looked last is run here, once among all machines, and recorded.

Round by round: look at the records, record what is lost and what comes to nothing, claim what is due, run what was
won, record how it went. The next round finds what a run has held up; the last one finds nothing. All rounds are of one
and the same moment, so that a tick ends however often its schedules fire.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, Protocol

from specrunner.core.errors import SpecrunnerError
from specrunner.core.keys import Key, Kind
from specrunner.core.lifecycle import Reason, RunState
from specrunner.core.outcome import RunView
from specrunner.core.recorded import Recorded, Records
from specrunner.core.resources import LiveObject, reached_from, references_of
from specrunner.core.ticks import TaskMemory, Tick, tick_of
from specrunner.targets.base import Target

_MOST_ROUNDS: Final = 1_000
_REACHED: Final = frozenset({Kind.CONNECTION, Kind.MODEL, Kind.PIPELINE})

Log = Callable[[str], Iterator[tuple[float, str]]]


class Book(Protocol):
    """What is recorded, and where machines agree on who runs what."""

    def memories(self, now: datetime) -> tuple[list[TaskMemory], Records]:
        """What is recorded of the scheduled tasks, and of all objects."""

    def claim(self, tasks: Mapping[Key, TaskMemory], runs: Sequence[RunView]) -> list[RunView]:
        """Those of the runs that are ours to carry out. Raises SpecrunnerError where nobody can say."""

    def renewing(self, now: Callable[[], datetime]) -> AbstractContextManager[None]:
        """Meanwhile what was claimed stays claimed, however long its runs take."""

    def record(
        self,
        tasks: Mapping[Key, LiveObject],
        runs: Sequence[RunView],
        log: Callable[[str], Iterator[tuple[float, str]]],
        now: datetime,
    ) -> None:
        """Write how runs went."""


@dataclass(slots=True)
class Ticked:
    """What a tick came to. `taken` are instants that other machines had claimed."""

    ran: list[RunView] = field(default_factory=list)
    recorded: list[RunView] = field(default_factory=list)
    taken: int = 0
    interrupted: bool = False


@dataclass(slots=True)
class Ticking:
    """One tick. `restore` makes the target have these objects, as they were recorded; `told` hears of each run."""

    book: Book
    target: Target
    now: Callable[[], datetime]
    restore: Callable[[Records, frozenset[Key]], None]
    told: Callable[[RunView], None]
    max_runs: int
    _stopped: bool = False

    def interrupt(self) -> None:
        """Start nothing further, and wait for nothing; from any thread or signal handler."""
        self._stopped = True
        self.target.stop_waiting()

    def run(self) -> Ticked:
        """Do what is due. Raises SpecrunnerError where records can't be read, or nothing can be claimed."""
        found, moment = Ticked(), self.now()
        for _ in range(_MOST_ROUNDS):
            if self._stopped or not self._round(found, moment):
                break
        found.interrupted = self._stopped
        return found

    def _round(self, found: Ticked, moment: datetime) -> bool:
        """One round; whether another may find something."""
        memories, records = self.book.memories(moment)
        tasks = {one.key: one for one in memories}
        ticks = [tick for one in memories if (tick := tick_of(one, moment)).due or tick.records]
        objects = {one.key: one.as_live() for one in records.objects if one.key in tasks}
        self._record_at_once(found, ticks, objects)
        wanted = [self._claimed(tick.key, due.instant) for tick in ticks for due in tick.due]
        won = self.book.claim(tasks, wanted) if wanted else []
        found.taken += len(wanted) - len(won)
        if not won:
            return False
        with self.book.renewing(self.now):
            ended = self._carry_out(won, records)
        found.ran += ended
        self.book.record(_of(objects, ended), [run for run in ended if run.status.ended], self.target.log, self.now())
        return True

    def _carry_out(self, won: Sequence[RunView], records: Records) -> list[RunView]:
        """The runs at their ends. What is claimed and can't be run has failed: others see that at once."""
        try:
            keys: frozenset[Key] = frozenset()
            self.restore(records, keys.union(*(needed(run.task, records.objects) for run in won)))
        except SpecrunnerError as problem:
            return [self._failed(run, problem) for run in won]
        with ThreadPoolExecutor(self.max_runs, thread_name_prefix="tick") as pool:
            return list(pool.map(self._carried_out, won))

    def _record_at_once(self, found: Ticked, ticks: Sequence[Tick], objects: Mapping[Key, LiveObject]) -> None:
        runs = [run for tick in ticks for run in tick.records]
        if runs:
            self.book.record(_of(objects, runs), runs, self.target.log, self.now())
            found.recorded += runs

    def _claimed(self, task: Key, instant: datetime) -> RunView:
        now = self.now()
        return RunView(os.urandom(16).hex(), task, RunState.RUNNING, now, scheduled=instant, started=now)

    def _carried_out(self, claim: RunView) -> RunView:
        """The run of a claimed instant at its end; one that this machine has made already is not made again."""
        instant = claim.scheduled
        assert instant is not None, "a claim of a tick is of an instant"  # noqa: S101 (it was made with one)
        try:
            self.target.backfill(claim.task, instant, instant)
            run = next(run for run in self.target.runs(claim.task) if run.scheduled == instant)
            if not run.status.ended and not self._stopped:
                run = self.target.attend(run.id)
        except SpecrunnerError as problem:
            return self._failed(claim, problem)
        self.told(run)
        return run

    def _failed(self, claim: RunView, problem: SpecrunnerError) -> RunView:
        """A claimed run that could not be begun."""
        first = problem.diagnostics[0]
        words = "\n".join(text for text in (first.summary, first.detail, first.remedy) if text)
        run = replace(claim, status=RunState.FAILURE, reason=Reason.ENV_FAILED, detail=words, ended=self.now())
        run = replace(run, started=None)
        self.told(run)
        return run


def needed(task: Key, objects: Sequence[Recorded]) -> frozenset[Key]:
    """What a run of a task needs to be there: what it refers to, and what its code may name in its workspaces."""
    by_key = {one.key: one for one in objects}
    spec = by_key[task].applied
    reached = {task.workspace, *spec.get("workspaces", ())}
    named = [one.key for one in objects if one.key.kind in _REACHED and reached & reached_from(one.key, one.applied)]
    found: set[Key] = set()
    pending = [task, *named]
    while pending:
        key = pending.pop()
        if key in by_key and key not in found:
            found.add(key)
            pending += references_of(key, by_key[key].applied)
    return frozenset(found)


def _of(objects: Mapping[Key, LiveObject], runs: Sequence[RunView]) -> dict[Key, LiveObject]:
    return {run.task: objects[run.task] for run in runs}
