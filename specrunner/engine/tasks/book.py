"""The book: what the scheduler knows of tasks and their runs, and the port by which it reads and writes them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from specrunner.core.due import Due, Passed, Timing
from specrunner.core.lifecycle import Reason
from specrunner.core.overlap import Waiting


@dataclass(frozen=True, slots=True)
class Scheduled:
    """A task as the book has it: when it runs (None: only when asked), and up to where that is settled."""

    task_id: str
    timing: Timing | None
    since: datetime


@dataclass(frozen=True, slots=True)
class Changes:
    """What changed since a generation: tasks made or changed, tasks killed or gone, tasks with news of their runs."""

    generation: int
    tasks: tuple[Scheduled, ...] = ()
    gone: tuple[str, ...] = ()
    touched: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Settling:
    """What a look at a task found, to be written down as a whole: runs to claim, skips, and how far it settles."""

    task_id: str
    since: datetime
    settled: datetime
    claims: tuple[Due, ...] = ()
    passed: tuple[Passed, ...] = ()


@dataclass(frozen=True, slots=True)
class OpenRuns:
    """The runs of one task that have not ended. One that was handed to `start`, or is between attempts, is live."""

    waiting: tuple[Waiting, ...] = ()
    live: tuple[str, ...] = ()


class Book(Protocol):
    """Where schedules and runs are kept, and runs are started.

    Nothing here waits for a process. Every method may be called again with the same without further effect, and
    raises only where the book itself is out of reach; it is asked again then. What is wrong with a single run is
    the book's to record.
    """

    def changes_since(self, generation: int | None) -> Changes:
        """What changed after a generation, whoever changed it; for None every task, touched where it has open runs."""

    def settle(self, found: Sequence[Settling]) -> Mapping[str, datetime]:
        """In one transaction: claim instants as waiting runs, write skips, and move the tasks' `since` to `settled`.

        A task of which the book has another `since`, or which is killed or gone, is left alone. An instant that has
        a record already gets no second. Gives the `since` that each task has now, none for what is killed or gone.
        """

    def open_runs(self, task_ids: Collection[str]) -> Mapping[str, OpenRuns]:
        """The runs that have not ended, of those tasks that have any."""

    def skip(self, runs: Sequence[tuple[str, Reason]]) -> None:
        """End waiting runs as skipped; one that is no longer waiting stays what it is."""

    def live(self) -> int:
        """How many runs take up a slot, counted now."""

    def start(self, run_id: str) -> bool:
        """Have a waiting run carried out; False if it no longer waits. From then on it is live."""

    def end(self, run_id: str, grace: bool) -> None:
        """Have a live run ended: told to and given its grace, or at once."""
