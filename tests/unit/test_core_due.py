from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from specrunner.core.due import (
    MAX_CAUGHT_UP,
    CatchUp,
    Passed,
    Timing,
    arrivals,
    effective_since,
    is_ahead,
    last_fire,
    superseded,
)
from specrunner.core.lifecycle import Reason
from specrunner.core.overlap import Overlap, Rules

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-05-{text}").replace(tzinfo=UTC)


def timing(cron: str, key: str = "Task/w/t", suspended: bool = False, **spec: Any) -> Timing:
    return Timing.of(key, {"cron": cron, **spec}, suspended)


def runs(of: Timing, since: str, now: str) -> list[str]:
    return [f"{due.instant:%d %H:%M}" for due in arrivals(of, at(since), at(now)).due]


def passed(of: Timing, since: str, now: str) -> list[str]:
    found = arrivals(of, at(since), at(now)).passed
    return [f"{one.first:%d %H:%M} to {one.last:%d %H:%M} {one.reason}" for one in found]


def test_a_spec_in_full_is_read_as_it_stands() -> None:
    spec: dict[str, Any] = {
        "overlap": "buffer-one",
        "catchUp": "all",
        "startingDeadline": 600,
        "jitter": 30,
        "suspend": True,
    }
    found = timing("0 2 * * *", **spec, until="2026-05-03T00:00:00Z")
    assert found.rules == Rules(Overlap.BUFFER_ONE, 10 * MINUTE, suspended=True)
    assert (found.catch_up, found.jitter, found.ends) == (CatchUp.ALL, MINUTE / 2, at("03T00:00"))


def test_a_short_spec_has_the_defaults_of_the_language() -> None:
    found = timing("0 2 * * *")
    assert (found.rules, found.catch_up, found.jitter) == (Rules(), CatchUp.LATEST, timedelta(0))
    assert found.rules == Rules(Overlap.SKIP, HOUR, suspended=False)


def test_a_command_suspends_what_the_spec_does_not() -> None:
    assert timing("0 2 * * *", suspended=True).rules.suspended


def test_a_deadline_of_any_length_can_be_counted_with() -> None:
    found = timing("0 2 * * *", startingDeadline=10**15, jitter=10**15)
    assert arrivals(found, at("01T00:00"), at("02T12:00")).due
    assert at("01T00:00") + found.rules.deadline > at("01T00:00")


def test_nothing_is_due_before_the_first_instant_which_is_announced() -> None:
    found = arrivals(timing("0 2 * * *"), at("01T02:00"), at("02T01:59:59"))
    assert (found.due, found.passed, found.settled) == ((), (), None)
    assert found.next is not None
    assert found.next.at == at("02T02:00")


def test_an_instant_is_due_in_its_own_moment() -> None:
    assert runs(timing("0 2 * * *"), "01T02:00", "02T02:00") == ["02 02:00"]


def test_latest_makes_up_for_the_newest_and_passes_over_the_rest_in_one_record() -> None:
    hourly = timing("0 * * * *")
    assert runs(hourly, "01T00:00", "05T10:30") == ["05 10:00"]
    assert passed(hourly, "01T00:00", "05T10:30") == ["01 01:00 to 05 09:00 skipped_deadline"]


def test_latest_makes_up_for_nothing_past_the_deadline() -> None:
    daily = timing("0 2 * * *")
    assert runs(daily, "01T02:00", "02T03:00") == ["02 02:00"]
    assert runs(daily, "01T02:00", "02T03:00:01") == []
    assert passed(daily, "01T02:00", "02T03:00:01") == ["02 02:00 to 02 02:00 skipped_deadline"]


def test_all_makes_up_for_all_within_the_deadline() -> None:
    quarterly = timing("*/15 * * * *", catchUp="all")
    assert runs(quarterly, "01T00:00", "01T12:05") == ["01 11:15", "01 11:30", "01 11:45", "01 12:00"]
    assert passed(quarterly, "01T00:00", "01T12:05") == ["01 00:15 to 01 11:00 skipped_deadline"]


def test_all_is_bounded_by_a_number_too_and_keeps_the_newest() -> None:
    found = arrivals(timing("* * * * *", catchUp="all", startingDeadline=30 * 86400), at("01T00:00"), at("03T00:00"))
    assert len(found.due) == MAX_CAUGHT_UP
    assert found.due[-1].instant == at("03T00:00")
    assert found.passed[0].last == found.due[0].instant - MINUTE
    assert str(MAX_CAUGHT_UP) in found.passed[0].detail


def test_none_makes_up_for_nothing_but_runs_what_is_due_this_minute() -> None:
    daily = timing("0 2 * * *", catchUp="none")
    assert runs(daily, "01T02:00", "02T02:01") == ["02 02:00"]
    assert runs(daily, "01T02:00", "02T02:01:01") == []
    assert passed(daily, "01T02:00", "02T02:01:01") == ["02 02:00 to 02 02:00 skipped_deadline"]


