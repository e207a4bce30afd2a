"""plan, apply, destroy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from specrunner.cli.hidden import Remembered
from specrunner.cli.offline import from_fork, offline_option
from specrunner.cli.terminal import confirmed, interactive, say, say_json
from specrunner.cli.wiring import (
    STATE_FOLDER,
    directory_option,
    environment_option,
    interruptible,
    json_option,
    load_desired,
    look_at_target,
    open_target,
)
from specrunner.core.decide import Wishes
from specrunner.core.errors import SpecrunnerError, UsageError
from specrunner.core.keys import Key
from specrunner.core.plan import to_json
from specrunner.report.diagnostics import diagnostic_lines
from specrunner.report.lines import Line, counted
from specrunner.report.text import outcome_lines, plan_lines

if TYPE_CHECKING:
    from specrunner.core.outcome import Outcome
    from specrunner.core.ports import SecretSource
    from specrunner.core.resources import Desired
    from specrunner.reconcile.planner import Planned
    from specrunner.targets.base import Target


def _adopted(_context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> frozenset[Key]:
    try:
        return frozenset(Key.parse(value) for value in values)
    except ValueError as problem:
        raise click.BadParameter(f"{problem}") from problem


def _wish_options(command: Any) -> Any:
    command = click.option(
        "--adopt", metavar="KEY", multiple=True, callback=_adopted, help="Take over this object that nobody owns."
    )(command)
    command = click.option("--allow-plaintext", is_flag=True, help="Accept `{value: …}` as a secret: for tests only.")(
        command
    )
    return click.option("--no-destroy", is_flag=True, help="Delete nothing; list what would be deleted.")(command)


@click.command()
@directory_option
@environment_option
@_wish_options
@offline_option
@json_option
def plan(
    root: Path,
    environment: str | None,
    adopt: frozenset[Key],
    no_destroy: bool,
    allow_plaintext: bool,
    offline: bool,
    as_json: bool,
) -> None:
    """Show what apply would change, and why. Changes nothing."""
    desired = load_desired(root, environment, offline)
    say(diagnostic_lines(desired.warnings), stderr=True)
    source = _secrets(root, allow_plaintext, offline)
    with look_at_target(root) as target:
        planned = _plan(source, desired, target, Wishes(adopt, destroy=not no_destroy))
    if as_json:
        say_json(to_json(planned.plan))
    else:
        say(plan_lines(planned.plan))


@click.command()
@directory_option
@environment_option
@_wish_options
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--force", is_flag=True, help="Also when a large part of what is live would change.")
@click.option("--parallelism", type=click.IntRange(1, 64), default=8, show_default=True, help="Steps at a time.")
@json_option
def apply(
    root: Path,
    environment: str | None,
    adopt: frozenset[Key],
    no_destroy: bool,
    allow_plaintext: bool,
    yes: bool,
    force: bool,
    parallelism: int,
    as_json: bool,
) -> int:
    """Make the target as the files declare, and wait for the runs it starts."""
    desired = load_desired(root, environment)
    say(diagnostic_lines(desired.warnings), stderr=True)
    source = _secrets(root, allow_plaintext, offline=from_fork())
    with _locked(root), open_target(root) as target:
        planned = _plan(source, desired, target, Wishes(adopt, destroy=not no_destroy))
        return _carry_out(root, planned, target, _How(yes, force, parallelism, as_json))


@click.command()
@directory_option
@environment_option
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--force", is_flag=True, help="Accepted for scripts; destroy means all of it anyway.", hidden=True)
@json_option
def destroy(root: Path, environment: str | None, yes: bool, force: bool, as_json: bool) -> int:
    """Remove everything that this project has on its target, in reverse order."""
    from specrunner.reconcile.planner import plan_destroy

    desired = load_desired(root, environment)
    with _locked(root), open_target(root) as target:
        return _carry_out(root, plan_destroy(desired, target), target, _How(yes, True, 8, as_json))


class _How:
    """How an apply is wanted."""

    def __init__(self, yes: bool, force: bool, parallelism: int, as_json: bool) -> None:
        self.yes = yes
        self.force = force
        self.parallelism = parallelism
        self.as_json = as_json


def _secrets(root: Path, allow_plaintext: bool, offline: bool) -> SecretSource:
    from specrunner.spec.secrets import FileSecrets

    return Remembered(FileSecrets(root, allow_plaintext, offline))


def _plan(source: SecretSource, desired: Desired, target: Target, wishes: Wishes) -> Planned:
    from specrunner.reconcile.planner import plan as make_plan

    return make_plan(desired, target, source, wishes)


def _carry_out(root: Path, planned: Planned, target: Target, how: _How) -> int:
    from specrunner.reconcile import planner
    from specrunner.report.as_json import outcome_json

    if not how.as_json:
        say(plan_lines(planned.plan))
    _status_folder(root, planned.desired)
    planner.check(planned, target, how.force)
    if planned.plan.work and not _approved(planned, how):
        say([Line("Nothing was changed.")], stderr=how.as_json)
        return 0
    outcome = _execute(planned, target, how)
    written = _recorded(root, planned, outcome, target)
    if how.as_json:
        say_json(outcome_json(outcome))
    elif planned.plan.work:
        say([Line(), *outcome_lines(outcome)])
        say(_closing(target, written))
    return outcome.exit_code


def _approved(planned: Planned, how: _How) -> bool:
    if how.yes:
        return True
    if not interactive() or how.as_json:
        raise UsageError(
            "Nobody is there to ask whether to apply this.",
            remedy="Say --yes to apply without a question.",
        )
    return confirmed(f"\nApply {counted(len(planned.plan.work), 'step')}?")


def _execute(planned: Planned, target: Target, how: _How) -> Outcome:
    from specrunner.cli.progress import Progress
    from specrunner.engine.clock import SystemClock
    from specrunner.reconcile.executor import Execution

    if planned.plan.work and not how.as_json:
        say([Line()])
    with Progress(stderr=how.as_json) as progress:
        execution = Execution(
            planned.plan, planned.desired, planned.secrets, target, SystemClock(), progress, how.parallelism
        )
        with interruptible(execution.interrupt):
            return execution.run()


@contextmanager
def _locked(root: Path) -> Iterator[None]:
    from specrunner.engine.clock import SystemClock
    from specrunner.reconcile.lease import lease

    with lease(root / STATE_FOLDER, SystemClock()):
        yield


def _recorded(root: Path, planned: Planned, outcome: Outcome, target: Target) -> Path | None:
    """Write the status files; the page that people open, or None where none was written."""
    from specrunner.record.folder import FolderStatus
    from specrunner.record.status import record

    folder = _status_folder(root, planned.desired)
    if folder is None:
        return None
    page = record(FolderStatus(folder), planned.desired.owner, outcome, target)
    return folder / page if page else None


def _status_folder(root: Path, desired: Desired) -> Path | None:
    """Where status files go; None where the project wants none. Raises SpecrunnerError for a place that is not ours."""
    declared = desired.status
    if declared == "none":
        return None
    named = str(declared.get("directory", "status") if isinstance(declared, dict) else "status")
    folder = (root / named).resolve()
    if folder == root or not folder.is_relative_to(root) or folder.is_file():
        raise SpecrunnerError(
            f"Status files can't go to {named!r}.",
            detail="They need a folder of their own below the spec repository.",
            remedy="Write `status: {directory: status}` in specrunner.yaml.",
        )
    return folder


def _closing(target: Target, written: Path | None) -> Iterator[Line]:
    """What is left to know: what waits for a host, and where the records are."""
    from specrunner.core.keys import Kind
    from specrunner.core.resources import is_run_once

    waiting = [found for key, found in target.read().items() if key.kind is Kind.TASK and not is_run_once(found.spec)]
    if waiting:
        tasks = counted(len(waiting), "scheduled or service task")
        yield Line(f"{tasks} stored. This version starts them only by hand: `specrunner run TASK`.", "warning")
    if written is not None:
        yield Line(f"Status: {written}")
