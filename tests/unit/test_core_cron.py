"""When schedules fire: forms, days, clocks that leap, ends of the calendar."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from specrunner.core.cron import Schedule, never_fires, next_fire, upcoming
from specrunner.core.crontext import BadCron, Fault, plain_cron

SEEDS = Path(__file__).parents[3] / "shared" / "seeds"
BERLIN = "Europe/Berlin"


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def fires(cron: str, after: str, count: int = 3, zone: str = "UTC") -> list[str]:
    """The next instants, as people write them in UTC."""
    return [f"{moment:%Y-%m-%d %H:%M}" for moment in upcoming(Schedule(cron, zone), at(after), count)]


@pytest.mark.parametrize(
    ("cron", "expected"),
    [
        ("42 * * * *", ["2026-01-31 23:42", "2026-02-01 00:42", "2026-02-01 01:42"]),
        ("*/1, *, *, *, *", ["2026-01-31 23:01", "2026-01-31 23:02", "2026-01-31 23:03"]),
        ("{'42 * * * *'}", ["2026-01-31 23:42", "2026-02-01 00:42", "2026-02-01 01:42"]),
        ("00 1 * * 0", ["2026-02-01 01:00", "2026-02-08 01:00", "2026-02-15 01:00"]),
        ("0 1 * * 7", ["2026-02-01 01:00", "2026-02-08 01:00", "2026-02-15 01:00"]),
        ("@hourly", ["2026-02-01 00:00", "2026-02-01 01:00", "2026-02-01 02:00"]),
        ("@weekly", ["2026-02-01 00:00", "2026-02-08 00:00", "2026-02-15 00:00"]),
        ("@yearly", ["2027-01-01 00:00", "2028-01-01 00:00", "2029-01-01 00:00"]),
        ("0 9 * * MON-FRI", ["2026-02-02 09:00", "2026-02-03 09:00", "2026-02-04 09:00"]),
        ("0 0 1 jan,Jul ?", ["2026-07-01 00:00", "2027-01-01 00:00", "2027-07-01 00:00"]),
        ("5/20 22-23 * * *", ["2026-01-31 23:05", "2026-01-31 23:25", "2026-01-31 23:45"]),
        ("0 0 31 * *", ["2026-03-31 00:00", "2026-05-31 00:00", "2026-07-31 00:00"]),
        ("0 0 29 2 *", ["2028-02-29 00:00", "2032-02-29 00:00", "2036-02-29 00:00"]),
        ("0 0 12 1-15 2 *", ["2026-02-01 12:00", "2026-02-02 12:00", "2026-02-03 12:00"]),
        ("0 0 12 14-15 2 2027", ["2027-02-14 12:00", "2027-02-15 12:00"]),
        ("0 0 12 14-15 2 2024", []),
    ],
)
def test_every_form_fires_when_it_says(cron: str, expected: list[str]) -> None:
    assert fires(cron, "2026-01-31T23:00:30") == expected


def printed_in_the_seeds() -> set[str]:
    written = re.compile(r"""schedule['"]?\s*[:=]\s*(\{?['"][^'"\n]*['"]\}?)""")
    texts = [path.read_text(encoding="utf-8") for path in sorted(SEEDS.glob("*.txt"))]
    found = {match for text in texts for match in written.findall(text)}
    return {text if text.startswith("{") else text[1:-1] for text in found if "*" in text or re.search(r"\d ", text)}


@pytest.mark.skipif(not SEEDS.is_dir(), reason="the seeds are not here")
def test_every_schedule_that_the_seeds_print_is_read() -> None:
    found = printed_in_the_seeds()
    assert {"42 * * * *", "*/5 * * * *"} <= {plain_cron(text) for text in found}
    for text in found:
        assert not never_fires(Schedule(text)), text


def test_the_next_instant_is_strictly_later() -> None:
    daily = Schedule("0 2 * * *")
    assert next_fire(daily, at("2026-05-01T02:00")) == at("2026-05-02T02:00")
    assert next_fire(daily, at("2026-05-01T01:59:59.999999")) == at("2026-05-01T02:00")


def test_instants_are_in_utc_wherever_the_question_comes_from() -> None:
    there = datetime(2026, 5, 1, 12, tzinfo=timezone(timedelta(hours=9)))
    found = next_fire(Schedule("0 12 * * *", BERLIN), there)
    assert found == at("2026-05-01T10:00") and found.tzinfo is UTC


def test_a_naive_question_is_refused() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        next_fire(Schedule("0 2 * * *"), datetime(2026, 5, 1))  # noqa: DTZ001 - that is the point


def test_two_restricted_fields_of_days_are_met_by_either() -> None:
    assert fires("0 0 13 * 5", "2026-02-01T00:00", 4) == [
        "2026-02-06 00:00",
        "2026-02-13 00:00",
        "2026-02-20 00:00",
        "2026-02-27 00:00",
    ]
    assert fires("0 0 30 2 1", "2026-02-03T00:00", 1) == ["2026-02-09 00:00"]


def test_a_field_of_days_that_begins_with_a_star_must_be_met_too() -> None:
    assert fires("0 0 */10 * 5", "2026-01-01T00:00") == ["2026-05-01 00:00", "2026-07-31 00:00", "2026-08-21 00:00"]


def test_a_rare_day_is_found_across_a_century_that_is_no_leap_year() -> None:
    assert fires("0 0 29 2 *", "2095-01-01T00:00", 2) == ["2096-02-29 00:00", "2104-02-29 00:00"]
    assert fires("0 0 29 2 *", "1999-01-01T00:00", 1) == ["2000-02-29 00:00"]
    assert fires("0 0 29 2 */7", "2089-01-01T00:00", 2) == ["2128-02-29 00:00", "2156-02-29 00:00"]


@pytest.mark.parametrize("cron", ["30 2 * * *", "0,30 2 * * *", "0-59 2 * * *", "0 2,3 * * *"])
def test_a_fixed_time_in_the_gap_fires_once_right_after_it(cron: str) -> None:
    found = fires(cron, "2026-03-28T12:00", 300, BERLIN)
    assert found[0] == "2026-03-29 01:00"  # 03:00 in Berlin
    assert found[1] >= "2026-03-30"


def test_a_fixed_time_in_the_repeated_hour_fires_once() -> None:
    assert fires("30 2 * * *", "2026-10-24T12:00", 2, BERLIN) == ["2026-10-25 00:30", "2026-10-26 01:30"]
    assert fires("15,45 2 25 10 *", "2026-10-24T12:00", 3, BERLIN)[:2] == ["2026-10-25 00:15", "2026-10-25 00:45"]


def test_a_question_from_the_second_pass_of_a_repeated_hour_is_not_answered_with_the_past() -> None:
    assert fires("30 2 * * *", "2026-10-25T01:10", 1, BERLIN) == ["2026-10-26 01:30"]
    assert fires("30 2,3 * * *", "2026-10-25T01:10", 1, BERLIN) == ["2026-10-25 02:30"]


def test_wildcard_hours_go_by_elapsed_time() -> None:
    assert fires("0 */2 * * *", "2026-03-28T22:30", 3, BERLIN) == [
        "2026-03-28 23:00",  # 00:00
        "2026-03-29 02:00",  # 04:00: there was no 02:00, and 03:00 does not stand for it
        "2026-03-29 04:00",  # 06:00
    ]
    assert fires("30 * * * *", "2026-10-24T23:45", 3, BERLIN) == [
        "2026-10-25 00:30",
        "2026-10-25 01:30",
        "2026-10-25 02:30",
    ]


def test_a_wildcard_minute_fires_in_both_passes_of_its_hour_and_not_without_its_hour() -> None:
    assert fires("*/30 2 * * *", "2026-10-24T22:00", 4, BERLIN) == [
        "2026-10-25 00:00",
        "2026-10-25 00:30",
        "2026-10-25 01:00",
        "2026-10-25 01:30",
    ]
    assert fires("*/30 2 * * *", "2026-03-28T12:00", 1, BERLIN) == ["2026-03-30 00:00"]


def test_half_an_hour_is_a_leap_too() -> None:
    lord_howe = "Australia/Lord_Howe"  # 02:00 to 02:30 in October, back in April
    assert fires("15 2 * * *", "2026-10-03T00:00", 2, lord_howe) == ["2026-10-03 15:30", "2026-10-04 15:15"]
    assert fires("45 1 * * *", "2026-04-04T00:00", 2, lord_howe) == ["2026-04-04 14:45", "2026-04-05 15:15"]


def test_a_day_that_a_country_left_out_fires_when_it_was_left_out() -> None:
    # Samoa had no 30 December 2011.
    assert fires("0 12 * * *", "2011-12-29T00:00", 3, "Pacific/Apia") == [
        "2011-12-29 22:00",
        "2011-12-30 10:00",
        "2011-12-30 22:00",
    ]
    assert fires("*/20 12 30 12 *", "2011-12-29T00:00", 1, "Pacific/Apia") == ["2012-12-29 22:00"]


def test_a_leap_of_three_hours_is_no_correction_of_the_clock() -> None:
    # Casey went back from 04:00 to 01:00 on 11 March 2018.
    assert fires("0 3 * * *", "2018-03-10T12:00", 2, "Antarctica/Casey") == ["2018-03-10 16:00", "2018-03-11 19:00"]


def test_a_schedule_keeps_to_its_span_both_ends_included() -> None:
    daily = Schedule("0 2 * * *", "UTC", at("2026-05-02T02:00"), at("2026-05-03T02:00"))
    assert upcoming(daily, at("2020-01-01T00:00"), 9) == (at("2026-05-02T02:00"), at("2026-05-03T02:00"))
    assert next_fire(daily, at("2026-05-02T02:00")) == at("2026-05-03T02:00")
    assert next_fire(daily, at("2026-05-03T02:00")) is None


def test_a_schedule_is_read_from_a_task() -> None:
    spec = {
        "cron": "0 0 * * *",
        "timezone": BERLIN,
        "overlap": "skip",
        "from": "2026-06-30T22:00:00Z",
        "until": "2026-07-31T22:00:00Z",
    }
    assert Schedule.of(spec) == Schedule("0 0 * * *", BERLIN, at("2026-06-30T22:00"), at("2026-07-31T22:00"))
    assert Schedule.of({"cron": "@daily"}) == Schedule("@daily") == Schedule.of("@daily")


@pytest.mark.parametrize(
    "spec",
    [
        {"cron": "61 * * * *"},
        {"cron": "@daily", "timezone": "Europe/Belrin"},
        {"cron": "@daily", "timezone": "Europe/" * 100_000},
        {"cron": "@daily", "from": "2026-02-30T00:00:00Z"},
        {"cron": "@daily", "until": "2026-02-01T00:00:00"},
        "x",
        {"timezone": "UTC"},
        None,
    ],
)
def test_what_is_no_schedule_is_refused_when_it_is_made(spec: dict[str, str] | str | None) -> None:
    with pytest.raises(ValueError, match=r"is no minute|no time zone|day is out|five|has none"):
        Schedule.of(spec)


@pytest.mark.parametrize(
    "schedule",
    [
        Schedule("0 0 30 2 *"),
        Schedule("0 0 0 29 2 2023"),
        Schedule("0 0 30 2 */2"),
        Schedule("0 2 1 1 *", starts=at("2026-01-02T00:00"), ends=at("2026-12-31T00:00")),
        Schedule("0 * 2 29 3 2026", BERLIN),  # only in the hour that is leapt over
        Schedule("0 2 * * *", starts=at("2026-01-02T00:00"), ends=at("2026-01-01T00:00")),
    ],
)
def test_what_never_fires_is_known_without_a_clock(schedule: Schedule) -> None:
    assert never_fires(schedule)
    assert next_fire(schedule, at("2020-01-01T00:00")) is None


def test_what_fits_nothing_but_gaps_has_no_next_instant() -> None:
    # 02:00 to 02:59 on the last Sundays of March: exactly the hours that Berlin leaps over.
    assert next_fire(Schedule("* 2 25-31 3 */7", BERLIN), at("2026-01-01T00:00")) is None


@pytest.mark.parametrize("cron", ["0 0 12 1-15 2 2024", "0 0 29 2 *", "0 0 30 2 1", "0 30 2 29 3 2026"])
def test_what_fired_once_does_not_count_as_never(cron: str) -> None:
    assert not never_fires(Schedule(cron, BERLIN))


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago"])
@pytest.mark.parametrize("cron", ["* * * * *", "0 0 * * *", "0 0 31 12 *", "* * 29 2 *"])
def test_the_ends_of_the_calendar_are_no_errors(cron: str, zone: str) -> None:
    schedule = Schedule(cron, zone)
    first = next_fire(schedule, datetime.min.replace(tzinfo=UTC))
    assert first is not None and first.year <= 4
    assert next_fire(schedule, datetime.max.replace(tzinfo=UTC)) is None
    assert len(upcoming(schedule, datetime(9998, 12, 30, tzinfo=UTC), 5000)) < 5000
    forever = Schedule(cron, zone, datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))
    assert next_fire(forever, at("2026-01-01T00:00")) == next_fire(schedule, at("2026-01-01T00:00"))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("* * * *", Fault.COUNT),
        ("@dialy", Fault.MACRO),
        ("60 * * * *", Fault.PART),
        ("* * L * *", Fault.PART),
        ("* * * * 5#2", Fault.PART),
        (f"{'9' * 5000} * * * *", Fault.PART),
        (f"*/{'9' * 5000} * * * *", Fault.PART),
        ("*/0 * * * *", Fault.STEP),
        ("5-1 * * * *", Fault.BACKWARDS),
        ("5 0 2 * * 1", Fault.SECONDS),
        ("5 0 2 1 1 2026", Fault.SECONDS),
        ("0 0 31 4 *", Fault.NO_DAY),
        ("0 0 0 1 1 0000", Fault.NO_YEAR),
        ("0 0 0 1 1 9999", Fault.NO_YEAR),
    ],
)
def test_a_bad_expression_says_which_mistake_it_is(text: str, fault: Fault) -> None:
    with pytest.raises(BadCron) as caught:
        plain_cron(text)
    assert caught.value.fault is fault


def test_a_range_that_runs_backwards_comes_with_two_that_do_not() -> None:
    with pytest.raises(BadCron) as caught:
        plain_cron("0 22-3 * * *")
    assert caught.value.instead == ("3-22", "22-23,0-3")
