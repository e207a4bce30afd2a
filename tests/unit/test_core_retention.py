from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from specrunner.core.lifecycle import RunState
from specrunner.core.retention import History, Kept, Outcome, expired, outcome_of

BEGIN = datetime(2026, 5, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
LATER = BEGIN + 200 * MINUTE  # when nothing here has ended only now


def run(number: int, state: RunState = RunState.SUCCESS, intent: str | None = None, **more: datetime) -> Kept:
    """A run that was made in that minute and ended in the next."""
    made = BEGIN + number * MINUTE
    return Kept(f"r{number}", state, made, made + MINUTE if state.ended else None, intent=intent, **more)


def names(found: frozenset[str]) -> str:
    return " ".join(sorted(found))


def test_of_each_outcome_the_newest_stay() -> None:
    good = [run(number) for number in range(5)]
    bad = [run(number, RunState.FAILURE) for number in range(5, 9)]
    found = expired([*good, *bad], History(succeeded=3, failed=1), LATER)
    assert names(found.records) == names(found.folders) == "r0 r1 r5 r6 r7"


def test_ten_of_each_stay_unless_told_otherwise() -> None:
    runs = [run(number) for number in range(12)] + [run(number, RunState.LOST) for number in range(12, 23)]
    assert names(expired(runs, History(), LATER).records) == "r0 r1 r12"


def test_many_skips_push_out_no_failure() -> None:
    runs = [run(0, RunState.FAILURE), *(run(number, RunState.SKIPPED) for number in range(1, 30))]
    found = expired(runs, History(failed=10), LATER)
    assert "r0" not in found.records
    assert len(found.records) == 19


@pytest.mark.parametrize("state", [state for state in RunState if not state.ended])
def test_a_run_that_has_not_ended_stays_whole_and_takes_no_place(state: RunState) -> None:
    found = expired([run(0), run(1, state)], History(succeeded=1, failed=0), LATER)
    assert not found.folders


def test_the_newest_of_an_intent_keeps_its_record_and_gives_up_its_folder() -> None:
    runs = [run(0, intent="a"), run(1, intent="a"), run(2, intent="b"), run(3, intent="c")]
    found = expired(runs, History(succeeded=1, failed=1), LATER)
    assert names(found.folders) == "r0 r1 r2"
    assert names(found.records) == "r0"


def test_an_intent_that_runs_again_needs_its_older_records_no_more() -> None:
    found = expired([run(0, intent="a"), run(1, RunState.RUNNING, intent="a")], History(0, 0), LATER)
    assert names(found.records) == "r0"


def test_a_record_of_an_instant_not_settled_stays_and_guards_it() -> None:
    ahead = BEGIN + 60 * MINUTE
    runs = [run(0, instant=ahead), run(1, instant=BEGIN)]
    found = expired(runs, History(0, 0), LATER, settled=BEGIN)
    assert names(found.folders) == "r0 r1"
    assert names(found.records) == "r1"


def test_without_history_every_ended_run_goes() -> None:
    runs = [run(0), run(1, RunState.KILLED), run(2, RunState.SKIPPED), run(3, RunState.RUNNING)]
    assert names(expired(runs, History(0, 0), LATER).records) == "r0 r1 r2"


def test_a_run_that_has_just_ended_stays_whole_for_who_waits_for_it() -> None:
    runs, ended = [run(0), run(1), run(2)], BEGIN + 3 * MINUTE
    found = expired(runs, History(0, 0), ended)
    assert names(found.records) == names(found.folders) == "r0 r1"
    assert found.soon
    found = expired(runs, History(0, 0), ended + MINUTE)
    assert names(found.records) == "r0 r1 r2"
    assert not found.soon


def test_what_ended_in_the_future_by_a_wrong_clock_is_not_waited_for() -> None:
    assert names(expired([run(5)], History(0, 0), BEGIN).records) == "r5"


def test_what_ended_last_is_newest_whenever_it_began() -> None:
    long = Kept("long", RunState.SUCCESS, BEGIN, BEGIN + 100 * MINUTE)
    assert names(expired([long, run(5)], History(succeeded=1), LATER).records) == "r5"


def test_every_way_to_end_has_its_outcome() -> None:
    found = {state: outcome_of(state) for state in RunState if state.ended}
    assert found.pop(RunState.SUCCESS) is Outcome.SUCCEEDED
    assert found.pop(RunState.SKIPPED) is Outcome.SKIPPED
    assert set(found.values()) == {Outcome.FAILED}
