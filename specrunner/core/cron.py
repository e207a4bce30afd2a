"""When a schedule fires: instants in UTC, decided by what a wall clock of its zone shows.

What happens where that clock leaps is Debian cron's policy:

- A *fixed time* (neither the minute nor the hour begins with `*`) that the clock leaps over fires once, at the instant
  of the leap: `30 2 * * *` at 03:00 on the night that has no 02:30. Several times in one gap are one instant.
- A fixed time that the clock shows twice fires once, the first time.
- *Wildcards* (the minute or the hour begins with `*`) go by elapsed time: they fire whenever the clock shows a time
  that fits, twice in a repeated hour and not at all in one leapt over. `0 */2 * * *` goes from 00:00 to 04:00 on the
  night without 02:00, and `*/15 2 * * *` does not fire on that day.

Debian takes leaps of three hours and more for corrections of the clock and repeats or drops what was in them; here a
leap is the zone's own, however wide, so the rules above hold for it too: a daily task keeps to once a day.
"""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, Self
from zoneinfo import ZoneInfo

from specrunner.core.cronpattern import CYCLE, FIRST_YEAR, LAST_YEAR, Pattern
from specrunner.core.crontext import pattern_of
from specrunner.core.values import Json, parse_iso, utc
from specrunner.core.wallclock import first_change, instant_of, offset_at, wall_at, zone_named

_TICK: Final = timedelta.resolution
_DAY: Final = timedelta(days=1)
_EARLIEST: Final = datetime(FIRST_YEAR, 1, 1, tzinfo=UTC)
_REMEMBERED: Final = 4096  # schedules
_GAPS: Final = 4  # of each: a look at a schedule asks for two instants, and the next look for one of them again
_LATEST: Final = datetime(LAST_YEAR + 1, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Schedule:
    """A cron expression in any of its forms, the zone whose clock it means, and the instants it lies between.

    `starts` and `ends` are aware, and instants of the schedule themselves where it fires at them. Raises BadCron for
    what is no expression and ValueError for an unknown zone, so that a schedule that exists can always be asked. One
    that never fires is legal.
    """

    cron: str
    timezone: str = "UTC"
    starts: datetime | None = None
    ends: datetime | None = None
    pattern: Pattern = field(init=False, repr=False, compare=False)
    zone: ZoneInfo = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "pattern", pattern_of(self.cron))
        object.__setattr__(self, "zone", zone_named(self.timezone))

    @classmethod
    def of(cls, spec: Json) -> Self:
        """The schedule that a task's normalised `spec.schedule` describes, or one that is only the expression.

        Raises ValueError for what describes none.
        """
        if isinstance(spec, str):
            return cls(spec)
        if not isinstance(spec, Mapping) or not isinstance(spec.get("cron"), str):
            raise ValueError("a schedule needs a cron expression, and this has none")
        starts, ends = spec.get("from"), spec.get("until")
        return cls(
            spec["cron"],
            spec.get("timezone", "UTC"),
            parse_iso(starts) if starts else None,
            parse_iso(ends) if ends else None,
        )


def next_fire(schedule: Schedule, after: datetime) -> datetime | None:
    """The first instant strictly later than `after` at which the schedule fires, in UTC; None if there is none.

    A later `after` never gives an earlier instant. The policy for clocks that leap stands at the top of this module.
    """
    moment = max(utc(after), _EARLIEST)
    gaps = _gaps(schedule)
    for start, end in tuple(gaps):  # at once: another thread may add to it
        if start <= moment < end:
            return end
    found = _searched(schedule, moment)
    if found is not None:
        gaps.append((moment, found))
    return found


@functools.lru_cache(maxsize=_REMEMBERED)
def _gaps(_schedule: Schedule) -> deque[tuple[datetime, datetime]]:
    """Spans in which the schedule does not fire before their end, as found last; thousands of tasks may share them."""
    return deque(maxlen=_GAPS)


def _searched(schedule: Schedule, moment: datetime) -> datetime | None:
    if schedule.starts is not None:
        moment = max(moment, utc(schedule.starts) - _TICK if schedule.starts > _EARLIEST else _EARLIEST)
    if moment >= _LATEST:
        return None
    search = _by_elapsed_time if schedule.pattern.by_elapsed_time else _by_fixed_time
    found = search(schedule.pattern, schedule.zone, moment)
    return None if found is None or (schedule.ends is not None and found > schedule.ends) else found


def upcoming(schedule: Schedule, after: datetime, count: int) -> tuple[datetime, ...]:
    """The next `count` instants later than `after`, in order; fewer where the schedule ends before."""
    found: list[datetime] = []
    while len(found) < count:
        fire = next_fire(schedule, found[-1] if found else after)
        if fire is None:
            break
        found.append(fire)
    return tuple(found)


def never_fires(schedule: Schedule) -> bool:
    """Whether there is no instant at all, past or to come, at which the schedule fires. No clock is asked."""
    return next_fire(schedule, _EARLIEST) is None


def _by_fixed_time(pattern: Pattern, zone: ZoneInfo, after: datetime) -> datetime | None:
    wall = pattern.after(wall_at(zone, after))
    while wall is not None:
        found = instant_of(zone, wall)
        # In the second pass of a repeated hour what is left of it has fired already.
        if found > after:
            return found
        wall = pattern.after(wall)
    return None


def _by_elapsed_time(pattern: Pattern, zone: ZoneInfo, after: datetime) -> datetime | None:
    """Looks ahead as if the clock never leapt, until the leap or the instant found, whichever comes first.

    Clocks leap by a day at most. So a time already shown can come again within a day only, and what is found further
    ahead can come nearer by no more than two.
    """
    offset = offset_at(zone, after)
    fitting = pattern.after(wall_at(zone, after))
    # What only fits times leapt over would be looked for until the calendar ends.
    last = fitting.year + CYCLE if fitting else 0
    while fitting is not None and fitting.year <= last:
        found = (fitting - offset).replace(tzinfo=UTC)
        horizon = min(found, after + _DAY)
        leap = first_change(zone, after, horizon)
        if leap is None and horizon == found:
            return found
        after = leap or max(horizon, found - 2 * _DAY)
        offset = offset_at(zone, after)
        # The instant gone to may itself fit.
        fitting = pattern.after(wall_at(zone, after) - _TICK)
    return None
