"""What is said about schedules that can't be used."""

from __future__ import annotations

import pytest

from specrunner.spec.advice import end_of
from specrunner.spec.mistakes import Mistake
from specrunner.spec.schedules import BadSchedule, check_timezone, plain_cron, plain_instant


@pytest.mark.parametrize(
    ("text", "code", "remedy"),
    [
        ("* * * *", Mistake.BAD_CRON, "Write for instance `0 2 * * *` for every day at two."),
        ("@dialy", Mistake.BAD_CRON, "Write `@daily`, or five fields."),
        ("60 * * * *", Mistake.BAD_CRON, "A minute is a number from 0 to 59, `*`, a range `a-b`"),
        ("* 24 * * *", Mistake.BAD_CRON, "An hour is a number from 0 to 23"),
        ("* * * * 8", Mistake.BAD_CRON, "A weekday is a number from 0 to 7 or sun to sat"),
        ("*/0 * * * *", Mistake.BAD_CRON, "Write `*/1` or more."),
        ("5-1 * * * *", Mistake.BAD_CRON, "Write `1-5`, or `5-59,0-1` to go round."),
        ("5 0 2 * * 1", Mistake.SECONDS, "Write the five fields `0 2 * * 1`."),
        ("5 0 2 1 1 2026", Mistake.SECONDS, "Write `0 0 2 1 1 2026`."),
        ("0 0 30 2 *", Mistake.NEVER_FIRES, "Choose a day that the month has."),
        ("0 0 0 1 1 0000", Mistake.NEVER_FIRES, "Choose a year to come, or `*` for every year."),
        (f"{'9' * 5000} * * * *", Mistake.BAD_CRON, "A minute is a number from 0 to 59"),
        (f"*/{'9' * 5000} * * * *", Mistake.BAD_CRON, "A minute is a number from 0 to 59"),
    ],
)
def test_each_mistake_comes_with_what_to_write(text: str, code: Mistake, remedy: str) -> None:
    with pytest.raises(BadSchedule) as caught:
        plain_cron(text)
    assert (caught.value.code, caught.value.remedy[: len(remedy)]) == (code, remedy)


@pytest.mark.parametrize(
    ("text", "zone"), [("0001-01-01", "Asia/Tokyo"), ("9999-12-31T23:59:59", "America/New_York"), ("2026-02-30", "UTC")]
)
def test_an_instant_outside_the_calendar_is_a_mistake_and_no_crash(text: str, zone: str) -> None:
    with pytest.raises(BadSchedule) as caught:
        plain_instant(text, zone)
    assert caught.value.code is Mistake.BAD_INSTANT


@pytest.mark.parametrize("year", ["0002", "9998"])
@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago"])
def test_the_outermost_years_have_an_end_in_every_zone(year: str, zone: str) -> None:
    assert end_of({"cron": plain_cron(f"0 0 0 1,31 1,12 {year}"), "timezone": zone}) is not None


def test_a_zone_that_is_nearly_right_is_suggested() -> None:
    with pytest.raises(BadSchedule) as caught:
        check_timezone("Europe/Belrin")
    assert caught.value.remedy == "Write `timezone: Europe/Berlin`."
