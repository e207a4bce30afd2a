"""Cron expressions as people write them, read into the one form that is asked when they fire.

Accepted: five fields; the comma-separated form `*/1, *, *, *, *`; macros such as `@hourly`; a set as Python shows
it, `{'42 * * * *'}`; and six fields `second minute hour day month year`, whose last is a year or `*`. A field is a
number, a name (MON, JAN), `*` or `?`, a range, a step, or a list of those. The plain form has the plain five
fields, or six where a year is named. `BadCron` says what is wrong with a text; how to mend it is for those to word
who know where the text stands.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from specrunner.core.cronpattern import FIRST_YEAR, LAST_YEAR, Pattern

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
_LONGEST_NUMBER: Final = 9  # digits; Python itself refuses to read very many


@dataclass(frozen=True, slots=True)
class Field:
    """One field of an expression: its name, the numbers it may have, and the words that stand for them."""

    name: str
    low: int
    high: int
    words: tuple[str, ...] = ()


_FIELDS: Final = (
    Field("minute", 0, 59),
    Field("hour", 0, 23),
    Field("day", 1, 31),
    Field("month", 1, 12, _MONTHS),
    Field("weekday", 0, 7, _WEEKDAYS),
)


class Fault(StrEnum):
    """What can be wrong with an expression."""

    COUNT = "count"  # neither five fields nor six
    MACRO = "macro"  # `@` and a word that is no macro
    PART = "part"  # what stands in a field is nothing that it may have
    STEP = "step"  # a step of 0
    BACKWARDS = "backwards"  # a range whose end is before its beginning
    SECONDS = "seconds"  # six fields that ask for seconds
    NO_DAY = "no-day"  # no day of it is in the calendar
    NO_YEAR = "no-year"  # its year is out of the calendar


class BadCron(ValueError):
    """A text is no cron expression, or one that never fires: the text says why, `fault` which kind of mistake it is.

    `part` is the offending part and `field` the field it stands in, where there are such; `instead` holds what could
    be written in the part's place, or, for seconds, in the whole expression's.
    """

    def __init__(
        self, reason: str, fault: Fault, part: str = "", field: Field | None = None, instead: tuple[str, ...] = ()
    ) -> None:
        super().__init__(reason)
        self.fault = fault
        self.part = part
        self.field = field
        self.instead = instead


@functools.lru_cache(maxsize=4096)
def plain_cron(text: str) -> str:
    """The expression in plain form, checked. Raises BadCron, also for one that no day of the calendar fits."""
    words = _words(text)
    pattern = _pattern(words, text)
    if pattern.year is not None and not FIRST_YEAR <= pattern.year <= LAST_YEAR:
        raise BadCron(f"the year of {text!r} is not in the calendar", Fault.NO_YEAR)
    if pattern.is_empty:
        raise BadCron(f"no day of {text!r} is in the calendar", Fault.NO_DAY)
    return " ".join(words)


@functools.lru_cache(maxsize=4096)
def pattern_of(text: str) -> Pattern:
    """What the expression, in any of its forms, asks of a wall clock. Raises BadCron; one that never fires is none."""
    return _pattern(_words(text), text)


def _words(text: str) -> list[str]:
    """The five words of an expression, or the six of one that names its year."""
    inner = re.fullmatch(r"\{\s*(['\"])(.*)\1\s*\}", text.strip())
    bare = (inner[2] if inner else text).strip()
    if bare.startswith("@"):
        if bare not in MACROS:
            raise BadCron(f"{bare!r} is no macro", Fault.MACRO, bare)
        bare = MACROS[bare]
    # Commas with a space behind them separate fields; those inside a field have none.
    words = [word for word in re.split(r"\s*,\s+|\s+", bare) if word]
    if len(words) == 6:
        return _without_seconds(words, text)
    if len(words) != 5:
        reason = f"{text!r} has {len(words)} fields, a schedule has five: minute hour day month weekday"
        raise BadCron(reason, Fault.COUNT)
    return words


def _without_seconds(words: list[str], text: str) -> list[str]:
    second, *rest = words
    if not re.fullmatch(r"\*|[0-9]{4}", words[5]):
        reason = f"{text!r} has six fields: seconds are not supported here"
        raise BadCron(reason, Fault.SECONDS, instead=(" ".join(rest),))
    if second not in {"0", "00"}:
        reason = f"{text!r} names the second {second!r}: seconds are not supported here"
        raise BadCron(reason, Fault.SECONDS, second, instead=(" ".join(["0", *rest]),))
    return [*words[1:5], "*"] if words[5] == "*" else ["0", *rest]


def _pattern(words: list[str], text: str) -> Pattern:
    year = int(words[5]) if len(words) == 6 else None
    # The form with a year has no weekday; what stands before its minute is the second, always 0.
    five = words if year is None else [*words[1:5], "*"]
    minutes, hours, days, months, weekdays = (
        _mask(word, field, text) for word, field in zip(five, _FIELDS, strict=True)
    )
    is_free = [word.startswith(("*", "?")) for word in five]
    return Pattern(
        minutes=minutes,
        hours=hours,
        days=days,
        months=months,
        weekdays=(weekdays | weekdays >> 7) & 0b1111111,  # 7 is Sunday as well
        year=year,
        either_day=not is_free[2] and not is_free[4],
        by_elapsed_time=is_free[0] or is_free[1],
    )


def _mask(word: str, field: Field, text: str) -> int:
    """The numbers that a field names, as bits."""
    found = 0
    for part in word.split(","):
        for number in _part(part, field, text):
            found |= 1 << number
    return found


_PART: Final = re.compile(r"(?:(?P<all>[*?])|(?P<low>\w+)(?:-(?P<high>\w+))?)(?:/(?P<step>[0-9]+))?")


def _part(part: str, field: Field, text: str) -> range:
    match = _PART.fullmatch(part)
    if match is None or len(match["step"] or "") > _LONGEST_NUMBER:
        raise _bad(part, field, text)
    step = int(match["step"] or 1)
    if not step:
        instead = (f"{part[: -len(match['step'])]}1",)
        raise BadCron(f"{part!r} in {text!r} has a step of 0", Fault.STEP, part, field, instead)
    if match["all"]:
        return range(field.low, field.high + 1, step)
    low = _number(match["low"], field, text)
    high = _number(match["high"], field, text) if match["high"] else (field.high if match["step"] else low)
    if not field.low <= low <= field.high or not field.low <= high <= field.high:
        raise _bad(part, field, text)
    if low > high:
        forwards = (f"{high}-{low}", f"{low}-{field.high},{field.low}-{high}")
        raise BadCron(f"the range {part!r} in {text!r} runs backwards", Fault.BACKWARDS, part, field, forwards)
    return range(low, high + 1, step)


def _number(word: str, field: Field, text: str) -> int:
    folded = word.casefold()
    if folded in field.words:
        return field.words.index(folded) + field.low
    if not word.isdecimal() or len(word) > _LONGEST_NUMBER:
        raise _bad(word, field, text)
    return int(word)


def _bad(part: str, field: Field, text: str) -> BadCron:
    return BadCron(f"{part!r} is no {field.name} in {text!r}", Fault.PART, part, field)
