from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from specrunner.core.lifecycle import Reason
from specrunner.core.overlap import MAX_BUFFERED, Overlap, Rules, Verdict, Waiting, judged

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def waiting(*names: str, asked: str = "") -> list[Waiting]:
    """Runs that became due one minute after the other, the last of them now; those of `asked` by hand."""
    return [
        Waiting(name, NOW - MINUTE * (len(names) - 1 - index), asked=name in asked.split())
        for index, name in enumerate(names)
    ]


def said(verdict: Verdict) -> str:
    """The verdict in a line: what starts | what waits | what is skipped | what ends first."""
    parts = [
        " ".join(run.run_id for run in verdict.start),
        " ".join(run.run_id for run in verdict.keep),
        " ".join(run.run_id for run, _ in verdict.skip),
        " ".join(verdict.end),
    ]
    return " | ".join(part or "-" for part in parts)


@pytest.mark.parametrize(
    ("overlap", "live", "expected"),
    [
        (Overlap.SKIP, [], "a | - | b c | -"),
        (Overlap.SKIP, ["x"], "- | - | a b c | -"),
        (Overlap.ALLOW, [], "a b c | - | - | -"),
        (Overlap.ALLOW, ["x"], "a b c | - | - | -"),
        (Overlap.BUFFER_ONE, [], "a | b | c | -"),
        (Overlap.BUFFER_ONE, ["x"], "- | a | b c | -"),
        (Overlap.BUFFER_ALL, [], "a | b c | - | -"),
        (Overlap.BUFFER_ALL, ["x"], "- | a b c | - | -"),
        (Overlap.CANCEL_OTHER, [], "c | - | a b | -"),
        (Overlap.CANCEL_OTHER, ["x", "y"], "- | c | a b | x y"),
        (Overlap.TERMINATE_OTHER, [], "c | - | a b | -"),
        (Overlap.TERMINATE_OTHER, ["x"], "- | c | a b | x"),
    ],
)
def test_each_policy_decides_about_three_that_wait(overlap: Overlap, live: Sequence[str], expected: str) -> None:
    verdict = judged(Rules(overlap), waiting("a", "b", "c"), live, NOW)
    assert said(verdict) == expected
    assert {reason for _, reason in verdict.skip} <= {Reason.SKIPPED_OVERLAP}


@pytest.mark.parametrize("overlap", Overlap)
def test_a_single_run_starts_where_nothing_lives(overlap: Overlap) -> None:
    assert said(judged(Rules(overlap), waiting("a"), [], NOW)) == "a | - | - | -"


@pytest.mark.parametrize("overlap", Overlap)
def test_where_nothing_waits_nothing_is_done(overlap: Overlap) -> None:
    assert said(judged(Rules(overlap), [], ["x"], NOW)) == "- | - | - | -"


def test_cancelling_grants_the_grace_and_terminating_does_not() -> None:
    assert judged(Rules(Overlap.CANCEL_OTHER), waiting("a"), ["x"], NOW).grace
    assert not judged(Rules(Overlap.TERMINATE_OTHER), waiting("a"), ["x"], NOW).grace


def test_what_is_past_its_deadline_is_skipped_and_leaves_its_place_to_the_next() -> None:
    rules = Rules(Overlap.SKIP, deadline=MINUTE)
    verdict = judged(rules, waiting("a", "b", "c"), [], NOW)
    assert said(verdict) == "b | - | a c | -"
    assert {run.run_id: reason for run, reason in verdict.skip} == {
        "a": Reason.SKIPPED_DEADLINE,
        "c": Reason.SKIPPED_OVERLAP,
    }


def test_a_run_may_start_at_its_deadline_and_not_after_it() -> None:
    rules = Rules(Overlap.ALLOW, deadline=MINUTE)
    assert said(judged(rules, waiting("a"), [], NOW + MINUTE)) == "a | - | - | -"
    assert said(judged(rules, waiting("a"), [], NOW + MINUTE + timedelta.resolution)) == "- | - | a | -"


def test_of_a_suspended_task_nothing_starts_but_what_was_asked_for() -> None:
    verdict = judged(Rules(Overlap.ALLOW, suspended=True), waiting("a", "hand", asked="hand"), [], NOW)
    assert said(verdict) == "hand | - | a | -"
    assert verdict.skip[0][1] is Reason.SKIPPED_SUSPENDED


@pytest.mark.parametrize(
    ("overlap", "live", "expected"),
    [
        (Overlap.SKIP, ["x"], "- | p q | a | -"),
        (Overlap.SKIP, [], "p | q | a | -"),
        (Overlap.BUFFER_ONE, ["x"], "- | p q | a | -"),
        (Overlap.BUFFER_ALL, [], "p | a q | - | -"),
        (Overlap.ALLOW, ["x"], "p a q | - | - | -"),
        (Overlap.CANCEL_OTHER, ["x"], "- | a p q | - | x"),
    ],
)
def test_what_was_asked_for_waits_for_its_turn_and_is_never_skipped(
    overlap: Overlap, live: Sequence[str], expected: str
) -> None:
    assert said(judged(Rules(overlap), waiting("p", "a", "q", asked="p q"), live, NOW)) == expected


@pytest.mark.parametrize("overlap", [Overlap.CANCEL_OTHER, Overlap.TERMINATE_OTHER])
def test_what_was_asked_for_ends_no_other(overlap: Overlap) -> None:
    assert said(judged(Rules(overlap), waiting("p", asked="p"), ["x"], NOW)) == "- | p | - | -"


def test_asked_runs_wait_past_every_deadline() -> None:
    rules = Rules(Overlap.SKIP, deadline=MINUTE)
    assert said(judged(rules, waiting("p", asked="p"), ["x"], NOW + 100 * MINUTE)) == "- | p | - | -"


def test_the_buffer_of_a_task_is_bounded() -> None:
    many = [Waiting(f"{index:05}", NOW) for index in range(MAX_BUFFERED + 3)]
    verdict = judged(Rules(Overlap.BUFFER_ALL), many, ["x"], NOW)
    assert len(verdict.keep) == MAX_BUFFERED
    assert [run.run_id for run, _ in verdict.skip] == ["01000", "01001", "01002"]


def test_the_order_in_which_runs_are_given_does_not_matter() -> None:
    runs = waiting("a", "b", "c")
    expected = judged(Rules(Overlap.BUFFER_ONE), runs, [], NOW)
    assert judged(Rules(Overlap.BUFFER_ONE), runs[::-1], [], NOW) == expected
