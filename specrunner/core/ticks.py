"""What a machine without memory has to do now: decided from what is recorded of each task, and done elsewhere.

Where nobody hosts the schedules, a tick looks at them now and then. What was run is told by records that several
machines share; a run that has not ended is the claim of one of them, until its time is over.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from specrunner.core.due import Due, Passed, Timing, arrivals
from specrunner.core.keys import Key
from specrunner.core.lifecycle import Reason, RunState
from specrunner.core.outcome import RunView
from specrunner.core.overlap import Waiting, judged
from specrunner.core.values import JsonObject, digest, iso

CLAIM_GRACE: Final = timedelta(minutes=15)  # beside a run's own time: for its environment, and for telling its end
LONGEST_CLAIM: Final = timedelta(hours=2)  # of a run without a timeout; it is renewed while the run lives


@dataclass(frozen=True, slots=True)
class OpenRun:
    """A recorded run that has not ended; after `until` it counts as lost."""

    run: RunView
    until: datetime


@dataclass(frozen=True, slots=True)
class TaskMemory:
    """What is recorded of a scheduled task: its spec as applied, up to where it is settled, and its open runs.

    `ended` are the states of the recorded runs that have ended, newest first.
    """

    key: Key
    spec: JsonObject
    settled: datetime
    suspended: bool = False
    open: tuple[OpenRun, ...] = ()
    ended: tuple[RunState, ...] = ()


@dataclass(frozen=True, slots=True)
class Tick:
    """What is to be done for a task: instants to run, oldest first, and runs to be recorded as they are."""

    key: Key
    due: tuple[Due, ...] = ()
    records: tuple[RunView, ...] = field(default=())


def tick_of(memory: TaskMemory, now: datetime) -> Tick:
    """What a task has come to at `now`. Raises ValueError for a schedule that can't be read.

    An open run whose time is over is lost; every other one is live somewhere else, where nobody here can end it, so
    that what would take its place waits.
    """
    timing = Timing.of(str(memory.key), memory.spec["schedule"], memory.suspended)
    lost = tuple(lost_run(one) for one in memory.open if one.until < now)
    live = [one.run.id for one in memory.open if one.until >= now]
    come = arrivals(timing, memory.settled, now)
    by_id = {iso(due.instant): due for due in come.due}
    verdict = judged(timing.rules, [Waiting(name, due.at) for name, due in by_id.items()], live, now)
    skips = [skipped(memory.key, passed, now) for passed in come.passed]
    for waiting, reason in verdict.skip:
        instant = by_id[waiting.run_id].instant
        skips.append(skipped(memory.key, Passed(instant, instant, reason), now))
    return Tick(memory.key, tuple(by_id[waiting.run_id] for waiting in verdict.start), (*lost, *skips))


def skipped(task: Key, passed: Passed, now: datetime) -> RunView:
    """The record of instants that come to nothing."""
    return RunView(
        id=digest([str(task), iso(passed.last)])[:32],
        task=task,
        status=RunState.SKIPPED,
        created=now,
        reason=passed.reason,
        detail=passed.detail,
        scheduled=passed.last,
        ended=now,
        first=passed.first if passed.first != passed.last else None,
    )


def lost_run(found: OpenRun) -> RunView:
    """The record of a claimed run of which nothing was heard in its time: the same, whoever notices."""
    run = found.run
    return RunView(
        id=run.id,
        task=run.task,
        status=RunState.LOST,
        created=run.created,
        reason=Reason.LOST,
        detail="whoever claimed it never told how it ended",
        intent=run.intent,
        scheduled=run.scheduled,
        started=run.started,
        ended=found.until,
    )


def is_worn(since: datetime, until: datetime, now: datetime) -> bool:
    """Whether a claim has come to the second half of its time, so that whoever holds it had better renew it."""
    return now - since >= (until - since) / 2


def claimed_until(spec: JsonObject, now: datetime) -> datetime:
    """Until when a run of a task that is claimed now may be silent: all its attempts in full, and some grace."""
    timeout = spec.get("timeout")
    if timeout is None:
        return now + LONGEST_CLAIM
    retries = spec.get("retries") or {}
    limit, backoff = int(retries.get("limit", 0)), float(retries.get("backoff", 0))
    return now + timedelta(seconds=float(timeout) * (limit + 1) + backoff * limit) + CLAIM_GRACE
