"""apply and destroy: which plan is carried out, and how."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from specrunner.cli.notifying import applied_news, tell
from specrunner.cli.offline import from_fork
from specrunner.cli.options import (
    Asked,
    asking_options,
    commit_option,
    lock_option,
    parallelism_option,
    recording_options,
    seconds,
    yes_option,
)
from specrunner.cli.plan_files import read_plan
from specrunner.cli.planning import Request, planned_for, request_of
from specrunner.cli.recording import commit_of, records_of
from specrunner.cli.terminal import say
from specrunner.cli.wiring import directory_option, environment_option, json_option, load_desired
from specrunner.cli.work import How, Work, at_work, carry_out, check_hash
from specrunner.core.decide import Wishes
from specrunner.core.errors import UsageError
from specrunner.report.diagnostics import diagnostic_lines

if TYPE_CHECKING:
    from specrunner.core.outcome import Outcome
    from specrunner.core.plan import Plan
    from specrunner.core.resources import Desired
    from specrunner.reconcile.planner import Planned

_WHY: Final = (
    "Nothing was removed: destroy reads the specs to know whose objects to remove and where, "
    "which their project, its environment and its target say."
)
_Command = TypeVar("_Command", bound=Callable[..., Any])


def _waiting_options(command: _Command) -> _Command:
    command = click.option(
        "--wait-timeout", metavar="TIME", type=seconds, help="Wait no longer than this for runs; they go on."
    )(command)
    return click.option("--no-wait", is_flag=True, help="Do not wait for the runs that are started.")(command)


@click.command()
@click.argument("planfile", required=False, type=click.Path(path_type=Path))
@directory_option
@environment_option
@asking_options
@click.option("--expect", metavar="HASH", help="Refuse any plan but the one of this hash.")
@click.option("--force", is_flag=True, help="Also when a large part of what is live would change.")
@_waiting_options
@lock_option
@recording_options
@commit_option
@parallelism_option
@yes_option
@json_option
def apply(
    planfile: Path | None,
    root: Path,
    environment: str | None,
    asked: Asked,
    expect: str | None,
    force: bool,
    no_wait: bool,
    wait_timeout: float | None,
    lock_timeout: float,
    record: bool,
    push: bool,
    commit: bool,
    parallelism: int,
    yes: bool,
    as_json: bool,
) -> int:
    """Make the target as the files declare, and wait for the runs it starts.

    With PLANFILE, which `specrunner plan --out` saved, do what stands in it and nothing else.
    """
    approved = read_plan(planfile) if planfile else None
    if approved is not None:
        _check_alone(environment, approved, asked.narrows)
        environment = approved.environment
        if expect is not None:
            check_hash(approved, expect)
            expect = None  # what is left of it, where a part is done already, has another hash
    outcomes: list[Outcome] = []
    how = How(
        yes,
        force,
        parallelism,
        as_json,
        not no_wait,
        wait_timeout,
        lock_timeout,
        expect,
        _unlock_command(environment),
        record,
        push,
        outcomes.append,
        commit,
    )
    desired = load_desired(root, environment, asked.offline)
    say(diagnostic_lines(desired.warnings), stderr=True)
    request = request_of(root, asked, _wishes_of(approved, desired) if approved else None)

    def made(work: Work) -> Planned:
        planned = planned_for(request, desired, work.target, work.revisions, work.source)
        return _as_approved(planned, approved) if approved is not None else planned

    with at_work(request, desired, how) as work:
        status, source = carry_out(work, made(work)), work.source
        news = applied_news(desired, work.target, outcomes[0] if outcomes else None)
    tell(desired.notifications, news, source)
    return status


@click.command()
@directory_option
@environment_option
@click.option("--force", is_flag=True, help="Accepted for scripts; destroy means all of it anyway.", hidden=True)
@lock_option
@recording_options
@commit_option
@parallelism_option
@yes_option
@json_option
def destroy(
    root: Path,
    environment: str | None,
    force: bool,
    lock_timeout: float,
    record: bool,
    push: bool,
    commit: bool,
    parallelism: int,
    yes: bool,
    as_json: bool,
) -> int:
    """Remove everything that this project has on its target, in reverse order."""
    from specrunner.reconcile.planner import plan_destroy

    desired = load_desired(root, environment, offline=True, why=_WHY)  # what is removed needs no secret
    unlock = _unlock_command(environment)
    how = How(yes, True, parallelism, as_json, lock_timeout=lock_timeout, unlock=unlock, record=record, push=push)
    how = replace(how, commit=commit)
    with at_work(Request(root, Wishes(), offline=from_fork()), desired, how) as work:
        of = commit_of(root, desired)
        return carry_out(work, plan_destroy(desired, work.target, of, recorded=records_of(root, desired)))


def _unlock_command(environment: str | None) -> str:
    return f"specrunner unlock -e {environment}" if environment else "specrunner unlock"


def _check_alone(environment: str | None, approved: Plan, narrowed: object) -> None:
    """A plan file says itself what is applied, and where. Raises UsageError where something else is asked for."""
    if environment is not None and environment != approved.environment:
        raise UsageError(
            f"The plan is for the environment {approved.environment!r}, not for {environment!r}.",
            remedy="Leave -e out: the plan file says it.",
        )
    if narrowed:
        raise UsageError(
            "A plan file says itself what is applied.",
            detail="--select, --changed-since, --adopt and --no-destroy belong to `specrunner plan`.",
            remedy="Leave them out, or make the plan anew with them.",
        )


def _wishes_of(approved: Plan, desired: Desired) -> Wishes:
    from specrunner.core.approval import wishes_of

    return wishes_of(approved, desired)


def _as_approved(planned: Planned, approved: Plan) -> Planned:
    from specrunner.reconcile.approving import approved as only_approved

    return only_approved(planned, approved)
