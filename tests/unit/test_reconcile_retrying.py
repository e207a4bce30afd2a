from __future__ import annotations

import pytest

from specrunner.core.errors import BadInput, Transient
from specrunner.reconcile.retrying import Patience, Trying


class Flaky:
    """Fails so many times, then works."""

    def __init__(self, failures: int, retry_after: float | None = None) -> None:
        self.left = failures
        self.problem = Transient("The connection broke.", retry_after=retry_after)

    def __call__(self) -> str:
        self.left -= 1
        if self.left >= 0:
            raise self.problem
        return "done"


def trying(pauses: list[float], called_off: bool = False, patience: Patience | None = None) -> Trying:
    def pause(seconds: float) -> bool:
        pauses.append(seconds)
        return called_off

    return Trying(patience or Patience(), pause)


def test_what_fails_four_times_is_tried_five_times_with_growing_pauses() -> None:
    pauses: list[float] = []
    attempt = trying(pauses)
    assert attempt(Flaky(4)) == "done"
    assert attempt.tries == 5
    assert [0.25 <= first <= 0.5 for first in pauses[:1]] == [True]
    assert all(low <= pause <= 2 * low for low, pause in zip((0.25, 0.5, 1, 2), pauses, strict=True))


def test_the_fifth_failure_is_the_last_one_and_is_raised() -> None:
    pauses: list[float] = []
    with pytest.raises(Transient):
        trying(pauses)(Flaky(5))
    assert len(pauses) == 4


def test_no_pause_is_longer_than_the_longest_unless_the_other_side_asks_for_more() -> None:
    patience = Patience(tries=20)
    assert max(patience.pause(tried, Transient("no")) for tried in range(1, 20)) <= patience.longest
    assert patience.pause(1, Transient("no", retry_after=40)) == 40
    assert patience.pause(1, Transient("no", retry_after=1e9)) == 300


def test_a_pause_that_is_called_off_ends_the_trying() -> None:
    pauses: list[float] = []
    with pytest.raises(Transient):
        trying(pauses, called_off=True)(Flaky(1))
    assert len(pauses) == 1


def test_only_what_is_transient_is_tried_again() -> None:
    def refuse() -> None:
        raise BadInput("No.")

    pauses: list[float] = []
    with pytest.raises(BadInput):
        trying(pauses)(refuse)
    assert not pauses


def test_each_failure_is_told_with_the_seconds_until_the_next_try() -> None:
    told: list[tuple[str, float]] = []
    pauses: list[float] = []
    attempt = trying(pauses)
    attempt.again = lambda problem, seconds: told.append((problem.summary, seconds))
    attempt(Flaky(2))
    assert told == [("The connection broke.", pause) for pause in pauses]
