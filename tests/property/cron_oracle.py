"""What a schedule should do, found by looking at every minute: slow, plain, and apart from `core.cron`'s way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
_RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
_WEEKDAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_NAMES = {name: n for n, name in enumerate(_WEEKDAYS)} | {name: n for n, name in enumerate(_MONTHS, 1)}


@dataclass
class Oracle:
    """Five plain fields."""

    text: str
    fields: list[set[int]] = field(init=False)
    stars: list[bool] = field(init=False)

    def __post_init__(self) -> None:
        words = self.text.lower().split()
        self.fields = [_numbers(word, *bounds) for word, bounds in zip(words, _RANGES, strict=True)]
        self.stars = [word[0] in "*?" for word in words]

    @property
    def is_wild(self) -> bool:
        return self.stars[0] or self.stars[1]

    def fits(self, wall: datetime) -> bool:
        minutes, hours, days, months, weekdays = self.fields
        if wall.minute not in minutes or wall.hour not in hours or wall.month not in months:
            return False
        by_day = wall.day in days
        by_weekday = bool({wall.isoweekday(), wall.isoweekday() % 7} & weekdays)
        return (by_day and by_weekday) if self.stars[2] or self.stars[4] else (by_day or by_weekday)

    def fires(self, minutes: list[datetime], walls: list[datetime]) -> list[datetime]:
        """Which of these instants, one a minute, fire; `walls` is what the clock shows at each.

        The clock must not stand in a repeated hour at the first, which itself is not judged.
        """
        return list(self._wild(minutes, walls) if self.is_wild else self._fixed(minutes, walls))

    def _wild(self, minutes: list[datetime], walls: list[datetime]) -> Iterator[datetime]:
        return (minute for minute, wall in zip(minutes[1:], walls[1:], strict=True) if self.fits(wall))

    def _fixed(self, minutes: list[datetime], walls: list[datetime]) -> Iterator[datetime]:
        """As Debian's cron does: it keeps a time of its own, that runs after the clock's and never back."""
        own = walls[0]
        for minute, wall in zip(minutes[1:], walls[1:], strict=True):
            is_due = False
            while own < wall:
                own += MINUTE
                is_due |= self.fits(own)
            if is_due:
                yield minute


def _numbers(word: str, low: int, high: int) -> set[int]:
    found: set[int] = set()
    for part in word.split(","):
        span, _, step = part.partition("/")
        first, _, last = span.partition("-")
        if first in {"*", "?"}:
            begin, end = low, high
        else:
            begin = _number(first)
            end = _number(last) if last else (high if step else begin)
        found |= set(range(begin, end + 1, int(step or 1)))
    return found


def _number(word: str) -> int:
    return _NAMES[word] if word in _NAMES else int(word)


def shown(zone: ZoneInfo, start: datetime, end: datetime) -> tuple[list[datetime], list[datetime]]:
    """Every minute from start to end, and what a clock of the zone shows at it."""
    minutes = [start + n * MINUTE for n in range((end - start) // MINUTE + 1)]
    return minutes, [minute.astimezone(zone).replace(tzinfo=None, fold=0) for minute in minutes]


def leaps(zone: ZoneInfo, start: datetime, end: datetime) -> Iterator[datetime]:
    """The instants at which a clock of the zone leaps, to the minute."""
    step = 6 * HOUR
    moment, offset = start, start.astimezone(zone).utcoffset()
    while moment < end:
        ahead = (moment + step).astimezone(zone).utcoffset()
        if ahead != offset:
            leap = moment
            while leap.astimezone(zone).utcoffset() == offset:
                leap += MINUTE
            yield leap
        moment, offset = moment + step, ahead