def test_a_suspended_schedule_leaves_a_record_of_what_it_did_not_run() -> None:
    hourly = timing("0 * * * *", suspend=True)
    assert runs(hourly, "01T00:00", "01T03:30") == []
    assert passed(hourly, "01T00:00", "01T03:30") == ["01 01:00 to 01 03:00 skipped_suspended"]


def test_nothing_is_due_before_from_nor_after_until() -> None:
    spec: dict[str, Any] = {"from": "2026-05-02T00:00:00Z", "until": "2026-05-02T01:30:00Z"}
    hourly = timing("0 * * * *", catchUp="all", startingDeadline=7 * 86400, **spec)
    assert runs(hourly, "01T00:00", "04T00:00") == ["02 00:00", "02 01:00"]
    assert arrivals(hourly, at("01T00:00"), at("04T00:00")).next is None


def test_a_year_away_costs_no_more_than_some_questions() -> None:
    minutely, asked = timing("* * * * *"), 0

    def counting(after: datetime) -> datetime | None:
        nonlocal asked
        asked += 1
        return minutely.fire(after)

    found = arrivals(replace(minutely, fire=counting), at("01T00:00"), at("01T00:00") + 365 * DAY)
    assert found.due[0].instant == at("01T00:00") + 365 * DAY
    assert asked < 30


@pytest.mark.parametrize("now", ["01T02:00", "07T01:59", "07T02:00", "20T12:00"])
def test_the_last_instant_of_a_schedule_with_long_gaps_is_found(now: str) -> None:
    bursts = timing("0-59 2 7,14 * *").fire
    found = last_fire(bursts, at("01T00:00"), at(now))
    expected = {"01T02:00": None, "07T01:59": None, "07T02:00": at("07T02:00"), "20T12:00": at("14T02:59")}[now]
    assert found == expected


def test_jitter_is_the_same_every_time_and_differs_between_tasks_and_instants() -> None:
    one, other = timing("0 * * * *", jitter=600), timing("0 * * * *", key="Task/w/u", jitter=600)
    spread = {
        one.due(at(f"01T{hour:02}:00")).at.minute * 60 + one.due(at(f"01T{hour:02}:00")).at.second for hour in range(24)
    }
    assert len(spread) > 12
    assert max(spread) < 600
    assert one.due(at("01T00:00")) == timing("0 * * * *", jitter=600).due(at("01T00:00"))
    assert one.due(at("01T00:00")) != other.due(at("01T00:00"))


def test_jitter_stays_before_the_next_instant_and_within_until() -> None:
    wide = timing("* * * * *", jitter=86400, until="2026-05-01T12:00:30Z")
    for minute in range(60):
        due = wide.due(at(f"01T11:{minute:02}"))
        assert due.instant <= due.at < due.instant + MINUTE
    assert wide.due(at("01T12:00")).at <= at("01T12:00:30")


def test_what_jitter_holds_back_is_not_due_yet() -> None:
    late = timing("0 * * * *", jitter=3500)
    due = late.due(at("01T05:00"))
    assert due.at > due.instant
    before = arrivals(late, at("01T04:00"), due.at - timedelta.resolution)
    assert (before.due, before.next) == ((), due)
    assert arrivals(late, at("01T04:00"), due.at).due == (due,)


def test_a_change_passes_over_what_was_due_and_not_yet_claimed() -> None:
    hourly = timing("0 * * * *")
    found = superseded(hourly, at("01T00:00"), at("01T02:30"))
    detail = "its task was changed before it started"
    assert found == Passed(at("01T01:00"), at("01T02:00"), Reason.SKIPPED_DEADLINE, detail)
    assert superseded(hourly, at("01T02:00"), at("01T02:30")) is None


def test_a_resume_says_that_what_it_passes_over_was_suspended() -> None:
    found = superseded(timing("0 * * * *", suspend=True), at("01T00:00"), at("01T02:30"))
    assert found == Passed(at("01T01:00"), at("01T02:00"), Reason.SKIPPED_SUSPENDED)


def test_a_changed_schedule_counts_from_now() -> None:
    old, new = timing("0 * * * *"), timing("30 * * * *")
    assert effective_since(old, new, at("01T00:00"), at("01T02:45")) == at("01T02:45")
    assert effective_since(None, new, at("01T00:00"), at("01T02:45")) == at("01T02:45")


def test_an_instant_that_jitter_holds_back_survives_a_change_of_something_else() -> None:
    late = timing("0 * * * *", jitter=3500)
    now = at("01T05:00:01")
    since = effective_since(late, replace(late, rules=Rules(Overlap.ALLOW)), at("01T04:00"), now)
    assert arrivals(late, since, late.due(at("01T05:00")).at).due == (late.due(at("01T05:00")),)
    assert effective_since(late, timing("30 * * * *", jitter=3500), at("01T04:00"), now) == now
    assert effective_since(late, timing("0 * * * *"), at("01T04:00"), now) == now


def test_only_a_clock_that_was_a_day_ahead_rewinds_a_schedule() -> None:
    now = at("01T00:00")
    assert not is_ahead(now + DAY, now)
    assert is_ahead(now + DAY + timedelta.resolution, now)
