"""What is live, and how it went: as the target tells it, or as it was recorded."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from specrunner.cli.planning import clock
from specrunner.cli.projects import readable_project
from specrunner.cli.recording import status_place, warn
from specrunner.cli.standing import remembered, standing_json, standing_lines
from specrunner.cli.tasks import UNHOSTED
from specrunner.cli.terminal import say, say_json, table
from specrunner.cli.wiring import (
    directory_option,
    environment_option,
    interruptible,
    json_option,
    open_target,
)
from specrunner.core.errors import SpecrunnerError
from specrunner.core.keys import Key, Kind
from specrunner.core.outcome import RunView
from specrunner.core.resources import LiveObject
from specrunner.core.values import Json, format_duration, iso, short_sha
from specrunner.report.as_json import live_json, run_json
from specrunner.report.lines import Line
from specrunner.report.sizes import ago
from specrunner.report.text import run_words
from specrunner.targets.base import SUSPENDED, Target

if TYPE_CHECKING:
    from specrunner.controller.memory import Memory

COLUMNS: Final = ("kind", "workspace", "name", "state", "last run", "next run", "version", "owner")


@dataclass(frozen=True, slots=True)
class Shown:
    """One object with its last run, and the next instant of its schedule."""

    found: LiveObject
    last: RunView | None = None
    next: datetime | None = None


@dataclass(frozen=True, slots=True)
class Looked:
    """What there is to show: objects, how many runs are on record in each state, and who sees to it.

    `followed` is what the controller of this folder knows; `hosted` says that somebody starts what is scheduled.
    """

    shown: tuple[Shown, ...]
    runs: Mapping[str, int] = field(default_factory=dict)
    followed: Memory | None = None
    hosted: bool = True


@click.command()
@click.option("--recorded", is_flag=True, help="As it was recorded, by whatever machine; not what is live here.")
@click.option("--watch", is_flag=True, help="Show it again every two seconds, until Ctrl-C.")
@directory_option
@environment_option
@json_option
def status(root: Path, recorded: bool, watch: bool, environment: str | None, as_json: bool) -> None:
    """Show what is live, and how the last run of each task went.

    With --recorded it is what the status branch or folder tells, also of what other machines have run.
    """
    if not watch:
        _show(_looked(root, environment, recorded=recorded), as_json=as_json)
        return
    leaving = False

    def leave() -> None:
        nonlocal leaving
        leaving = True

    with interruptible(leave):
        while not leaving:
            found = _looked(root, environment, recorded=recorded)
            if not as_json:
                click.clear()
            _show(found, as_json=as_json)
            until = time.monotonic() + 2.0
            while not leaving and time.monotonic() < until:
                time.sleep(0.1)


def _looked(root: Path, environment: str | None, *, recorded: bool) -> Looked:
    """What is shown; records of elsewhere know no controller of this folder."""
    return Looked(tuple(_recorded(root, environment))) if recorded else _live(root)


def _live(root: Path) -> Looked:
    """What the target tells."""
    with open_target(root, must_exist=True) as target:
        live = {key: _as_it_is(target, found) for key, found in target.read().items()}
        last: dict[Key, RunView] = {}
        runs = target.runs()
        for view in runs:
            last.setdefault(view.task, view)
        shown = tuple(Shown(found, last.get(key), _next(found)) for key, found in sorted(live.items()))
        counts = Counter(str(view.status) for view in runs)
        return Looked(shown, counts, remembered(root), target.host() is not None)


def _recorded(root: Path, environment: str | None) -> list[Shown]:
    """What the records tell. Raises SpecrunnerError where the project wants none."""
    from specrunner.record.ticks import last_recorded

    desired = readable_project(root, environment)
    place = status_place(root, desired)
    if place is None:
        raise SpecrunnerError(
            "This project wants no records.",
            detail="`status: none` stands in specrunner.yaml.",
            remedy="`specrunner status` without --recorded shows what is live here.",
        )
    objects, last = last_recorded(place.repository, desired.owner, place.name, clock().now())
    warn(place)
    return [Shown(found, last.get(key), _next(found)) for key, found in sorted(objects.items())]


def _next(found: LiveObject) -> datetime | None:
    """The next instant of its schedule; None where there is none, or it is held back."""
    from specrunner.core.due import Timing

    if found.spec.get("schedule") is None or found.state == SUSPENDED:
        return None
    try:
        due = Timing.of(str(found.key), found.spec["schedule"]).next(clock().now())
    except ValueError:
        return None
    return due.instant if due is not None else None


def _show(looked: Looked, *, as_json: bool) -> None:
    if as_json:
        say_json(_looked_json(looked))
        return
    now = clock().now()
    if looked.followed is not None:
        say(standing_lines(looked.followed, now))
    if not looked.shown:
        say([Line("Nothing is live.")])
        return
    table(COLUMNS, [_row(one, now) for one in looked.shown])
    say(_remarks(looked))


def _remarks(looked: Looked) -> Iterator[Line]:
    """What the table does not say: how many runs are kept, and that nobody starts what is scheduled."""
    if looked.runs:
        counts = ", ".join(f"{looked.runs[state]} {state.replace('_', ' ')}" for state in sorted(looked.runs))
        yield Line(f"Runs on record: {counts}.", "dim")
    if not looked.hosted and any(one.next for one in looked.shown):
        yield Line(UNHOSTED, "warning")


def _looked_json(looked: Looked) -> Mapping[str, Json]:
    last = [run_json(one.last) for one in looked.shown if one.last is not None]
    controller = {"controller": standing_json(looked.followed)} if looked.followed is not None else {}
    return {"objects": [_json(one) for one in looked.shown], "runs": dict(looked.runs), "last_runs": last, **controller}


def _json(one: Shown) -> Mapping[str, Json]:
    return {**live_json(one.found), **({"next_run": iso(one.next)} if one.next else {})}


def _as_it_is(target: Target, found: LiveObject) -> LiveObject:
    """A service with its state of this moment; what else there is, as it was read."""
    if found.spec.get("service") is None or found.state == SUSPENDED:
        return found
    now = target.service_state(found.key)
    return replace(found, state=str(now)) if now is not None else found


def _row(one: Shown, now: datetime) -> tuple[str, ...]:
    found, key = one.found, one.found.key
    has_version = key.kind in {Kind.MODEL, Kind.ORCHESTRATION} and found.spec.get("sha")
    version = short_sha(found.spec["sha"]) if has_version else ""
    following = f"in {_span((one.next - now).total_seconds())}" if one.next else ""
    owner = str(found.owner or "nobody")
    return (str(key.kind), key.workspace, key.name, found.state, _last_run(one.last, now), following, version, owner)


def _last_run(run: RunView | None, now: datetime) -> str:
    if run is None:
        return ""
    moment = run.ended or run.started
    return f"{run_words(run)}, {ago(now - moment)}" if moment else run_words(run)


def _span(seconds: float) -> str:
    """A span in words; of hours the seconds say nothing."""
    whole = max(0, round(seconds))
    return format_duration(whole if whole < 3600 else whole // 60 * 60)
