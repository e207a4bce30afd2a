"""Commands about runs: run, runs, logs."""

from __future__ import annotations

from pathlib import Path

import click

from specrunner.cli.terminal import say, say_json, table
from specrunner.cli.wiring import directory_option, find_key, interruptible, json_option, open_target
from specrunner.core.errors import NotFound, SpecrunnerError
from specrunner.core.keys import Key, Kind
from specrunner.core.lifecycle import RunState
from specrunner.core.outcome import RunView
from specrunner.core.resources import LiveObject, intent_of, is_run_once
from specrunner.core.values import format_duration, iso
from specrunner.report.as_json import run_json
from specrunner.report.lines import Line
from specrunner.report.text import goes_on_lines, run_words
from specrunner.targets.base import Target

RUN_FAILED = 6
INTERRUPTED = 130


@click.command()
@click.argument("task")
@directory_option
@json_option
def run(root: Path, task: str, as_json: bool) -> int:
    """Run TASK now and wait for its end; exit 6 if it does not end well.

    Interrupted, it exits 130 and the run goes on.
    """
    with open_target(root, must_exist=True) as target:
        key = find_key(target, Kind.TASK, task)
        order = _open_order(target.read()[key])
        with interruptible(target.stop_waiting):
            ended = target.run(key, order)
    if as_json:
        say_json(run_json(ended))
    elif not ended.status.ended:
        say(goes_on_lines(ended), stderr=True)
    else:
        say([Line(text) for text in ended.log_tail])
        if not ended.succeeded and not ended.log_tail:
            say([Line(text, "error") for text in ended.detail.splitlines()])
        style = "create" if ended.succeeded else "error"
        say([Line(f"Run {ended.id} of {key}: {run_words(ended)}.", style)])
    if not ended.status.ended:
        return INTERRUPTED
    return 0 if ended.succeeded else RUN_FAILED


def _open_order(found: LiveObject) -> str | None:
    """The intent that this run carries out, so that plan no longer asks for it; None where that has been done."""
    if not is_run_once(found.spec):
        return None
    intent = intent_of(found.spec)
    return None if found.intents.get(intent) == RunState.SUCCESS else intent


@click.command()
@click.argument("task", required=False)
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="How many to show.")
@directory_option
@json_option
def runs(root: Path, task: str | None, limit: int, as_json: bool) -> None:
    """List the runs of TASK, or of all tasks, newest first."""
    with open_target(root, must_exist=True) as target:
        found = list(target.runs(_task_key(target, task) if task else None))[:limit]
    if as_json:
        say_json([run_json(one) for one in found])
    elif not found:
        say([Line("No runs yet.")])
    else:
        table(("run", "task", "status", "started", "duration"), [_row(one) for one in found])


def _row(run_: RunView) -> tuple[str, ...]:
    started = iso(run_.started.replace(microsecond=0)) if run_.started else "-"
    took = format_duration(round(run_.seconds, 1)) if run_.seconds is not None else "-"
    return (run_.id[:8], f"{run_.task.workspace}/{run_.task.name}", run_words(run_), started, took)


@click.command()
@click.argument("run_or_task")
@click.option("--times", is_flag=True, help="Put the time before each line.")
@directory_option
def logs(root: Path, run_or_task: str, times: bool) -> None:
    """Show the log of a run, or of a task's last run."""
    from datetime import UTC, datetime

    with open_target(root, must_exist=True) as target:
        for moment, text in target.log(_run_id(target, run_or_task)):
            stamp = f"{iso(datetime.fromtimestamp(moment, UTC))} " if times else ""
            click.echo(f"{stamp}{text}")


def _task_key(target: Target, asked: str) -> Key:
    """The task that is meant; one that is gone still has its runs."""
    gone = {view.task for view in target.runs() if asked in {view.task.name, str(view.task)}}
    return gone.pop() if len(gone) == 1 else find_key(target, Kind.TASK, asked)


def _run_id(target: Target, asked: str) -> str:
    by_id = [view for view in target.runs() if view.id.startswith(asked)] if len(asked) >= 4 else []
    if len(by_id) == 1:
        return by_id[0].id
    if by_id:
        raise SpecrunnerError(f"Several runs begin with {asked!r}.", remedy="Give more of the run's id.")
    try:
        found = target.runs(_task_key(target, asked))
    except NotFound as problem:
        summary = f"There is neither a run nor a task {asked!r}."
        raise NotFound(summary, problem.detail, problem.remedy or "`specrunner runs` lists the runs.") from problem
    if not found:
        raise SpecrunnerError(
            f"The task {asked!r} has not run yet.", remedy="`specrunner run TASK` runs it now, whatever its schedule."
        )
    return found[0].id
