"""The synthetic houses of this example: what they look like and what they cost.

Every number is invented. Haven is a small town that exists nowhere: its coordinates lie in the open North Sea, so
that no real house, street or sale can be meant. A house belongs to a neighbourhood, takes after it, and its price
follows the formula in `fair_price`, times a little noise.

Standard library only: `random.Random` with a fixed seed gives the same houses on every machine.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import astuple, dataclass, fields
from random import Random

HARBOUR = (56.0, 3.0)  # latitude and longitude of the town's centre, in degrees
KILOMETRES_PER_DEGREE = 111.2  # of latitude; a degree of longitude is shorter by the cosine of the latitude
NOISE = 0.06  # standard deviation of the logarithm of a price around the formula


@dataclass(frozen=True, slots=True)
class House:
    """One house. The fields, in this order, are the 18 features that the model sees."""

    bedrooms: float  # rooms to sleep in, 1 to 7
    bathrooms: float  # in quarters: a quarter for each of toilet, basin, shower, bath
    living_area: float  # square metres to live in, above and below ground
    lot_area: float  # square metres of the plot
    floors: float  # above ground, in halves; a half is an attic
    waterfront: float  # 1 where the plot touches the water, else 0
    view: float  # 0 (none) to 4 (over the whole bay)
    condition: float  # 1 (to be gutted) to 5 (as new)
    grade: float  # quality of design and building, 3 (hut) to 12 (mansion)
    area_above: float  # square metres of living area above ground
    area_below: float  # square metres of living area below ground; 0 without a basement
    latitude: float  # degrees north
    longitude: float  # degrees east
    neighbours_living_area: float  # square metres, mean of the houses around
    neighbours_lot_area: float  # square metres, mean of the plots around
    age: float  # years since it was built
    renovated: float  # 1 where it was renovated, else 0
    years_since_renovation: float  # 0 where it never was


FEATURES = tuple(field.name for field in fields(House))


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """What the houses of one part of town have in common; areas in square metres, `spread` in degrees."""

    name: str
    latitude: float
    longitude: float
    spread: float
    living_area: float
    lot_area: float
    grade: float
    age: float
    shore: float  # the share of its plots that touch the water


NEIGHBOURHOODS = (
    Neighbourhood("Harbour", 56.000, 3.000, 0.008, 105, 210, 7.0, 85, 0.03),
    Neighbourhood("Old Town", 56.010, 3.020, 0.010, 120, 260, 7.5, 95, 0.00),
    Neighbourhood("Bay View", 55.985, 2.960, 0.012, 190, 780, 9.0, 30, 0.12),
    Neighbourhood("Mill Lane", 56.040, 3.050, 0.015, 140, 520, 7.0, 45, 0.00),
    Neighbourhood("New Fields", 56.075, 3.095, 0.018, 165, 480, 8.0, 8, 0.00),
    Neighbourhood("Farms", 56.110, 2.930, 0.030, 180, 2600, 6.5, 60, 0.01),
)


def houses(seed: int, count: int) -> Iterator[tuple[House, float]]:
    """`count` houses, each with what it was sold for; the same for the same seed."""
    rng = Random(seed)
    for _ in range(count):
        house = _build(rng, rng.choice(NEIGHBOURHOODS))
        yield house, round(fair_price(house) * math.exp(rng.gauss(0, NOISE)), -2)


def features(house: House) -> tuple[float, ...]:
    """The features of a house in the order of `FEATURES`."""
    return astuple(house)


def fair_price(house: House) -> float:
    """The price of a house without noise, in crowns.

    Area times 2,400 a square metre (a basement counts half) and 60 a square metre of plot, up to 1,500 of them,
    is the worth of the walls and the ground. Grade, condition, age and place multiply it; bathrooms, view and
    water are paid on top.
    """
    walls = 2400 * (house.area_above + 0.5 * house.area_below)
    ground = 60 * min(house.lot_area, 1500)
    quality = math.pow(1.13, house.grade - 7) * (0.85 + 0.05 * house.condition)
    extras = 9_000 * house.bathrooms + 22_000 * house.view + 180_000 * house.waterfront
    return (walls * quality * _wear(house) + ground) * _place(house) + extras


def _wear(house: House) -> float:
    """What time takes: 0.4 % of the walls a year, 30 % at most; a renovation starts the count anew."""
    years = house.years_since_renovation if house.renovated else house.age
    return 1 - min(0.004 * years, 0.30)


def _place(house: House) -> float:
    """1.5 at the harbour, falling towards 0.8 with every kilometre, more where the houses around are large."""
    north = (house.latitude - HARBOUR[0]) * KILOMETRES_PER_DEGREE
    east = (house.longitude - HARBOUR[1]) * KILOMETRES_PER_DEGREE * math.cos(math.radians(HARBOUR[0]))
    return 0.8 + 0.7 * math.exp(-math.hypot(north, east) / 6) + (house.neighbours_living_area - 140) / 1000


def _build(rng: Random, place: Neighbourhood) -> House:
    """One house that takes after its neighbourhood."""
    living = _around(rng, place.living_area, 0.28, low=45, high=520)
    below = round(living * rng.uniform(0.15, 0.4)) if rng.random() < 0.35 else 0
    age = round(_clamp(rng.gauss(place.age, 15), 0, 130))
    renovated = age > 20 and rng.random() < 0.25
    waterfront = rng.random() < place.shore
    return House(
        bedrooms=_clamp(round(living / 45 + rng.gauss(0, 0.7)), 1, 7),
        bathrooms=_clamp(round(4 * (living / 80 + rng.gauss(0, 0.3))) / 4, 0.75, 5),
        living_area=living,
        lot_area=_around(rng, place.lot_area, 0.45, low=60, high=12_000),
        floors=_clamp(round(2 * (living - below) / 75) / 2, 1, 3),
        waterfront=float(waterfront),
        view=float(rng.randint(2, 4) if waterfront else rng.choices(range(5), (80, 8, 6, 4, 2))[0]),
        condition=float(rng.choices(range(1, 6), (2, 6, 52, 28, 12))[0]),
        grade=_clamp(round(place.grade + (living / place.living_area - 1) + rng.gauss(0, 0.8)), 3, 12),
        area_above=living - below,
        area_below=float(below),
        latitude=round(rng.gauss(place.latitude, place.spread), 4),
        longitude=round(rng.gauss(place.longitude, place.spread), 4),
        neighbours_living_area=_around(rng, place.living_area, 0.07, low=45, high=520),
        neighbours_lot_area=_around(rng, place.lot_area, 0.12, low=60, high=12_000),
        age=float(age),
        renovated=float(renovated),
        years_since_renovation=float(rng.randint(0, min(age, 30)) if renovated else 0),
    )


def _around(rng: Random, typical: float, spread: float, low: float, high: float) -> float:
    """A whole number of square metres near `typical`, skewed to the right as areas are."""
    return _clamp(round(typical * math.exp(rng.gauss(0, spread))), low, high)


def _clamp(value: float, low: float, high: float) -> float:
    return float(min(max(value, low), high))
