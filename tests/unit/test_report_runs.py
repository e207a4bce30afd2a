"""Runs, instants, sizes and ages in words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from specrunner.core.due import Due
from specrunner.core.keys import Key, Kind
from specrunner.core.lifecycle import Reason, RunState
from specrunner.core.outcome import RunView
from specrunner.report.runs import RUN_COLUMNS, WHY, fire_row, missed_lines, run_row, why
from specrunner.report.sizes import ago, size

TASK = Key(Kind.TASK, "lab", "nightly")
NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def run(status: RunState, reason: Reason | None = None, **more: object) -> RunView:
    return RunView("0123456789ab", TASK, status, NOON, reason, **more)  # type: ignore[arg-type]


def test_a_run_that_goes_on_says_for_how_long_so_far() -> None:
    row = dict(
        zip(RUN_COLUMNS, run_row(run(RunState.RUNNING, started=NOON), NOON + timedelta(seconds=75)), strict=True)
    )
    assert (row["duration"], row["why"], row["for"]) == ("1m15s so far", "", "-")


def test_another_attempt_is_told() -> None:
    assert "pending, attempt 2" in run_row(run(RunState.PENDING, attempt=2), NOON)


def test_a_skip_says_what_it_stands_for() -> None:
    detail = "missed, and too late to be made up for"
    assert why(run(RunState.SKIPPED, Reason.SKIPPED_DEADLINE, detail=detail)) == detail
    skip = run(RunState.SKIPPED, Reason.SKIPPED_DEADLINE, scheduled=NOON, first=NOON - timedelta(hours=3))
    assert "2026-03-01T09:00:00Z to 2026-03-01T12:00:00Z" in run_row(skip, NOON)
    assert why(run(RunState.SKIPPED, Reason.SKIPPED_OVERLAP)) == "the run before it had not ended"


def test_every_reason_has_words() -> None:
    for reason in Reason:
        assert why(run(RunState.FAILURE, reason, exit_code=2))
    assert set(WHY) == set(Reason) - {Reason.EXIT}


def test_text_of_runs_can_not_move_the_terminal() -> None:
    assert "\x1b" not in "".join(run_row(run(RunState.LOST, Reason.LOST, detail="\x1b[2J"), NOON))


def test_an_instant_stands_in_utc_and_in_its_zone_with_its_jitter() -> None:
    due = Due(datetime(2026, 3, 2, 1, 0, tzinfo=UTC), datetime(2026, 3, 2, 1, 0, 30, tzinfo=UTC))
    row = ("Mon 2026-03-02 01:00", "2026-03-02 02:00 Europe/Berlin", "30s later", "13h")
    assert fire_row(due, "Europe/Berlin", NOON) == row


@pytest.mark.parametrize(("seconds", "text"), [(75, "1m15s"), (3675, "1h1m"), (-3, "0s")])
def test_how_long_until_an_instant(seconds: int, text: str) -> None:
    instant = NOON + timedelta(seconds=seconds)
    assert fire_row(Due(instant, instant), "UTC", NOON)[2:] == ("then", text)


def test_of_many_missed_instants_the_first_and_the_last_are_shown() -> None:
    hours = [NOON + timedelta(hours=number) for number in range(100)]
    lines = [line.text for line in missed_lines(TASK, hours)]
    assert lines[0] == "Task/lab/nightly has missed 100 instants (UTC):"
    assert (len(lines), lines[-2], lines[-1]) == (21, "  ... 81 more ...", "  Thu 2026-03-05 15:00")
    assert len(list(missed_lines(TASK, hours[:20]))) == 21
    assert len(list(missed_lines(TASK, hours[:1]))) == 2


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (10_240, "10 KiB"),
        (1024**2 - 1, "1.0 MiB"),
        (5 * 1024**4, "5.0 TiB"),
    ],
)
def test_sizes(count: int, text: str) -> None:
    assert size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(-5, "just now"), (59, "just now"), (7_300, "2h ago"), (90_000, "1d ago")]
)
def test_ages(seconds: int, text: str) -> None:
    assert ago(timedelta(seconds=seconds)) == text
