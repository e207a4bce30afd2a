"""Which instants of a schedule are due, which have passed for good, and which comes next.

A task's schedule is settled up to some instant (`since`): every instant up to it has its run or its record of a skip,
or was never due. A look at a later moment settles it further. Whoever stores what a look found stores the new `since`
in the same transaction; then a crash neither loses an instant nor gives it twice, and old records may go.

Nothing here counts through a long absence: instants that come to nothing become one record with its first and its
last, and the last is found by halving. So a host that was away for a year is back as fast as after a minute.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import Self

from specrunner.core.cron import Schedule, next_fire
from specrunner.core.lifecycle import Reason
from specrunner.core.overlap import Overlap, Rules
from specrunner.core.values import JsonObject

# The first instant strictly after another, None if there is none; monotone.
NextFire = Callable[[datetime], datetime | None]

MAX_CAUGHT_UP = 1000  # instants that catch-up `all` makes up for at once; those before them have passed
CURRENT = timedelta(minutes=1)  # cron's own resolution: what is no later than this was not missed
AHEAD = timedelta(days=1)  # a schedule settled further ahead than this was settled by a clock that was wrong

_MICROSECOND = timedelta(microseconds=1)
_EVER = 100 * 365 * 86400  # seconds; a span that is no shorter has no end, and fits into the calendar


class CatchUp(StrEnum):
    """What happens about instants that were missed while nobody was there."""

    LATEST = "latest"  # the newest runs, unless its deadline is over
    ALL = "all"  # all run whose deadline is not over, up to MAX_CAUGHT_UP
    NONE = "none"  # none runs; one that is due this minute was not missed


@dataclass(frozen=True, slots=True)
class Due:
    """An instant of a schedule, which is what a run is known by, and when it may start: `jitter` later."""

    instant: datetime
    at: datetime


@dataclass(frozen=True, slots=True)
class Passed:
    """Instants that come to nothing, from `first` to `last`; one record, known by its last, stands for them all."""

    first: datetime
    last: datetime
    reason: Reason
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Timing:
    """When a task runs. `key` names the task and seeds its jitter; `ends` is the last moment of its schedule."""

    key: str
    fire: NextFire
    rules: Rules = field(default_factory=Rules)
    catch_up: CatchUp = CatchUp.LATEST
    jitter: timedelta = timedelta(0)
    ends: datetime | None = None

    @classmethod
    def of(cls, key: str, spec: JsonObject, suspended: bool = False) -> Self:
        """What a task's normalised `spec.schedule` says; `suspended` is what a command said of the task since.

        Raises ValueError for what is no schedule.
        """
        schedule = Schedule.of(spec)
        return cls(
            key,
            partial(next_fire, schedule),
            Rules(
                Overlap(spec.get("overlap", Overlap.SKIP)),
                timedelta(seconds=min(spec.get("startingDeadline", 3600), _EVER)),
                suspended or bool(spec.get("suspend")),
            ),
            CatchUp(spec.get("catchUp", CatchUp.LATEST)),
            timedelta(seconds=min(spec.get("jitter", 0), _EVER)),
            schedule.ends,
        )

    def due(self, instant: datetime) -> Due:
        """When the run of an instant may start: within the jitter, before the next instant and the end."""
        if not self.jitter:
            return Due(instant, instant)
        bounds = [bound - instant for bound in (self.fire(instant), self.ends) if bound is not None]
        span = min([self.jitter, *bounds])
        return Due(instant, instant + _share(self.key, instant, span))

    def next(self, after: datetime) -> Due | None:
        """The first instant strictly after another."""
        instant = self.fire(after)
        return None if instant is None else self.due(instant)

    def upcoming(self, after: datetime, count: int) -> Iterator[Due]:
        """The next `count` instants strictly after another; fewer where the schedule ends before."""
        for _ in range(count):
            found = self.next(after)
            if found is None:
                return
            yield found
            after = found.instant


@dataclass(frozen=True, slots=True)
class Arrivals:
    """What a look found, oldest first: all of `passed` lies before all of `due`; `next` is not due yet."""

    passed: tuple[Passed, ...] = ()
    due: tuple[Due, ...] = ()
    next: Due | None = None

    @property
    def settled(self) -> datetime | None:
        """Up to where the schedule is settled now; None if nothing was found."""
        if self.due:
            return self.due[-1].instant
        return self.passed[-1].last if self.passed else None


def arrivals(timing: Timing, since: datetime, now: datetime) -> Arrivals:
    """What a schedule that is settled up to `since` has come to at `now`: each instant due is in exactly one part."""
    first = timing.next(since)
    if first is None or first.at > now:
        return Arrivals(next=first)
    newest, following = first, timing.next(first.instant)
    if following is not None and following.at <= now:
        newest = _newest_due(timing, since, first, now)
        following = timing.next(newest.instant)
    due = () if timing.rules.suspended else _caught_up(timing, since, newest, now)
    if due and due[0] == first:
        return Arrivals((), due, following)
    last = last_fire(timing.fire, since, due[0].instant - _MICROSECOND) if due else newest.instant
    return Arrivals((_passed(timing, first.instant, last or first.instant, due),), due, following)


def unrecorded(timing: Timing, passed: Passed, recorded: Collection[datetime]) -> Passed | None:
    """The same up to the newest instant that has no record yet, by which it can be known; None where all have one."""
    last: datetime | None = passed.last
    while last is not None and last in recorded:
        last = last_fire(timing.fire, passed.first - _MICROSECOND, last - _MICROSECOND)
    return None if last is None else replace(passed, last=last)


def superseded(timing: Timing, since: datetime, now: datetime) -> Passed | None:
    """What of a schedule was due and not settled when its task changed or was resumed: it is never made up for."""
    found = arrivals(replace(timing, rules=replace(timing.rules, suspended=True)), since, now).passed
    if not found or timing.rules.suspended:
        return found[0] if found else None
    return replace(found[0], reason=Reason.SKIPPED_DEADLINE, detail="its task was changed before it started")


def effective_since(old: Timing | None, new: Timing, since: datetime, now: datetime) -> datetime:
    """From where a changed or resumed schedule counts: from now on.

    Only an instant that its jitter holds back, in the old schedule as in the new, is still to come.
    """
    held = arrivals(old, since, now).next if old else None
    if held is None or held.instant > now or new.fire(held.instant - _MICROSECOND) != held.instant:
        return now
    return held.instant - _MICROSECOND if new.due(held.instant).at > now else now


def is_ahead(since: datetime, now: datetime) -> bool:
    """Whether a schedule is settled so far ahead that the clock must have been wrong: it counts anew from now.

    A smaller step back is waited out, because the records of that time may be gone and no instant may run twice.
    """
    return since - now > AHEAD


def last_fire(fire: NextFire, after: datetime, until: datetime) -> datetime | None:
    """The newest instant after `after` and not after `until`, found by stepping back, then by halving."""
    low = fire(after)
    if low is None or low > until:
        return None
    second = fire(low)
    if second is None or second > until:
        return low
    # A regular schedule has an instant in the last span as long as its first.
    width, high, low = second - low, until, second
    while until - width > low:
        found = fire(until - width)
        if found is not None and found <= until:
            low = found
            break
        high, width = until - width, width * 2
    return _halved(fire, low, high, until)


def _halved(fire: NextFire, low: datetime, high: datetime, until: datetime) -> datetime:
    """The newest instant from `low`, which is one, until `until`; there is none after `high`."""
    while (following := fire(low)) is not None and following <= until:
        low = following
        middle = low + (high - low) / 2
        found = fire(middle)
        if found is not None and found <= until:
            low = found
        else:
            high = middle
    return low


def _newest_due(timing: Timing, since: datetime, first: Due, now: datetime) -> Due:
    """The newest instant that may start at `now`, as the first one may."""
    newest = timing.due(last_fire(timing.fire, since, now) or first.instant)
    if newest.at <= now:
        return newest
    # Jitter never reaches the next instant, so that the one before is due.
    return timing.due(last_fire(timing.fire, since, newest.instant - _MICROSECOND) or first.instant)


def _caught_up(timing: Timing, since: datetime, newest: Due, now: datetime) -> tuple[Due, ...]:
    """The instants that get a run, oldest first."""
    deadline = timing.rules.deadline
    most = MAX_CAUGHT_UP if timing.catch_up is CatchUp.ALL else 1
    patience = min(deadline, CURRENT) if timing.catch_up is CatchUp.NONE else deadline
    found: list[Due] = []
    due: Due | None = newest
    while due is not None and len(found) < most and now - due.at <= patience:
        found.append(due)
        before = last_fire(timing.fire, since, due.instant - _MICROSECOND) if len(found) < most else None
        due = None if before is None else timing.due(before)
    return tuple(reversed(found))


def _passed(timing: Timing, first: datetime, last: datetime, due: tuple[Due, ...]) -> Passed:
    if timing.rules.suspended:
        return Passed(first, last, Reason.SKIPPED_SUSPENDED)
    if len(due) == MAX_CAUGHT_UP:
        detail = f"missed, and no more than {MAX_CAUGHT_UP} instants are made up for at once"
    elif due and timing.catch_up is CatchUp.LATEST:
        detail = "missed, and a later instant was due as well"
    else:
        detail = "missed, and too late to be made up for"
    return Passed(first, last, Reason.SKIPPED_DEADLINE, detail)


def _share(key: str, instant: datetime, span: timedelta) -> timedelta:
    """A part of the span, below all of it; the same for the same task and instant on every machine."""
    digest = hashlib.sha256(f"{key} {instant.timestamp():.0f}".encode()).digest()
    return timedelta(microseconds=int.from_bytes(digest[:8], "big") * (span // _MICROSECOND) >> 64)
