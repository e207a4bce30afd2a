"""Every leap of every clock in ten years, minute by minute, and against another reading of cron."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim

from specrunner.core.cron import Schedule, next_fire
from tests.conftest import Soak
from tests.property.cron_oracle import HOUR, MINUTE, Oracle, leaps, shown
from tests.property.cron_samples import ZONES, expression_near

START, END = datetime(2017, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
AROUND = 28 * HOUR


def test_every_leap_of_every_clock_is_met_as_the_policy_says(soak: Soak) -> None:
    chance = random.Random(soak.seed)
    count = 0
    for zone, leap in _leaps(soak, chance, zones=25):
        minutes, walls = shown(zone, leap - AROUND, leap + AROUND)
        for _ in range(6):
            cron = expression_near(chance, leap.astimezone(zone).hour)
            expected = Oracle(cron).fires(minutes, walls)
            assert _fires(Schedule(cron, zone.key), minutes[0], minutes[-1]) == expected, (zone.key, cron, leap)
            count += len(expected)
    assert count > 1000


def test_another_reading_of_cron_agrees(soak: Soak) -> None:
    chance = random.Random(soak.seed)
    count = 0
    for zone, leap in _leaps(soak, chance, zones=25):
        for _ in range(3):
            cron = expression_near(chance, leap.astimezone(zone).hour)
            if Oracle(cron).is_wild and not _is_simple(zone, leap):
                continue
            start, end = leap - AROUND, leap + AROUND
            found = _fires(Schedule(cron, zone.key), start, end)
            assert found == _other(cron, zone, start, end), (zone.key, cron, leap)
            count += len(found)
    assert count > 500


def _is_simple(zone: ZoneInfo, leap: datetime) -> bool:
    """Whether the other reading knows how wildcards go on there.

    cronsim 2.8 lets a day begin at a midnight that was leapt over, and goes round in circles for ever where a clock
    leaps within an hour, as on Chatham. The oracle judges those.
    """
    before = (leap - MINUTE).astimezone(zone).replace(tzinfo=None) + MINUTE
    after = leap.astimezone(zone).replace(tzinfo=None)
    return before.minute == after.minute == 0 and before.date() == after.date() and 0 not in {before.hour, after.hour}


def _leaps(soak: Soak, chance: random.Random, zones: int) -> Iterator[tuple[ZoneInfo, datetime]]:
    """Of all zones every leap, or of some zones some."""
    for name in ZONES if soak.is_full else chance.sample(ZONES, zones):
        zone = ZoneInfo(name)
        if soak.is_full:
            yield from ((zone, leap) for leap in leaps(zone, START, END))
        else:
            year = START + timedelta(days=chance.randrange(9 * 365))
            yield from ((zone, leap) for leap in leaps(zone, year, year + timedelta(days=365)))


def _fires(schedule: Schedule, start: datetime, end: datetime) -> list[datetime]:
    found: list[datetime] = []
    moment = next_fire(schedule, start)
    while moment is not None and moment <= end:
        found.append(moment)
        moment = next_fire(schedule, moment)
    return found


def _other(cron: str, zone: ZoneInfo, start: datetime, end: datetime) -> list[datetime]:
    found: list[datetime] = []
    for local in CronSim(cron, start.astimezone(zone)):
        moment = local.astimezone(UTC)
        if moment > end or (found and moment < found[-1]):
            break
        # It tells each time of a gap, we the instant they all fall on.
        if moment not in found:
            found.append(moment)
    return found
