"""Commands about runs: run, runs, logs."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from specrunner.cli.arguments import arguments_options, given_arguments
from specrunner.cli.notifying import tell_runs
from specrunner.cli.options import recording_options
from specrunner.cli.planning import clock
from specrunner.cli.recording import record_by_hand
from specrunner.cli.terminal import say, say_json, table
from specrunner.cli.wiring import directory_option, find_key, interruptible, json_option, open_target
from specrunner.core.errors import NotFound, SpecrunnerError
from specrunner.core.keys import Key, Kind
from specrunner.core.lifecycle import RunState
from specrunner.core.outcome import RunView
from specrunner.core.resources import LiveObject, intent_of, is_run_once
from specrunner.core.values import Json, iso
from specrunner.report.as_json import run_json
from specrunner.report.lines import Line
from specrunner.report.runs import RUN_COLUMNS, run_row
from specrunner.report.text import goes_on_lines, run_words
from specrunner.targets.base import Target

RUN_FAILED = 6
INTERRUPTED = 130
_SHORTEST_ID = 4  # characters of a run's id; fewer may be anything


@click.command()
@click.argument("task")
@arguments_options
@click.option("--wait/--no-wait", default=True, help="Wait for its end, or leave once it was started; default: wait.")
@recording_options
@directory_option
@json_option
def run(
    root: Path,
    task: str,
    as_texts: tuple[str, ...],
    as_values: tuple[str, ...],
    wait: bool,
    record: bool,
    push: bool,
    as_json: bool,
) -> int:
    """Run TASK now, whatever its schedule, and wait for its end; exit 6 if it does not end well.

    Interrupted, it exits 130 and the run goes on. With arguments of its own it is a run beside what is declared: the
    plan says what it said before.
    """
    given = given_arguments(as_texts, as_values)
    with open_target(root, must_exist=True) as target:
        key = find_key(target, Kind.TASK, task)
        found = target.read()[key]
        order, args = (None, _merged(found, given)) if given else (_open_order(found), None)
        host = target.host()
        if host is not None and not as_json:
            say([Line(f"`specrunner serve` (process {host.pid}) carries it out.", "dim")], stderr=True)
        with interruptible(target.stop_waiting):
            ended = target.run(key, order, args, wait=wait)
        left_alone = not ended.status.ended and target.host() is None
        tell_runs(root, target, [ended])
        if record and ended.status.ended and target.host() is None:
            record_by_hand(root, target, found.owner, push=push)
    if as_json:
        say_json(run_json(ended))
    else:
        _tell(ended, wait=wait)
    if left_alone:
        say(left_alone_lines(), stderr=True)
    if not ended.status.ended:
        return INTERRUPTED if wait else 0
    if not wait and ended.started is not None:  # it was started; that it has ended by now is chance
        return 0
    return 0 if ended.succeeded else RUN_FAILED


def _merged(found: LiveObject, given: dict[str, Json]) -> dict[str, Json]:
    """The declared arguments with those that were typed in their place."""
    return {**found.spec.get("args", {}), **given}


def _open_order(found: LiveObject) -> str | None:
    """The intent that this run carries out, so that plan no longer asks for it; None where that has been done."""
    if not is_run_once(found.spec):
        return None
    intent = intent_of(found.spec)
    return None if found.intents.get(intent) == RunState.SUCCESS else intent


def _tell(ended: RunView, *, wait: bool) -> None:
    if not ended.status.ended:
        say(goes_on_lines(ended) if wait else started_lines(ended), stderr=wait)
        return
    say([Line(text) for text in ended.log_tail])
    if not ended.succeeded and not ended.log_tail:
        say([Line(text, "error") for text in ended.detail.splitlines()])
    style = "create" if ended.succeeded else "error"
    say([Line(f"Run {ended.id} of {ended.task}: {run_words(ended)}.", style)])


def started_lines(found: RunView) -> list[Line]:
    """What to know of a run that nobody here waits for."""
    return [
        Line(f"Run {found.id} of {found.task} is {found.status}.", "run"),
        Line(f"    → `specrunner logs --follow {found.id[:8]}` shows it to its end.", "remedy"),
    ]


def left_alone_lines() -> list[Line]:
    """What to know where runs go on and nobody hosts them."""
    return [
        Line(
            "Nobody hosts this folder: what goes on finds no API for its connections, models and pipelines, and no",
            "warning",
        ),
        Line(
            "further attempt follows one that fails, until `specrunner serve` or a command that waits is there.",
            "warning",
        ),
    ]


@click.command()
@click.argument("task", required=False)
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="How many to show.")
@directory_option
@json_option
def runs(root: Path, task: str | None, limit: int, as_json: bool) -> None:
    """List the runs of TASK, or of all tasks, newest first: how long each took, and why it ended as it did."""
    with open_target(root, must_exist=True) as target:
        found = list(target.runs(task_key(target, task) if task else None))[:limit]
    if as_json:
        say_json([run_json(one) for one in found])
    elif not found:
        say([Line("No runs yet.")])
    else:
        now = clock().now()
        table(RUN_COLUMNS, [run_row(one, now) for one in found])


@click.command()
@click.argument("run_or_task")
@click.option("--times", is_flag=True, help="Put the time before each line.")
@click.option("-f", "--follow", is_flag=True, help="Go on with what is written from now on, until the run ends.")
@directory_option
def logs(root: Path, run_or_task: str, times: bool, follow: bool) -> int:
    """Show the log of a run, or of a task's last run.

    Interrupted while it follows, it exits 130 and the run goes on.
    """
    with open_target(root, must_exist=True) as target:
        asked = meant_run(target, run_or_task)
        if not follow:
            _print_log(target, asked.id, times=times, follow=False)
            return 0
        if asked.status is RunState.PENDING:
            say([Line(f"Run {asked.id} has not started yet; its log is waited for.", "dim")], stderr=True)
        left = False

        def leave() -> None:
            nonlocal left
            left = True
            target.stop_waiting()

        with interruptible(leave):
            _print_log(target, asked.id, times=times, follow=True)
        return INTERRUPTED if left else 0


def _print_log(target: Target, asked: str, *, times: bool, follow: bool) -> None:
    for moment, text in target.log(asked, follow=follow):
        stamp = f"{iso(datetime.fromtimestamp(moment, UTC))} " if times else ""
        click.echo(f"{stamp}{text}")


def task_key(target: Target, asked: str) -> Key:
    """The task that is meant; one that is gone still has its runs. Raises as `find_key`."""
    gone = {view.task for view in target.runs() if asked in {view.task.name, str(view.task)}}
    return gone.pop() if len(gone) == 1 else find_key(target, Kind.TASK, asked)


def matching_run(target: Target, asked: str) -> RunView | None:
    """The run whose id begins so, None where there is none. Raises SpecrunnerError where there are several."""
    found = [view for view in target.runs() if view.id.startswith(asked)] if len(asked) >= _SHORTEST_ID else []
    if len(found) > 1:
        raise SpecrunnerError(f"Several runs begin with {asked!r}.", remedy="Give more of the run's id.")
    return found[0] if found else None


def meant_run(target: Target, asked: str) -> RunView:
    """The run that is meant by the beginning of its id, or by its task: that one's last run."""
    by_id = matching_run(target, asked)
    if by_id is not None:
        return by_id
    try:
        found = target.runs(task_key(target, asked))
    except NotFound as problem:
        raise neither(asked, problem) from problem
    if not found:
        raise SpecrunnerError(
            f"The task {asked!r} has not run yet.", remedy="`specrunner run TASK` runs it now, whatever its schedule."
        )
    return found[0]


def neither(asked: str, problem: NotFound) -> NotFound:
    """The error for what names neither a run nor a task."""
    summary = f"There is neither a run nor a task {asked!r}."
    return NotFound(summary, problem.detail, problem.remedy or "`specrunner runs` lists the runs.")
