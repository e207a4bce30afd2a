"""tick: run what is due and exit, for cron, systemd timers and GitHub Actions."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from specrunner.cli.claiming import book_of
from specrunner.cli.notifying import TAIL, run_page, tell
from specrunner.cli.options import commit_option, plaintext_option
from specrunner.cli.planning import Request, at_commit, clock, history, secrets_of
from specrunner.cli.projects import lasting_project
from specrunner.cli.recording import Place, check_commit, status_place, warn
from specrunner.cli.runs import INTERRUPTED, RUN_FAILED
from specrunner.cli.terminal import say, say_json
from specrunner.cli.wiring import (
    directory_option,
    environment_option,
    interruptible,
    json_option,
    open_target,
)
from specrunner.core.decide import Wishes
from specrunner.core.errors import Busy, InvalidSpecs, UsageError
from specrunner.core.keys import Key
from specrunner.core.lifecycle import RunState
from specrunner.core.news import news_of_run
from specrunner.core.notifications import News
from specrunner.core.resources import Owner
from specrunner.core.values import iso
from specrunner.report.as_json import run_json
from specrunner.report.lines import Line, counted
from specrunner.report.runs import why
from specrunner.report.text import run_words

if TYPE_CHECKING:
    from specrunner.core.outcome import RunView
    from specrunner.core.recorded import Records
    from specrunner.core.resources import Desired
    from specrunner.core.ticks import TaskMemory
    from specrunner.reconcile.ticking import Ticked
    from specrunner.record.ticks import StatusBook
    from specrunner.targets.base import Target

_UNREAD: Final = "Nothing was run: what schedules have come to is told by the status files, and one can't be read."


@click.command()
@directory_option
@environment_option
@plaintext_option
@click.option(
    "--max-runs", type=click.IntRange(1), help="How many runs are under way at once; default: twice the processors."
)
@commit_option
@json_option
def tick(
    root: Path, environment: str | None, allow_plaintext: bool, max_runs: int | None, commit: bool, as_json: bool
) -> int:
    """Run what is due since schedules were looked at last, wait for it, record it; exit 6 if a run does not end well.

    For cron, systemd timers and GitHub Actions, where nobody serves. What was applied and what has run is told by the
    status branch, so a fresh machine neither repeats nor forgets; of several that wake at once, one alone runs each
    instant. Services and what runs once are not its matter.
    """
    from specrunner.reconcile.lease import held, this_process

    desired = lasting_project(root, environment)
    place = status_place(root, desired)
    check_commit(place, wanted=commit)
    if place is None:
        raise UsageError(
            "Without records nobody knows what has run, and so what is due.",
            detail="`status: none` stands in specrunner.yaml.",
            remedy="Write `status: {branch: specrunner-status}`, or keep `specrunner serve` running.",
        )
    holder = this_process(clock(), os.environ)
    request = Request(root, Wishes(), allow_plaintext=allow_plaintext)
    with open_target(root, desired) as target, ExitStack() as stack:
        if (host := target.host()) is not None:
            say([Line(f"`specrunner serve` (process {host.pid}) runs what is due here.")], stderr=as_json)
            return 0
        try:
            stack.enter_context(held(target, f"tick {desired.owner}", holder, clock(), target.stop_waiting))
        except Busy as problem:
            said = f"Another tick is at work on this machine: {problem.detail}"
            say([Line(said, "dim")], stderr=as_json)
            return 0
        book = _Careful(book_of(place, desired, holder), place)
        found = _ticked(request, desired, book, target, max_runs, quiet=as_json)
        if commit:
            place.commit(desired.owner)
    tell(desired.notifications, _news(desired.owner, found, book.ended), secrets_of(request))
    _tell(found, as_json=as_json)
    return _code(found)


def _ticked(
    request: Request,
    desired: Desired,
    book: _Careful,
    target: Target,
    max_runs: int | None,
    *,
    quiet: bool,
) -> Ticked:
    from specrunner.reconcile.ticking import Ticking

    def told(run: RunView) -> None:
        if not quiet:
            say([_run_line(run)])

    ticking = Ticking(
        book,
        target,
        clock().now,
        _restorer(request, desired, target),
        told,
        max_runs or 2 * (os.cpu_count() or 1),
    )
    with interruptible(ticking.interrupt):
        return ticking.run()


class _Careful:
    """A book that is not read where a page of it is torn out: what stood there might run again.

    `ended` is what was recorded of each task's runs before this tick, newest first.
    """

    def __init__(self, book: StatusBook, place: Place) -> None:
        self._book, self._place = book, place
        self.claim, self.renewing, self.record = book.claim, book.renewing, book.record
        self.ended: dict[Key, tuple[RunState, ...]] = {}

    def memories(self, now: datetime) -> tuple[list[TaskMemory], Records]:
        """What is recorded. Raises InvalidSpecs where a file can't be read."""
        found = self._book.memories(now)
        warn(self._place)
        if found[1].problems:
            raise InvalidSpecs(replace(one, detail=_UNREAD) for one in found[1].problems)
        for memory in found[0]:
            self.ended.setdefault(memory.key, memory.ended)
        return found


