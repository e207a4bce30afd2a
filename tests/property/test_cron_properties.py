"""What holds for every schedule at every instant."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from specrunner.core.cron import Schedule, never_fires, next_fire, upcoming
from specrunner.core.crontext import BadCron, pattern_of, plain_cron
from tests.property.cron_oracle import HOUR, MINUTE, Oracle, shown
from tests.property.cron_samples import EXPRESSIONS, TELLING_ZONES

ZONES = st.sampled_from(TELLING_ZONES)
SCHEDULES = st.builds(Schedule, EXPRESSIONS, ZONES)
INSTANTS = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
RECENT = st.datetimes(datetime(2016, 1, 1), datetime(2036, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
ANY = st.datetimes(timezones=st.just(UTC))


@settings(deadline=None)
@given(SCHEDULES, ANY)
def test_every_question_has_an_answer_and_it_is_strictly_later(schedule: Schedule, after: datetime) -> None:
    found = next_fire(schedule, after)
    assert found is None or (found > after and found.tzinfo is UTC)


@settings(deadline=None)
@given(SCHEDULES, INSTANTS, st.timedeltas(timedelta(), timedelta(days=400)))
def test_a_later_question_never_gives_an_earlier_answer(schedule: Schedule, after: datetime, more: timedelta) -> None:
    found, later = next_fire(schedule, after), next_fire(schedule, after + more)
    if found is None:
        assert later is None
    else:
        assert later is None or found <= later
        assert found > after + more or later is None or later > found or more == timedelta()
        # Between a question and its answer every question has that answer.
        assert next_fire(schedule, found - timedelta.resolution) == found


@settings(deadline=None, max_examples=300)
@given(EXPRESSIONS, ZONES, RECENT)
def test_an_answer_fits_the_expression(cron: str, zone: str, after: datetime) -> None:
    found = next_fire(Schedule(cron, zone), after)
    assume(found is not None and found.year < 9000)
    assert found is not None
    minutes, walls = shown(ZoneInfo(zone), found - 30 * HOUR, found)
    assert found in Oracle(cron).fires(minutes, walls)


@settings(deadline=None, max_examples=100)
@given(EXPRESSIONS, ZONES, RECENT)
def test_nothing_that_fits_is_passed_over(cron: str, zone: str, after: datetime) -> None:
    start = after.replace(second=0, microsecond=0)
    minutes, walls = shown(ZoneInfo(zone), start - 30 * HOUR, start + 40 * HOUR)
    expected = [minute for minute in Oracle(cron).fires(minutes, walls) if minute > after]
    found = next_fire(Schedule(cron, zone), after)
    assert found == expected[0] if expected else found is None or found > minutes[-1]


@settings(deadline=None)
@given(SCHEDULES, RECENT, st.integers(0, 20))
def test_a_preview_is_one_question_after_the_other(schedule: Schedule, after: datetime, count: int) -> None:
    expected: list[datetime] = []
    for _ in range(count):
        found = next_fire(schedule, expected[-1] if expected else after)
        if found is None:
            break
        expected.append(found)
    assert upcoming(schedule, after, count) == tuple(expected)


@settings(deadline=None)
@given(SCHEDULES, RECENT, RECENT, RECENT)
def test_a_span_leaves_out_what_lies_outside_and_nothing_else(
    schedule: Schedule, after: datetime, starts: datetime, ends: datetime
) -> None:
    found = next_fire(Schedule(schedule.cron, schedule.timezone, starts, ends), after)
    free = next_fire(schedule, max(after, starts - timedelta.resolution))
    assert found == (None if free is None or free > ends else free)


@given(EXPRESSIONS)
def test_the_plain_form_says_the_same(cron: str) -> None:
    try:
        plain = plain_cron(cron)
    except BadCron:
        assert never_fires(Schedule(cron))
        return
    assert pattern_of(plain) == pattern_of(cron) == pattern_of(f"{{'{cron}'}}") == pattern_of(cron.replace(" ", ", "))
    assert not never_fires(Schedule(cron))


@given(EXPRESSIONS, st.integers(1970, 2100))
def test_a_year_is_a_year_of_the_same_expression(cron: str, year: int) -> None:
    five = [*cron.split()[:4], "*"]
    once = Schedule(f"0 {' '.join(five[:4])} {year}")
    start, end = datetime(year, 1, 1, tzinfo=UTC) - MINUTE, datetime(year + 1, 1, 1, tzinfo=UTC)
    every = next_fire(Schedule(" ".join(five)), start)
    assert next_fire(once, start - timedelta(days=5000)) == (every if every and every < end else None)
    last = once.pattern.last()
    assert (last is None) is never_fires(once)
    if last is not None:
        assert next_fire(once, last.replace(tzinfo=UTC)) is None
        assert next_fire(once, last.replace(tzinfo=UTC) - MINUTE) == last.replace(tzinfo=UTC)
