"""Schedules as people write them, brought to one form and checked against the calendar.

Accepted: five fields; the comma-separated form `*/1, *, *, *, *`; macros such as `@hourly`; a set as Python shows
it, `{'42 * * * *'}`; and six fields `second minute hour day month year`, whose last is a year or `*`. What comes
out has the plain five fields, or six where a year is named. Whether an expression never fires is judged without a
clock: by days that no month has.
"""

from __future__ import annotations

import functools
import re
from calendar import monthrange
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from specrunner.core.values import Json, iso
from specrunner.spec.findings import listed, nearest
from specrunner.spec.mistakes import Mistake

MACROS: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_LONGEST: Final = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)  # days of each month in a leap year


class BadSchedule(ValueError):
    """A schedule can't be used; the text says why, `remedy` what to write, `code` which kind of mistake it is."""

    def __init__(self, reason: str, remedy: str, code: Mistake = Mistake.BAD_CRON) -> None:
        super().__init__(reason)
        self.remedy = remedy
        self.code = code


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    low: int
    high: int
    words: tuple[str, ...] = ()


_LONGEST_ZONE: Final = 64  # characters; the longest of the database has half of that
_FIELDS: Final = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("weekday", 0, 7, _WEEKDAYS),
)


def unwrapped(value: Json) -> Json:
    """`{'42 * * * *'}`, a set in Python's display and a mapping in YAML's, as the one text in it."""
    if isinstance(value, dict) and len(value) == 1 and None in value.values():
        (only,) = value
        return only if len(str(only).split()) > 1 or str(only).startswith("@") else value
    return value


@functools.lru_cache(maxsize=4096)
def plain_cron(text: str) -> str:
    """The expression in plain form, checked. Raises BadSchedule."""
    words = _words(text)
    if len(words) == 6:
        words = _without_seconds(words, text)
    elif len(words) != 5:
        raise BadSchedule(
            f"{text!r} has {len(words)} fields, a schedule has five: minute hour day month weekday",
            "Write for instance `0 2 * * *` for every day at two.",
        )
    with_year = len(words) == 6
    fields = words[1:5] if with_year else words
    # The form with a year has no weekday.
    values = [_values(word, field, text) for word, field in zip(fields, _FIELDS, strict=False)]
    restricted_weekday = not with_year and not words[4].startswith(("*", "?"))
    if not restricted_weekday and not _some_day(values[2], values[3], words[5] if with_year else "*"):
        raise BadSchedule(
            f"no day of {text!r} is in the calendar", "Choose a day that the month has.", Mistake.NEVER_FIRES
        )
    return " ".join(words)


@functools.lru_cache(maxsize=1024)
def check_timezone(name: str) -> None:
    """Raises BadSchedule where the IANA database has no such zone."""
    if len(name) > _LONGEST_ZONE:  # the lookup imports a package per part of the name
        raise BadSchedule(
            f"there is no time zone {name[:_LONGEST_ZONE]!r}…",
            "Write `timezone: Europe/Berlin`.",
            Mistake.UNKNOWN_TIME_ZONE,
        )
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        # The list of all zones is read from disk, so it is asked for the suggestion only.
        meant = nearest(name, available_timezones()) or "Europe/Berlin"
        raise BadSchedule(
            f"there is no time zone {name!r}", f"Write `timezone: {meant}`.", Mistake.UNKNOWN_TIME_ZONE
        ) from None