def _news(owner: Owner, found: Ticked, recorded: Mapping[Key, tuple[RunState, ...]]) -> Iterator[News]:
    """What is news of the runs of a tick, each judged by those before it, the recorded ones included."""
    before = dict(recorded)
    for run in (*found.recorded, *found.ran):
        known = before.get(run.task, ())
        yield from news_of_run(owner, replace(run, log_tail=run.log_tail[-TAIL:]), known, run_page())
        before[run.task] = (run.status, *known)


def _restorer(request: Request, desired: Desired, target: Target) -> Callable[[Records, frozenset[Key]], None]:
    """Makes a target that has lost its memory have what runs need."""

    def restore(records: Records, keys: frozenset[Key]) -> None:
        if target.remembers(desired.owner):
            return
        from specrunner.cli.progress import Progress
        from specrunner.reconcile.executor import Execution
        from specrunner.reconcile.planner import plan
        from specrunner.reconcile.restoring import prepared

        source = secrets_of(request)
        with history(request.root) as revisions, Progress(stderr=True, total=0) as progress:
            planned = plan(desired, target, source, recorded=lambda: records)
            some = {key: one for key, one in planned.recorded.items() if key in keys}
            planned = replace(planned, plan=replace(planned.plan, steps=()), recorded=some)
            restores = prepared(planned, source, at_commit(revisions, desired))
            execution = Execution(
                planned.plan, desired, planned.secrets, target, clock(), progress, restores=restores, partial=True
            )
            outcome = execution.run()
        if outcome.problems:
            raise InvalidSpecs(outcome.problems)

    return restore


def _run_line(run: RunView) -> Line:
    instant = f" for {iso(run.scheduled)}" if run.scheduled else ""
    return Line(f"{run.task}{instant}: {run_words(run)}.", "create" if run.succeeded else "error")


def _tell(found: Ticked, *, as_json: bool) -> None:
    if as_json:
        say_json(
            {
                "ran": [run_json(run) for run in found.ran],
                "recorded": [run_json(run) for run in found.recorded],
                "taken": found.taken,
            }
        )
        return
    for run in found.recorded:
        say(
            [
                Line(
                    f"{run.task} for {iso(run.scheduled) if run.scheduled else '-'}: {run.status}, {why(run)}.",
                    "warning",
                )
            ]
        )
    if found.taken:
        say([Line(f"{counted(found.taken, 'instant')} had been claimed by another machine.", "dim")])
    if not found.ran and not found.recorded:
        say([Line("Nothing is due." if not found.taken else "Nothing is left to be done here.")])


def _code(found: Ticked) -> int:
    if found.interrupted or any(not run.status.ended for run in found.ran):
        return INTERRUPTED
    return 0 if all(run.succeeded for run in found.ran) else RUN_FAILED
