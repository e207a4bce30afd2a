"""Wall clocks: what a clock of some zone shows at an instant, and when it shows something.

An instant is an aware datetime in UTC, a wall time a naive one. Zones come from the IANA database through `zoneinfo`,
which reads a zone's file when it is first asked for: the one thing in `core` that the machine it runs on decides.
"""

from __future__ import annotations

import functools
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_SECOND: Final = timedelta(seconds=1)
_LONGEST_ZONE: Final = 64  # characters; the longest of the database has half of that


@functools.lru_cache(maxsize=1024)
def zone_named(name: str) -> ZoneInfo:
    """The zone of that name. Raises ValueError where the IANA database has none."""
    if len(name) > _LONGEST_ZONE:  # the lookup imports a package per part of the name
        raise ValueError(f"there is no time zone {name[:_LONGEST_ZONE]!r}…")
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"there is no time zone {name!r}") from None


def wall_at(zone: ZoneInfo, instant: datetime) -> datetime:
    """What a clock of the zone shows at the instant."""
    return instant.astimezone(zone).replace(tzinfo=None, fold=0)


def instant_of(zone: ZoneInfo, wall: datetime) -> datetime:
    """When a clock of the zone first shows the wall time; for one that it leaps over, when it leaps."""
    there = wall.replace(tzinfo=zone, fold=0)
    before, after = _offset(there), _offset(there.replace(fold=1))
    found = (wall - before).replace(tzinfo=UTC)
    if before >= after:
        return found
    return first_change(zone, (wall - after).replace(tzinfo=UTC), found) or found


def first_change(zone: ZoneInfo, start: datetime, end: datetime) -> datetime | None:
    """The instant later than `start`, up to `end`, at which the zone's offset changes, or None.

    The two are at most some days apart, within which a zone changes once at most.
    """
    offset = offset_at(zone, start)
    if offset_at(zone, end) == offset:
        return None
    earlier = start.replace(microsecond=0)  # offsets change at whole seconds
    low, high = 0, (end - earlier) // _SECOND
    while high - low > 1:
        middle = (low + high) // 2
        if offset_at(zone, earlier + middle * _SECOND) == offset:
            low = middle
        else:
            high = middle
    return earlier + high * _SECOND


def offset_at(zone: ZoneInfo, instant: datetime) -> timedelta:
    """How far a clock of the zone is ahead of UTC at the instant."""
    return _offset(instant.astimezone(zone))


def _offset(moment: datetime) -> timedelta:
    return moment.utcoffset() or timedelta()