def plain_instant(text: str, zone: str) -> str:
    """An instant in UTC; without an offset it is a time of the zone. Raises BadSchedule for an impossible date."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadSchedule(
            f"{text!r} is no instant: {error}", "Write for instance `2026-01-31T06:00:00Z`.", Mistake.BAD_INSTANT
        ) from error
    return iso(moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(zone)))


def _words(text: str) -> list[str]:
    inner = re.fullmatch(r"\{\s*(['\"])(.*)\1\s*\}", text.strip())
    bare = (inner[2] if inner else text).strip()
    if bare.startswith("@"):
        if bare not in MACROS:
            meant = nearest(bare, MACROS)
            known = f"one of {listed(MACROS)}"
            raise BadSchedule(f"{bare!r} is no macro", f"Write {f'`{meant}`' if meant else known}, or five fields.")
        bare = MACROS[bare]
    # Commas with a space behind them separate fields; those inside a field have none.
    return [word for word in re.split(r"\s*,\s+|\s+", bare) if word]


def _without_seconds(words: list[str], text: str) -> list[str]:
    second, year = words[0], words[5]
    if not re.fullmatch(r"\*|[0-9]{4}", year):
        raise BadSchedule(
            f"{text!r} has six fields: seconds are not supported here",
            f"Write the five fields `{' '.join(words[1:])}`.",
            Mistake.SECONDS,
        )
    if second not in {"0", "00"}:
        raise BadSchedule(
            f"{text!r} names the second {second!r}: seconds are not supported here",
            f"Write `{' '.join(['0', *words[1:]])}`.",
            Mistake.SECONDS,
        )
    return [*words[1:5], "*"] if year == "*" else ["0", *words[1:]]


def _values(word: str, field: _Field, text: str) -> frozenset[int]:
    found: set[int] = set()
    for part in word.split(","):
        found |= set(_part(part, field, text))
    return frozenset(found)


_PART: Final = re.compile(r"(?:(?P<all>[*?])|(?P<low>\w+)(?:-(?P<high>\w+))?)(?:/(?P<step>[0-9]+))?")


def _part(part: str, field: _Field, text: str) -> Iterable[int]:
    match = _PART.fullmatch(part)
    if match is None:
        raise _bad(part, field, text)
    step = int(match["step"] or 1)
    if not step:
        raise BadSchedule(f"{part!r} in {text!r} has a step of 0", f"Write `{part[: -len(match['step'])]}1` or more.")
    if match["all"]:
        low, high = field.low, field.high
    else:
        low = _number(match["low"], field, text)
        high = _number(match["high"], field, text) if match["high"] else (field.high if match["step"] else low)
    if not field.low <= low <= field.high or not field.low <= high <= field.high:
        raise _bad(part, field, text)
    if low > high:
        raise BadSchedule(
            f"the range {part!r} in {text!r} runs backwards",
            f"Write `{high}-{low}`, or `{low}-{field.high},{field.low}-{high}` to go round.",
        )
    return range(low, high + 1, step)


def _number(word: str, field: _Field, text: str) -> int:
    folded = word.casefold()
    if folded in field.words:
        return field.words.index(folded) + field.low
    if not word.isdecimal():
        raise _bad(word, field, text)
    return int(word)


def _bad(part: str, field: _Field, text: str) -> BadSchedule:
    names = f" or {field.words[0]} to {field.words[-1]}" if field.words else ""
    article = "An" if field.name == "hour" else "A"
    return BadSchedule(
        f"{part!r} is no {field.name} in {text!r}",
        f"{article} {field.name} is a number from {field.low} to {field.high}{names}, "
        "`*`, a range `a-b`, a step `*/n` or a list `a,b`.",
    )


def last_moment(cron: str) -> datetime | None:
    """The last local time of a plain expression that names its year, or None where it goes on for ever."""
    words = cron.split()
    if len(words) != 6:
        return None
    # What stands before the minute is the second, always 0.
    fields = zip(words[1:5], _FIELDS, strict=False)
    minutes, hours, days, months = (_values(word, field, cron) for word, field in fields)
    year = int(words[5])
    for month in sorted(months, reverse=True):
        fitting = [day for day in days if day <= monthrange(year, month)[1]]
        if fitting:
            return datetime(year, month, max(fitting), max(hours), max(minutes))  # noqa: DTZ001 - a wall clock's
    return None  # the day is in no month of that year: it never fires, which is told elsewhere


def _some_day(days: frozenset[int], months: frozenset[int], year: str) -> bool:
    leap = year == "*" or (int(year) % 4 == 0 and (int(year) % 100 != 0 or int(year) % 400 == 0))
    longest = {month: 28 if month == 2 and not leap else _LONGEST[month - 1] for month in months}
    return any(min(days) <= longest[month] for month in months)
