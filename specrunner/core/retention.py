"""Which records of ended runs may go, and which of their folders: bounded per outcome, and nothing that still decides.

A record goes only after its folder, so that what is left on the disk always has a record that names it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from specrunner.core.lifecycle import RunState

RECENT = timedelta(minutes=1)  # so long a run stays whole: who waits for its end or follows its log still reads of it


class Outcome(StrEnum):
    """The kinds of end that are counted apart, so that many of one never push out the others."""

    SUCCEEDED = "succeeded"  # exit code 0
    FAILED = "failed"  # it ran, or was to, and did not succeed
    SKIPPED = "skipped"  # decided not to run


@dataclass(frozen=True, slots=True)
class History:
    """How many ended runs of a task are kept. Skips are kept as many as failures, and counted on their own."""

    succeeded: int = 10
    failed: int = 10

    def of(self, outcome: Outcome) -> int:
        """How many of one outcome."""
        return self.succeeded if outcome is Outcome.SUCCEEDED else self.failed


@dataclass(frozen=True, slots=True)
class Kept:
    """A run of one task, as far as retention asks. `instant` is its scheduled one, `intent` that of a task run once."""

    run_id: str
    state: RunState
    created: datetime
    ended: datetime | None = None
    instant: datetime | None = None
    intent: str | None = None


@dataclass(frozen=True, slots=True)
class Expired:
    """The runs whose folder may go, and those of them whose record may go as well; `soon`: more may in a while."""

    folders: frozenset[str] = frozenset()
    records: frozenset[str] = frozenset()
    soon: bool = False


def expired(runs: Iterable[Kept], history: History, now: datetime, settled: datetime | None = None) -> Expired:
    """What may go of the runs of one task, the newest of each outcome being kept.

    A run that has not ended stays whole, and so does one that has ended a moment ago. A record stays while something
    is decided by it: the newest of each intent says that it was carried out, and one of an instant after `settled`
    (the clock was stepped back) keeps that instant from running twice.
    """
    newest = sorted(runs, key=_age, reverse=True)
    left = {outcome: history.of(outcome) for outcome in Outcome}
    intents: set[str] = set()
    folders: set[str] = set()
    records: set[str] = set()
    soon = False
    for run in newest:
        decides = _is_ahead(run, settled) or (run.intent is not None and run.intent not in intents)
        intents |= {run.intent} if run.intent is not None else set()
        if not run.state.ended:
            continue
        outcome = outcome_of(run.state)
        left[outcome] -= 1
        if left[outcome] >= 0:
            continue
        if _is_recent(run, now):
            soon = True
            continue
        folders.add(run.run_id)
        records |= set() if decides else {run.run_id}
    return Expired(frozenset(folders), frozenset(records), soon)


def outcome_of(state: RunState) -> Outcome:
    """The outcome of a run in that state, which is a terminal one."""
    if state is RunState.SUCCESS:
        return Outcome.SUCCEEDED
    return Outcome.SKIPPED if state is RunState.SKIPPED else Outcome.FAILED


def _age(run: Kept) -> tuple[datetime, datetime, str]:
    return (run.ended or run.created, run.created, run.run_id)


def _is_recent(run: Kept, now: datetime) -> bool:
    # What ended in the future was written down by a clock that was wrong, and may go.
    return timedelta(0) <= now - (run.ended or run.created) < RECENT


def _is_ahead(run: Kept, settled: datetime | None) -> bool:
    return run.instant is not None and settled is not None and run.instant > settled
