"""backfill: runs for the instants that a schedule has missed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import click

from specrunner.cli.options import yes_option
from specrunner.cli.planning import clock
from specrunner.cli.runs import INTERRUPTED, RUN_FAILED
from specrunner.cli.terminal import confirmed, interactive, say, say_json
from specrunner.cli.wiring import directory_option, find_key, interruptible, json_option, open_target
from specrunner.core.errors import UsageError
from specrunner.core.keys import Key, Kind
from specrunner.core.outcome import RunView
from specrunner.core.values import iso, utc
from specrunner.report.as_json import run_json
from specrunner.report.lines import Line, counted
from specrunner.report.runs import missed_lines
from specrunner.report.text import run_words
from specrunner.targets.base import Target


def instant(text: str) -> datetime:
    """An instant as it is typed, `2026-01-31` or `2026-01-31T06:00`: in UTC, unless it says otherwise.

    Raises UsageError.
    """
    try:
        found = datetime.fromisoformat(text)
        return utc(found if found.tzinfo else found.replace(tzinfo=UTC))
    except (ValueError, OverflowError) as problem:
        raise UsageError(
            f"{text!r} is no instant: {problem}.", remedy="Write for instance `2026-01-31T06:00Z`, or `2026-01-31`."
        ) from problem


@click.command()
@click.argument("task")
@click.option("--from", "begin", metavar="INSTANT", type=instant, required=True, help="The first moment; in UTC.")
@click.option("--to", "end", metavar="INSTANT", type=instant, help="The last moment; in UTC; default: now.")
@click.option("--dry-run", is_flag=True, help="Only say which instants were missed.")
@click.option("--wait/--no-wait", default=True, help="Wait for their ends, or only make them; default: wait.")
@yes_option
@directory_option
@json_option
def backfill(
    root: Path, task: str, begin: datetime, end: datetime | None, dry_run: bool, wait: bool, yes: bool, as_json: bool
) -> int:
    """Run TASK for each instant that its schedule has missed, one after another; exit 6 if one does not end well.

    Missed is an instant that has no run, or only a record of why there was none. It is at most a thousand at once.
    Where `specrunner serve` hosts this folder, it carries them out; with --no-wait they wait for it.
    """
    with open_target(root, must_exist=True) as target:
        key = find_key(target, Kind.TASK, task)
        end = end or clock().now()
        missed = target.missed(key, begin, end)
        if dry_run or not missed:
            _tell_missed(key, missed, as_json=as_json)
            return 0
        if not (yes or _confirmed(key, missed)):
            say([Line("Nothing was changed.")])
            return 0
        made, hosted = list(target.backfill(key, begin, end)), target.host() is not None
        ended = _attended(target, made, quiet=as_json) if wait else made
    if as_json:
        say_json([run_json(run) for run in ended])
    elif not wait:
        say([Line(_made_words(key, made, hosted=hosted))])
    return _code(ended) if wait else 0


def _tell_missed(key: Key, missed: Sequence[datetime], *, as_json: bool) -> None:
    if as_json:
        say_json({"task": str(key), "missed": [iso(moment) for moment in missed]})
    else:
        say(missed_lines(key, missed))


def _confirmed(key: Key, missed: Sequence[datetime]) -> bool:
    if not interactive():
        raise UsageError(
            f"Nobody is there to ask whether to make {counted(len(missed), 'run')}.",
            remedy="Say --yes to make them, or --dry-run to see which they are.",
        )
    say(missed_lines(key, missed))
    return confirmed(f"\nMake {counted(len(missed), 'run')}?")


def _made_words(key: Key, made: Sequence[RunView], *, hosted: bool) -> str:
    begun = f"{counted(len(made), 'run')} of {key} {'was' if len(made) == 1 else 'were'} made"
    return f"{begun}; `specrunner serve` carries them out{'' if hosted else ', once it is started'}."


def _attended(target: Target, made: Sequence[RunView], *, quiet: bool) -> list[RunView]:
    """The runs at their ends, each told of; one that goes on, and those behind it, as they are left."""
    ended: list[RunView] = []
    with interruptible(target.stop_waiting):
        for number, run in enumerate(made, 1):
            found = target.attend(run.id)
            ended.append(found)
            if not found.status.ended:
                ended += made[number:]
                left = counted(len(made) - number + 1, "run")
                say([Line(f"Nobody here waits any longer; {left} have not ended.", "warning")], stderr=True)
                return ended
            if not quiet:
                say([_ended_line(found, f"{number} of {len(made)}")])
    return ended


def _ended_line(run: RunView, count: str) -> Line:
    instant_ = iso(run.scheduled) if run.scheduled else ""
    return Line(f"{count}: {instant_}, run {run.id[:8]}: {run_words(run)}.", "create" if run.succeeded else "error")


def _code(ended: Sequence[RunView]) -> int:
    if any(not run.status.ended for run in ended):
        return INTERRUPTED
    return 0 if all(run.succeeded for run in ended) else RUN_FAILED
