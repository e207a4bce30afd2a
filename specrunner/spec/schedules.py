"""Schedules as people write them, brought to one form; and for those that can't be used, what to write instead.

`core.crontext` reads expressions and says what is wrong with them. Here it is put into the words of a mistake in a
document.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

from specrunner.core import crontext
from specrunner.core.crontext import MACROS, BadCron, Fault
from specrunner.core.values import Json, iso
from specrunner.core.wallclock import zone_named
from specrunner.spec.findings import listed, nearest
from specrunner.spec.mistakes import Mistake


class BadSchedule(ValueError):
    """A schedule can't be used; the text says why, `remedy` what to write, `code` which kind of mistake it is."""

    def __init__(self, reason: str, remedy: str, code: Mistake = Mistake.BAD_CRON) -> None:
        super().__init__(reason)
        self.remedy = remedy
        self.code = code


def unwrapped(value: Json) -> Json:
    """`{'42 * * * *'}`, a set in Python's display and a mapping in YAML's, as the one text in it."""
    if isinstance(value, dict) and len(value) == 1 and None in value.values():
        (only,) = value
        return only if len(str(only).split()) > 1 or str(only).startswith("@") else value
    return value


def plain_cron(text: str) -> str:
    """The expression in plain form, checked. Raises BadSchedule."""
    try:
        return crontext.plain_cron(text)
    except BadCron as error:
        code = _CODES.get(error.fault, Mistake.BAD_CRON)
        raise BadSchedule(str(error), _REMEDIES[error.fault](error), code) from error


@functools.lru_cache(maxsize=1024)
def check_timezone(name: str) -> None:
    """Raises BadSchedule where the IANA database has no such zone."""
    try:
        zone_named(name)
    except ValueError as error:
        # The list of all zones is read from disk, so it is asked for the suggestion only.
        meant = nearest(name[:_LONGEST_WORD], available_timezones()) or "Europe/Berlin"
        raise BadSchedule(str(error), f"Write `timezone: {meant}`.", Mistake.UNKNOWN_TIME_ZONE) from None


def plain_instant(text: str, zone: str) -> str:
    """An instant in UTC; without an offset it is a time of the zone. Raises BadSchedule for an impossible date."""
    try:
        moment = datetime.fromisoformat(text)
        return iso(moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(zone)))
    except (ValueError, OverflowError) as error:  # in UTC it may lie before the first year, or after the last
        raise BadSchedule(
            f"{text!r} is no instant: {error}", "Write for instance `2026-01-31T06:00:00Z`.", Mistake.BAD_INSTANT
        ) from error


def last_moment(cron: str) -> datetime | None:
    """The last local time of a plain expression that names its year, or None where it goes on for ever."""
    return crontext.pattern_of(cron).last()


_LONGEST_WORD: Final = 64  # characters of a wrong name that a suggestion is looked for

_CODES: Final[Mapping[Fault, Mistake]] = {
    Fault.SECONDS: Mistake.SECONDS,
    Fault.NO_DAY: Mistake.NEVER_FIRES,
    Fault.NO_YEAR: Mistake.NEVER_FIRES,
}


def _other_macro(error: BadCron) -> str:
    meant = nearest(error.part, MACROS)
    return f"Write {f'`{meant}`' if meant else f'one of {listed(MACROS)}'}, or five fields."


def _allowed(error: BadCron) -> str:
    field = error.field
    if field is None:
        return "Write five fields."
    names = f" or {field.words[0]} to {field.words[-1]}" if field.words else ""
    article = "An" if field.name == "hour" else "A"
    return (
        f"{article} {field.name} is a number from {field.low} to {field.high}{names}, "
        "`*`, a range `a-b`, a step `*/n` or a list `a,b`."
    )


def _without_seconds(error: BadCron) -> str:
    # A named second is a part; a sixth field that is no year is not.
    return f"Write {'' if error.part else 'the five fields '}`{error.instead[0]}`."


_REMEDIES: Final[Mapping[Fault, Callable[[BadCron], str]]] = {
    Fault.COUNT: lambda _: "Write for instance `0 2 * * *` for every day at two.",
    Fault.MACRO: _other_macro,
    Fault.PART: _allowed,
    Fault.STEP: lambda error: f"Write `{error.instead[0]}` or more.",
    Fault.BACKWARDS: lambda error: f"Write `{error.instead[0]}`, or `{error.instead[1]}` to go round.",
    Fault.SECONDS: _without_seconds,
    Fault.NO_DAY: lambda _: "Choose a day that the month has.",
    Fault.NO_YEAR: lambda _: "Choose a year to come, or `*` for every year.",
}
