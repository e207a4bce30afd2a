"""Expressions and zones for the properties of schedules."""

from __future__ import annotations

import random
from zoneinfo import available_timezones

from hypothesis import strategies as st

# Those that no clock on a wall has, or that depend on the machine.
ZONES = sorted(available_timezones() - {"Factory", "localtime"})
# All leaps there are: by an hour, by half of one, at midnight, in winter, twice in Ramadan, by three hours, none.
TELLING_ZONES = [
    "UTC",
    "Europe/Berlin",
    "Europe/Dublin",
    "America/New_York",
    "America/Havana",
    "America/Santiago",
    "America/Scoresbysund",
    "America/Asuncion",
    "Africa/Casablanca",
    "Africa/Cairo",
    "Asia/Beirut",
    "Asia/Gaza",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Antarctica/Troll",
    "Antarctica/Casey",
    "Pacific/Chatham",
    "Pacific/Apia",
]


def _field(low: int, high: int) -> st.SearchStrategy[str]:
    number = st.integers(low, high)
    spans = st.tuples(number, number).map(sorted).map(lambda ends: f"{ends[0]}-{ends[1]}")
    steps = st.integers(1, high + 1)
    part = st.one_of(
        number.map(str),
        spans,
        st.tuples(spans, steps).map(lambda pair: f"{pair[0]}/{pair[1]}"),
        st.tuples(number, steps).map(lambda pair: f"{pair[0]}/{pair[1]}"),
    )
    star = st.one_of(st.just("*"), steps.map(lambda step: f"*/{step}"))
    return st.one_of(star, st.just("*"), number.map(str), st.lists(part, min_size=1, max_size=3).map(",".join))


EXPRESSIONS = st.tuples(
    _field(0, 59), _field(0, 23), _field(1, 31), st.one_of(st.just("*"), _field(1, 12)), _field(0, 7)
).map(" ".join)


def expression_near(chance: random.Random, hour: int) -> str:
    """An expression that most likely fires about that hour, on most days; fixed as often as wild."""
    near = [(hour + shift) % 24 for shift in (-3, -2, -1, 0, 1, 2)]
    minute = chance.choice(["*", "*/15", "*/7", "0", "30", "59", "0,15,30,45", "1/20", "10-50/13", "0-59"])
    hours = ",".join(str(one) for one in sorted(chance.sample(near, chance.randint(1, 4))))
    hour_field = chance.choice(["*", "*/2", "*/3", hours, hours, hours, hours, "0-23"])
    day = chance.choice(["*", "*", "*", "*", "1-31/2", "*/2"])
    weekday = chance.choice(["*", "*", "*", "*", "SUN", "5-7"])
    return f"{minute} {hour_field} {day} * {weekday}"
