"""What a cron expression asks of a wall clock, and the next time that clock shows it.

Times here are a wall clock's: naive, without zone, to the minute. The numbers of a field are the bits of an integer,
so that the next hour or day is found by shifting, and a month's days by one `and`: a rare date, such as 29 February
on a Sunday, is found by looking at one month a year.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Final

# The calendar's outermost years are left out, so that no offset from UTC leads out of it.
FIRST_YEAR: Final = 2
LAST_YEAR: Final = 9998
CYCLE: Final = 400  # years after which the Gregorian calendar repeats, weekdays included

_LONGEST: Final = (0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_WEEKS: Final = sum(1 << 7 * week for week in range(5))


@dataclass(frozen=True, slots=True)
class Pattern:
    """A cron expression, read. Each field is the set of its numbers: bit n stands for n; Sunday is weekday 0.

    A day fits if it fits both fields of days, or, where `either_day`, one of them: Debian cron's rule for an
    expression that restricts both; a field that begins with `*` restricts nothing, whatever follows. `year` is set
    where the expression names its only one. `by_elapsed_time` says that the minute or the hour begins with `*`.
    """

    minutes: int
    hours: int
    days: int
    months: int
    weekdays: int
    year: int | None = None
    either_day: bool = False
    by_elapsed_time: bool = False

    def after(self, wall: datetime) -> datetime | None:
        """The first time later than `wall` that fits, or None where the calendar has no more."""
        if self._days_of(wall.year, wall.month) >> wall.day & 1:
            hour, minute = self._time_after(wall.hour, wall.minute)
            if hour >= 0:
                return wall.replace(hour=hour, minute=minute, second=0, microsecond=0, fold=0)
        day = self._day_after(wall.year, wall.month, wall.day)
        return (
            datetime.combine(day, wall.min.time().replace(_lowest(self.hours), _lowest(self.minutes))) if day else None
        )

    def last(self) -> datetime | None:
        """The last time that fits, where the expression names its year; None where it goes on for ever, or nowhere."""
        months = range(12, 0, -1) if self.year is not None and FIRST_YEAR <= self.year <= LAST_YEAR else ()
        for month in months:
            days = self._days_of(self.year or 0, month)
            if days:
                latest = time(_highest(self.hours), _highest(self.minutes))
                return datetime.combine(date(self.year or 0, month, _highest(days)), latest)
        return None

    @property
    def is_empty(self) -> bool:
        """Whether no day of the calendar fits."""
        return self._day_after(FIRST_YEAR - 1, 12, 31) is None

    def _time_after(self, hour: int, minute: int) -> tuple[int, int]:
        """The next time of the same day; the hour is -1 if there is none."""
        if self.hours >> hour & 1:
            found = _lowest(self.minutes, minute + 1)
            if found >= 0:
                return hour, found
        return _lowest(self.hours, hour + 1), _lowest(self.minutes)

    def _day_after(self, year: int, month: int, day: int) -> date | None:
        last = min(year + CYCLE, LAST_YEAR)
        if self.year is not None:
            last = min(self.year, LAST_YEAR)
            if year < self.year:
                year, month, day = self.year, 0, 31
        while year <= last:
            found = _lowest(self._days_of(year, month), day + 1) if month else -1
            if found > 0:
                return date(year, month, found)
            month, day = _lowest(self.months, month + 1), 0
            if month < 0:
                year, month = year + 1, 0
        return None

    def _days_of(self, year: int, month: int) -> int:
        """The days of a month that fit, as bits."""
        if not self.months >> month & 1 or (self.year is not None and self.year != year):
            return 0
        first = date(year, month, 1).isoweekday() % 7
        week = (self.weekdays >> first | self.weekdays << 7 - first) & 0b1111111
        by_weekday = week * _WEEKS << 1
        days = self.days | by_weekday if self.either_day else self.days & by_weekday
        return days & (2 << _length(year, month)) - 2


def _length(year: int, month: int) -> int:
    is_short = month == 2 and (year % 4 != 0 or (year % 100 == 0 and year % 400 != 0))
    return 28 if is_short else _LONGEST[month]


def _lowest(bits: int, least: int = 0) -> int:
    """The lowest number in a set that is at least `least`, or -1."""
    rest = bits >> least
    return least + (rest & -rest).bit_length() - 1 if rest else -1


def _highest(bits: int) -> int:
    return bits.bit_length() - 1
