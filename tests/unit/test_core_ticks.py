from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from specrunner.core.due import Due
from specrunner.core.keys import Key
from specrunner.core.lifecycle import Reason, RunState
from specrunner.core.outcome import RunView
from specrunner.core.ticks import CLAIM_GRACE, LONGEST_CLAIM, OpenRun, TaskMemory, claimed_until, is_worn, tick_of

KEY = Key.parse("Task/lab/hourly")
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


def memory(settled: datetime, *open_: OpenRun, **schedule: Any) -> TaskMemory:
    return TaskMemory(KEY, {"schedule": {"cron": "0 * * * *", **schedule}}, settled, open=open_)


def claim(instant: datetime, until: datetime) -> OpenRun:
    return OpenRun(RunView("claim", KEY, RunState.RUNNING, instant, scheduled=instant, started=instant), until)


def test_nothing_is_due_between_two_instants() -> None:
    found = tick_of(memory(NOON), NOON + 59 * MINUTE)
    assert (found.due, found.records) == ((), ())


def test_what_is_due_since_it_was_settled_runs() -> None:
    assert tick_of(memory(NOON - HOUR), NOON + MINUTE).due == (Due(NOON, NOON),)


def test_of_many_missed_instants_the_newest_runs_and_one_record_stands_for_the_others() -> None:
    found = tick_of(memory(NOON - 5 * HOUR), NOON + MINUTE)
    (skip,) = found.records
    assert [due.instant for due in found.due] == [NOON]
    assert (skip.status, skip.first, skip.scheduled) == (RunState.SKIPPED, NOON - 4 * HOUR, NOON - HOUR)


def test_a_run_that_lives_elsewhere_holds_the_next_one_back_as_its_policy_says() -> None:
    live = claim(NOON - HOUR, NOON + HOUR)
    skip = tick_of(memory(NOON - HOUR, live), NOON + MINUTE)
    assert skip.due == () and [run.reason for run in skip.records] == [Reason.SKIPPED_OVERLAP]
    waits = tick_of(memory(NOON - HOUR, live, overlap="buffer-one"), NOON + MINUTE)
    assert (waits.due, waits.records) == ((), ())
    both = tick_of(memory(NOON - HOUR, live, overlap="allow"), NOON + MINUTE)
    assert [due.instant for due in both.due] == [NOON]
    other = tick_of(memory(NOON - HOUR, live, overlap="cancel-other"), NOON + MINUTE)
    assert (other.due, other.records) == ((), ())


def test_a_claim_whose_time_is_over_is_lost_and_the_next_instant_runs() -> None:
    gone = claim(NOON - HOUR, NOON - MINUTE)
    found = tick_of(memory(NOON - HOUR, gone), NOON + MINUTE)
    (lost,) = found.records
    assert (lost.status, lost.reason, lost.ended, lost.id) == (RunState.LOST, Reason.LOST, NOON - MINUTE, "claim")
    assert [due.instant for due in found.due] == [NOON]
    assert tick_of(memory(NOON - HOUR, gone), NOON + 2 * MINUTE).records == found.records, "whoever notices, and when"


def test_nothing_of_a_suspended_task_runs() -> None:
    found = tick_of(memory(NOON - HOUR, suspend=True), NOON + MINUTE)
    assert found.due == () and [run.reason for run in found.records] == [Reason.SKIPPED_SUSPENDED]


@pytest.mark.parametrize(
    ("spec", "lasts"),
    [
        ({}, LONGEST_CLAIM),
        ({"timeout": 600}, timedelta(minutes=10) + CLAIM_GRACE),
        ({"timeout": 600, "retries": {"limit": 2, "backoff": 30}}, timedelta(minutes=31) + CLAIM_GRACE),
    ],
)
def test_a_claim_lasts_as_long_as_all_attempts_of_its_run_may(spec: Any, lasts: timedelta) -> None:
    assert claimed_until(spec, NOON) == NOON + lasts


def test_a_claim_is_worn_when_half_of_its_time_is_over() -> None:
    until = NOON + 2 * HOUR
    assert [is_worn(NOON, until, NOON + gone) for gone in (MINUTE, HOUR - MINUTE, HOUR, 3 * HOUR)] == [
        False,
        False,
        True,
        True,
    ]
