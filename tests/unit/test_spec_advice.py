"""What is valid and still worth a word."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from specrunner.core.errors import Severity
from specrunner.core.values import parse_iso
from specrunner.spec.advice import end_of
from specrunner.spec.desired import load
from tests.unit.spec_samples import sample, task


@pytest.mark.parametrize(
    ("schedule", "end"),
    [
        ({"cron": "0 2 * * *", "timezone": "UTC"}, None),
        ({"cron": "0 2 * * *", "timezone": "UTC", "until": "2024-12-31T00:00:00Z"}, "2024-12-31T00:00:00Z"),
        ({"cron": "0 0 12 1-15 2 2024", "timezone": "UTC"}, "2024-02-15T12:00:00Z"),
        ({"cron": "0 0 12 1-15 2 2024", "timezone": "America/New_York"}, "2024-02-15T17:00:00Z"),
        ({"cron": "0 */15 9-17 * * 2024", "timezone": "Europe/Berlin"}, "2024-12-31T16:45:00Z"),
        # The last month has no 31st.
        ({"cron": "0 0 0 31 10-11 2024", "timezone": "UTC"}, "2024-10-31T00:00:00Z"),
        ({"cron": "0 0 0 29-31 2 2024", "timezone": "UTC"}, "2024-02-29T00:00:00Z"),
        ({"cron": "0 0 12 1 2 2024", "timezone": "UTC", "until": "2023-01-01T00:00:00Z"}, "2023-01-01T00:00:00Z"),
    ],
)
def test_the_end_of_a_schedule_is_its_last_instant(schedule: dict[str, str], end: str | None) -> None:
    assert end_of(schedule) == (parse_iso(end) if end else None)


LAST = datetime(2024, 2, 15, 12, tzinfo=UTC)


@pytest.mark.parametrize(("now", "warned"), [(LAST, False), (LAST + timedelta(seconds=1), True), (None, False)])
def test_a_schedule_that_has_ended_is_valid_and_warned_about(
    tmp_path: Path, now: datetime | None, warned: bool
) -> None:
    desired = load(sample(tmp_path, zextra=task("schedule: 0 0 12 1-15 2 2024")), now=now)
    assert [warning.code for warning in desired.warnings] == ["ended-schedule"] * warned
    for warning in desired.warnings:
        assert (warning.severity, str(warning.place)) == (Severity.WARNING, "zextra.yaml:6:13")


def test_the_warning_about_until_stands_at_until(tmp_path: Path) -> None:
    text = task("schedule: {cron: 0 2 * * *, until: 2024-12-31}")
    (warning,) = load(sample(tmp_path, zextra=text), now=datetime(2025, 1, 1, tzinfo=UTC)).warnings
    assert str(warning.place) == "zextra.yaml:6:38"


def test_patches_of_the_default_environment_are_used(tmp_path: Path) -> None:
    root = sample(tmp_path)
    (root / "environments/default").mkdir(parents=True)
    (root / "environments/other").mkdir()
    assert [str(warning.place) for warning in load(root).warnings] == ["environments/other"]
