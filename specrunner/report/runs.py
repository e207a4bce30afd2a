"""Runs and the instants of schedules in words and rows, for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

from specrunner.core.due import Due
from specrunner.core.keys import Key
from specrunner.core.lifecycle import Reason
from specrunner.core.outcome import RunView
from specrunner.core.values import format_duration, iso, utc
from specrunner.report.diagnostics import harmless
from specrunner.report.lines import Line, counted
from specrunner.report.words import instants

RUN_COLUMNS: Final = ("run", "task", "status", "for", "started", "duration", "why")
FIRE_COLUMNS: Final = ("fires (UTC)", "in the schedule's zone", "starts", "in")
ABSENT: Final = "-"
_MINUTE: Final = 60  # seconds
_HOUR: Final = 3600
_MOST_TOLD: Final = 20  # instants that are all shown; of more the first and the last
_HEAD: Final = _MOST_TOLD - 2
WHY: Final[Mapping[Reason, str]] = {
    Reason.SIGNAL: "ended by a signal",
    Reason.OOM: "it needed more memory than it may have",
    Reason.TIMEOUT: "its time was over",
    Reason.KILLED: "killed on request",
    Reason.ENV_FAILED: "its environment could not be built",
    Reason.LOST: "nobody knows how it ended",
    Reason.SKIPPED_OVERLAP: "the run before it had not ended",
    Reason.SKIPPED_DEADLINE: "it was too late to start it",
    Reason.SKIPPED_SUSPENDED: "its task was suspended",
}


def run_row(run: RunView, now: datetime) -> tuple[str, ...]:
    """One run in the columns `RUN_COLUMNS`."""
    attempt = f", attempt {run.attempt}" if run.attempt > 1 else ""
    return (
        run.id[:8],
        harmless(f"{run.task.workspace}/{run.task.name}"),
        f"{run.status}{attempt}",
        _meant(run),
        _second(run.started),
        _lasted(run, now),
        harmless(why(run)),
    )


def why(run: RunView) -> str:
    """Why a run ended otherwise than well, in a line; empty for one that did not."""
    if run.reason is None:
        return ""
    if run.reason is Reason.EXIT:
        return f"exit code {run.exit_code}" if run.exit_code is not None else "it ended otherwise than well"
    said = run.detail.strip().splitlines()
    words = WHY[run.reason]
    # A skip may stand for many instants, and a start may fail in many ways: what is said of this one is better.
    return said[0] if said and run.reason not in {Reason.KILLED, Reason.TIMEOUT} else words


def _lasted(run: RunView, now: datetime) -> str:
    if run.seconds is not None:
        return format_duration(round(run.seconds, 1))
    if run.started is None or run.status.ended:
        return ABSENT
    return f"{format_duration(round((now - run.started).total_seconds()))} so far"


def _meant(run: RunView) -> str:
    """The instant that a run is for; of a skip that stands for several, the first and the last."""
    return f"{_second(run.first)} to {_second(run.scheduled)}" if run.first else _second(run.scheduled)


def _second(moment: datetime | None) -> str:
    return iso(moment.replace(microsecond=0)) if moment is not None else ABSENT


def fire_row(due: Due, zone: str, now: datetime) -> tuple[str, ...]:
    """One instant of a schedule in the columns `FIRE_COLUMNS`."""
    from specrunner.core.wallclock import wall_at, zone_named

    wall = wall_at(zone_named(zone), due.instant)
    delay = (due.at - due.instant).total_seconds()
    return (
        instants([iso(due.instant)])[0],
        f"{wall:%Y-%m-%d %H:%M} {zone}",
        f"{format_duration(round(delay))} later" if delay else "then",
        _until(due.instant, now),
    )


def _until(instant: datetime, now: datetime) -> str:
    """How long from now; of hours the seconds say nothing."""
    seconds = max(0, round((instant - utc(now)).total_seconds()))
    return format_duration(seconds if seconds < _HOUR else seconds // _MINUTE * _MINUTE)


def killed_words(runs: Sequence[RunView]) -> str:
    """What a kill came to: `2 runs were ended`."""
    if not runs:
        return "nothing of it was running"
    return f"{counted(len(runs), 'run')} {'was' if len(runs) == 1 else 'were'} ended"


def missed_lines(key: Key, missed: Sequence[datetime]) -> Iterator[Line]:
    """The instants that a task has missed, the first and the last of many."""
    if not missed:
        yield Line(harmless(f"{key} has missed nothing in this time."))
        return
    count = f"{len(missed)} instants" if len(missed) > 1 else "one instant"
    yield Line(harmless(f"{key} has missed {count} (UTC):"))
    told = instants(map(iso, missed))
    shown = told if len(told) <= _MOST_TOLD else [*told[:_HEAD], f"... {len(told) - _HEAD - 1} more ...", told[-1]]
    for text in shown:
        yield Line(f"  {text}")
