from __future__ import annotations

from datetime import UTC, datetime, timedelta

from specrunner.core.lifecycle import RunState
from specrunner.core.services import LONGEST_PAUSE, Life, crashes, next_start

NOW = datetime(2026, 3, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def life(lived: float | None = 1, state: RunState = RunState.FAILURE) -> Life:
    return Life(state, None if lived is None else NOW - lived * SECOND, NOW)


def pause(*newest_first: Life) -> timedelta:
    start = next_start(list(newest_first))
    return timedelta(0) if start is None else start - NOW


def test_a_service_that_never_ran_or_was_killed_starts_at_once() -> None:
    assert pause() == pause(life(state=RunState.KILLED), life(), life()) == timedelta(0)


def test_the_pause_doubles_with_every_crash_up_to_five_minutes() -> None:
    assert [pause(*[life()] * count) / SECOND for count in range(1, 6)] == [1, 2, 4, 8, 16]
    assert pause(*[life()] * 12) == LONGEST_PAUSE == 300 * SECOND


def test_what_lived_a_minute_begins_to_count_anew() -> None:
    assert pause(life(60), life(), life(), life()) == SECOND
    assert pause(life(59), life(60), life()) == SECOND
    assert pause(life(59), life(59), life(60)) == 2 * SECOND


def test_what_never_came_to_a_start_and_what_ended_well_at_once_are_crashes_too() -> None:
    assert crashes([life(None), life(1, RunState.SUCCESS), life(1, RunState.LOST), life(1, RunState.KILLED)]) == 3
