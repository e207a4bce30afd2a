"""The invented days of this example: their weather, and how many bikes were rented.

Haven is a town that exists nowhere. Bikes follow the weather and the calendar, and a good day is often followed by
another, which is what the model has to find out. Standard library only: a fixed seed gives the same days everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random

FIRST = date(2031, 1, 1)
HOLIDAYS = frozenset({(1, 1), (2, 17), (4, 11), (5, 1)})  # month and day
PERSISTENCE = 0.6  # how much of a day's luck the next one has
NOISE = 110.0  # standard deviation of the luck, in bikes


@dataclass(frozen=True, slots=True)
class Day:
    """One day. Temperature is a share of 40 degrees Celsius, wind speed one of 70 km/h; flags are 0 or 1."""

    date: date
    temp: float
    holiday: int
    workingday: int
    windspeed: float
    bikes: int


def days(seed: int, count: int) -> Iterator[Day]:
    """`count` days from the first of January on; the same for the same seed."""
    rng = Random(seed)
    luck = 0.0
    warmth = 0.0
    for number in range(count):
        when = FIRST + timedelta(days=number)
        warmth = 0.7 * warmth + rng.gauss(0, 0.04)
        luck = PERSISTENCE * luck + rng.gauss(0, NOISE)
        season = 0.32 - 0.16 * math.cos(2 * math.pi * (number - 15) / 365)
        temp = round(min(max(season + warmth, 0.05), 0.95), 4)
        wind = round(min(max(rng.gauss(0.2, 0.07), 0.02), 0.6), 4)
        holiday = int((when.month, when.day) in HOLIDAYS)
        workingday = int(when.weekday() < 5 and not holiday)
        yield Day(when, temp, holiday, workingday, wind, _rented(temp, holiday, workingday, wind, luck))


def _rented(temp: float, holiday: int, workingday: int, wind: float, luck: float) -> int:
    """500, 4,500 for all the warmth there could be, 150 more on working days, fewer on holidays and in the wind."""
    return max(round(500 + 4500 * temp + 150 * workingday - 300 * holiday - 1400 * wind + luck), 20)
