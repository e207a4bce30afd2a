"""Commands about tasks: next, kill, suspend, resume."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from specrunner.cli.planning import clock
from specrunner.cli.runs import matching_run, neither
from specrunner.cli.terminal import say, say_json, table
from specrunner.cli.wiring import (
    directory_option,
    environment_option,
    find_key,
    json_option,
    look_at_target,
    open_target,
    read_specs,
)
from specrunner.core.errors import NotFound, SpecrunnerError
from specrunner.core.keys import Key, Kind
from specrunner.core.values import Json, JsonObject, iso
from specrunner.report.as_json import run_json
from specrunner.report.lines import Line
from specrunner.report.runs import FIRE_COLUMNS, fire_row, killed_words
from specrunner.targets.base import SUSPENDED

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from specrunner.core.due import Due
    from specrunner.core.outcome import RunView
    from specrunner.core.resources import LiveObject
    from specrunner.targets.base import Target

UNHOSTED = "Nobody hosts this folder: nothing starts by itself until `specrunner serve` does."


@click.command("next")
@click.argument("task")
@click.option("-n", "count", type=click.IntRange(1, 1000), default=5, show_default=True, help="How many instants.")
@click.option("--declared", is_flag=True, help="By what the files declare, not by what is live.")
@directory_option
@environment_option
@json_option
def next_(root: Path, task: str, count: int, declared: bool, environment: str | None, as_json: bool) -> None:
    """Show when TASK runs next.

    By what is live; where the task is not live yet, or with --declared, by what the files say.
    """
    now = clock().now()
    with look_at_target(root) as target:
        live = None if declared else _live_task(target, task)
        key, spec = (live.key, live.spec) if live else _declared_task(root, task, environment)
        schedule = _schedule(key, spec)
        found = target.upcoming(key, now, count) if live else _declared_fires(key, schedule, now, count)
        is_hosted = live is None or target.host() is not None
    held = _held_back(live, schedule)
    if as_json:
        say_json(_fires_json(key, schedule, found, suspended=bool(held)))
        return
    if live is None and not declared:
        say([Line(f"{key} is not live yet: this is what the files declare.", "dim")])
    if found:
        table(FIRE_COLUMNS, [fire_row(due, schedule.get("timezone", "UTC"), now) for due in found])
    if len(found) < count:
        say([Line("It does not run any more: its schedule is over." if not found else "Then its schedule is over.")])
    if remark := held or ("" if is_hosted else UNHOSTED):
        say([Line(remark, "warning")])


def _live_task(target: Target, asked: str) -> LiveObject | None:
    try:
        return target.read()[find_key(target, Kind.TASK, asked)]
    except NotFound:
        return None


def _declared_task(root: Path, asked: str, environment: str | None) -> tuple[Key, JsonObject]:
    """The task as the files declare it. Raises NotFound, InvalidSpecs."""
    desired = read_specs(root, environment)
    tasks = {key: resource for key, resource in desired.resources.items() if key.kind is Kind.TASK}
    fits = [key for key in tasks if asked in {key.name, f"{key.workspace}/{key.name}", str(key)}]
    if len(fits) > 1:
        names = ", ".join(map(str, sorted(fits)))
        raise SpecrunnerError(f"Several are called {asked!r}: {names}.", remedy="Say which, as workspace/name.")
    if not fits:
        known = ", ".join(repr(key.name) for key in sorted(tasks)) or "none"
        raise NotFound(
            f"There is no task {asked!r}, neither live nor in the files.", detail=f"The files declare: {known}."
        )
    return fits[0], tasks[fits[0]].spec


def _schedule(key: Key, spec: JsonObject) -> JsonObject:
    schedule: JsonObject | None = spec.get("schedule")
    if schedule is not None:
        return schedule
    kept = spec.get("service") is not None
    raise SpecrunnerError(
        f"{key} has no schedule, so no next time is known.",
        detail="It is a service: it runs until it is killed or suspended." if kept else "It runs once when applied.",
        remedy="" if kept else "`specrunner run TASK` runs it now; `schedule:` in its spec gives it a schedule.",
    )


def _declared_fires(key: Key, schedule: JsonObject, now: datetime, count: int) -> Sequence[Due]:
    from specrunner.core.due import Timing

    return list(Timing.of(str(key), schedule).upcoming(now, count))


def _held_back(live: LiveObject | None, schedule: JsonObject) -> str:
    """The sentence on what keeps the schedule from running; empty where nothing does."""
    if live is not None and live.state == SUSPENDED:
        return "It is suspended: these come to nothing until `specrunner resume`."
    if schedule.get("suspend"):
        return "Its spec suspends it: these come to nothing while `suspend: true` stands there."
    return ""


def _fires_json(key: Key, schedule: JsonObject, found: Sequence[Due], *, suspended: bool) -> dict[str, Json]:
    return {
        "task": str(key),
        "cron": schedule.get("cron"),
        "timezone": schedule.get("timezone", "UTC"),
        "suspended": suspended,
        "fires": [{"instant": iso(due.instant), "starts": iso(due.at)} for due in found],
    }


@click.command()
@click.argument("run_or_task")
@directory_option
@json_option
def kill(root: Path, run_or_task: str, as_json: bool) -> None:
    """End a run, or every run of a task; afterwards no process of them is alive.

    They are told to leave, and made to ten seconds later. The task itself stays: a schedule goes on with its next
    instant. A service is suspended as well, or it would be started again; `specrunner resume` lifts that.
    """
    with open_target(root, must_exist=True) as target:
        one = matching_run(target, run_or_task)
        if one is not None:
            killed = [target.kill_run(one.id)]
            words = f"Run {killed[0].id} of {killed[0].task} has ended: it is {killed[0].status}."
        else:
            killed, words = _kill_task(target, run_or_task)
    if as_json:
        say_json([run_json(found) for found in killed])
    else:
        say([Line(words)])


def _kill_task(target: Target, asked: str) -> tuple[list[RunView], str]:
    try:
        key = find_key(target, Kind.TASK, asked)
    except NotFound as problem:
        raise neither(asked, problem) from problem
    live = target.read()[key]
    if live.spec.get("service") is not None:
        target.suspend(key)
    killed = [target.kill_run(view.id) for view in target.runs(key) if not view.status.ended]
    return killed, f"{key}: {killed_words(killed)}. {_goes_on(live)}".rstrip()


def _goes_on(live: LiveObject) -> str:
    """What becomes of a task whose runs were ended."""
    name = shlex.quote(live.key.name)
    if live.spec.get("service") is not None:
        return f"It stays down until `specrunner resume {name}`."
    if live.spec.get("schedule") is not None:
        return f"Its schedule goes on; `specrunner suspend {name}` holds it back."
    return ""


@click.command()
@click.argument("task")
@directory_option
def suspend(root: Path, task: str) -> None:
    """Hold the schedule or the service of TASK back: nothing of it starts by itself until it is resumed.

    What runs goes on; `specrunner kill` ends it. `specrunner run` still runs it by hand.
    """
    with open_target(root, must_exist=True) as target:
        key = find_key(target, Kind.TASK, task)
        was = target.read()[key].state
        target.suspend(key)
    already = "was suspended already" if was == SUSPENDED else "is suspended: it starts nothing by itself"
    say([Line(f"{key} {already}. `specrunner resume {shlex.quote(key.name)}` lifts that.")])


@click.command()
@click.argument("task")
@directory_option
def resume(root: Path, task: str) -> None:
    """Let TASK start by itself again, from its next instant on; what was missed is not made up for."""
    with open_target(root, must_exist=True) as target:
        key = find_key(target, Kind.TASK, task)
        live = target.read()[key]
        target.resume(key)
        found = target.upcoming(key, clock().now(), 1)
    say([Line(_resumed_words(live, found))])


def _resumed_words(live: LiveObject, found: Sequence[Due]) -> str:
    begun = f"{live.key} {'is suspended no longer' if live.state == SUSPENDED else 'was not suspended'}"
    if (live.spec.get("schedule") or {}).get("suspend"):
        return f"{begun} by a command; its spec still suspends it: take `suspend: true` out of it and apply."
    if live.spec.get("schedule") is None:
        return f"{begun}."
    return f"{begun}; it runs next at {iso(found[0].instant)}." if found else f"{begun}; its schedule is over."
