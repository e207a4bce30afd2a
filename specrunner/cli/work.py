"""Carrying out a plan from the command line: the target ours alone, the question, the journal, the record."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from specrunner.cli.claiming import OrderClaims, book_of
from specrunner.cli.earlier import interrupted_apply, interrupted_lines
from specrunner.cli.planning import (
    Request,
    at_commit,
    clock,
    history,
    secrets_of,
    steps_words,
)
from specrunner.cli.recording import Written, check_commit, check_status, commit, share, status_place, write_status
from specrunner.cli.terminal import confirmed, interactive, say, say_json
from specrunner.cli.wiring import STATE_FOLDER, interruptible, open_target, terminable
from specrunner.core.errors import Diagnostic, SpecrunnerError, UsageError
from specrunner.report.lines import Line, counted
from specrunner.report.text import outcome_lines, plan_lines

if TYPE_CHECKING:
    from specrunner.core.interrupted import Interrupted
    from specrunner.core.leases import Holder
    from specrunner.core.outcome import Outcome, RunView
    from specrunner.core.plan import Plan
    from specrunner.core.ports import SecretSource
    from specrunner.core.resources import Desired
    from specrunner.core.values import JsonObject
    from specrunner.reconcile.journal import Journal
    from specrunner.reconcile.planner import Planned
    from specrunner.reconcile.restoring import Restore
    from specrunner.spec.revisions import Revisions
    from specrunner.targets.base import Target

_UNRECORDED: Final = Diagnostic(
    "This apply wrote no status files, because its lease was lost.",
    detail="Whoever has taken it writes them now; what was applied here is applied.",
    remedy="Look at `specrunner plan` when the other apply has ended.",
)


@dataclass(frozen=True, slots=True)
class How:
    """How an apply is wanted; times in seconds."""

    yes: bool = False
    force: bool = False
    parallelism: int = 8
    as_json: bool = False
    wait: bool = True
    wait_timeout: float | None = None
    lock_timeout: float = 0
    expect: str | None = None
    unlock: str = "specrunner unlock"
    record: bool = True
    push: bool = True
    told: Callable[[Outcome], None] | None = None  # is given the outcome, where anything was carried out
    commit: bool = False


@dataclass(frozen=True, slots=True)
class Work:
    """One apply on its way: what is wanted, where, and who does it."""

    root: Path
    desired: Desired
    target: Target
    revisions: Revisions
    source: SecretSource
    how: How
    holder: Holder
    lost: threading.Event
    interrupted: Interrupted | None


@contextmanager
def at_work(request: Request, desired: Desired, how: How) -> Iterator[Work]:
    """The target, opened and ours alone, until all is done. Raises Busy where somebody else has it."""
    from specrunner.reconcile.lease import held, lease_name, this_process

    holder, lost = this_process(clock(), os.environ), threading.Event()
    waiting = _Waiting()
    with (
        terminable(),
        history(request.root) as revisions,
        open_target(request.root, desired) as target,
        held(
            target,
            lease_name(desired.owner),
            holder,
            clock(),
            lost.set,
            timeout=how.lock_timeout,
            note=waiting,
            unlock=how.unlock,
        ),
    ):
        interrupted = interrupted_apply(request.root, desired, clear=True)
        source = secrets_of(request)
        yield Work(request.root, desired, target, revisions, source, how, holder, lost, interrupted)


class _Waiting:
    """Says whom we wait for."""

    def __call__(self, text: str) -> None:
        say([Line(f"{text[:1].upper()}{text[1:]}.", "dim")], stderr=True)


def carry_out(work: Work, planned: Planned) -> int:
    """Show the plan, ask, do it, record it; the status to exit with. Raises what stands against it."""
    from specrunner.reconcile import planner
    from specrunner.reconcile.restoring import prepared
    from specrunner.report.as_json import outcome_json

    how, plan = work.how, planned.plan
    say(interrupted_lines(work.interrupted), stderr=how.as_json)
    if not how.as_json:
        say(plan_lines(plan))
    if how.record:
        check_commit(status_place(work.root, planned.desired), wanted=how.commit)
    if how.expect is not None:
        check_hash(plan, how.expect)
    planner.check(planned, work.target, how.force)
    restores = prepared(planned, work.source, at_commit(work.revisions, work.desired))
    begins = bool(plan.work or restores)
    if begins and how.record:
        check_status(work.root, planned.desired)
    if begins and not _approved(plan, how):
        say([Line("Nothing was changed.")], stderr=how.as_json)
        return 0
    outcome, written = _executed(work, planned, restores)
    if how.told is not None:
        how.told(outcome)
    if how.as_json:
        say_json(outcome_json(outcome))
    elif begins or outcome.problems:
        say([Line(), *outcome_lines(outcome)])
        say(_closing(work.target, [one.run for one in outcome.steps if one.run is not None], written))
    return outcome.exit_code


def check_hash(plan: Plan, expected: str) -> None:
    """Raises StalePlan for any plan but that of this hash."""
    from specrunner.core.approval import expect

    expect(plan, expected)


def _approved(plan: Plan, how: How) -> bool:
    if how.yes:
        return True
    if not interactive() or how.as_json:
        raise UsageError(
            "Nobody is there to ask whether to apply this.",
            remedy="Say --yes to apply without a question.",
        )
    return confirmed(f"\n{steps_words(plan)}?")


def _executed(work: Work, planned: Planned, restores: tuple[Restore, ...]) -> tuple[Outcome, Written | None]:
    """Carry it out between the beginning of its journal and the writing of its record."""
    journal = _journal(work, planned, bool(restores))
    try:
        outcome = _execute(work, planned, restores, journal)
        outcome, page, recorded = _recorded(work, planned, outcome, sure=journal is None)
        if journal is not None and recorded:
            journal.remove()
    finally:
        if journal is not None:
            journal.close()
    return outcome, page


def _recorded(work: Work, planned: Planned, outcome: Outcome, *, sure: bool) -> tuple[Outcome, Written | None, bool]:
    """The outcome with what went wrong in recording it, the page of status, and whether it is recorded.

    Without being `sure` of the lease, it is asked for: whoever has taken it since writes the records now.
    """
    if not work.how.record:
        return outcome, None, True
    if work.lost.is_set() or not (sure or _still_ours(work)):
        return _with_problem(outcome, _UNRECORDED), None, False
    try:
        page = write_status(work.root, planned.desired, outcome, work.target, work.interrupted, work.holder.who)
    except SpecrunnerError as problem:
        return _with_problem(outcome, problem.diagnostics[0]), None, False
    try:
        if work.how.push:
            share(page)
        if work.how.commit:
            commit(page)
    except SpecrunnerError as problem:  # it is recorded here, and the next one brings it along
        return _with_problem(outcome, problem.diagnostics[0]), page, True
    return outcome, page, True


def _still_ours(work: Work) -> bool:
    from specrunner.reconcile.lease import lease_name

    try:
        return work.target.renew_lease(lease_name(work.desired.owner), work.holder.token)
    except SpecrunnerError:  # nobody knows; at the latest beat it was ours
        return True


def _with_problem(outcome: Outcome, problem: Diagnostic) -> Outcome:
    """The outcome, with a failure that is no step's."""
    return replace(outcome, problems=(*outcome.problems, problem))


def _journal(work: Work, planned: Planned, restoring: bool) -> Journal | None:
    """The journal, where there is anything to write in it, or one to be taken over."""
    from specrunner.reconcile.journal import Journal, header_of, journal_path

    if not (planned.plan.work or restoring or work.interrupted):
        return None
    path = journal_path(work.root / STATE_FOLDER, work.desired.owner.environment)
    return Journal.begin(path, header_of(planned.plan, clock(), work.holder.who), work.interrupted)


def _execute(work: Work, planned: Planned, restores: tuple[Restore, ...], journal: Journal | None) -> Outcome:
    from specrunner.cli.progress import Progress
    from specrunner.reconcile.executor import Execution, Options

    how, steps, claims = work.how, len(planned.plan.work), _claims(work, planned)
    if steps and not how.as_json:
        say([Line()])
    with Progress(stderr=how.as_json, total=steps) as progress:
        execution = Execution(
            planned.plan,
            planned.desired,
            planned.secrets,
            work.target,
            clock(),
            progress,
            how.parallelism,
            restores=restores,
            journal=journal,
            options=Options(wait=how.wait, wait_timeout=how.wait_timeout, claim=claims),
            lost=work.lost,
        )
        with interruptible(execution.interrupt), claims.renewing():
            outcome = execution.run()
    claims.release(outcome)
    return outcome


def _claims(work: Work, planned: Planned) -> OrderClaims:
    """What is asked before a run-once task's order is carried out; see `OrderClaims`."""
    place = status_place(work.root, planned.desired) if work.how.record and work.how.push else None
    if place is None or not place.declared or place.shared is None or place.shared.remote is None:
        return OrderClaims(None, planned.plan, planned.desired)
    forgets = not work.target.remembers(work.desired.owner)
    return OrderClaims(book_of(place, work.desired, work.holder) if forgets else None, planned.plan, planned.desired)


def _hosted(specs: list[JsonObject], host: Holder | None) -> Line:
    """Who takes up what does not run once."""
    services = sum(spec.get("service") is not None for spec in specs)
    counts = ((len(specs) - services, "schedule"), (services, "service"))
    words = " and ".join(counted(count, noun) for count, noun in counts if count)
    one = len(specs) == 1
    if host is None:
        return Line(f"{words} wait{'s' if one else ''} for `specrunner serve`.", "warning")
    return Line(f"{words} {'is' if one else 'are'} in the hands of {_called(host)}.")


def _called(host: Holder) -> str:
    """A host for people; a platform is no process of ours."""
    return f"`specrunner serve` (process {host.pid})" if host.pid else f"the platform at {host.host}"


def _closing(target: Target, runs: list[RunView], written: Written | None) -> Iterator[Line]:
    """What is left to know: what a host has in hand or what waits for one, and where the records are."""
    from specrunner.cli.runs import left_alone_lines
    from specrunner.core.keys import Kind
    from specrunner.core.resources import is_run_once

    host = target.host()
    if runs and host is not None:
        yield Line(f"{counted(len(runs), 'run')} handed to {_called(host)}.")
    elif not all(run.status.ended for run in runs):
        yield from left_alone_lines()
    specs = [found.spec for key, found in target.read().items() if key.kind is Kind.TASK]
    if waiting := [spec for spec in specs if not is_run_once(spec)]:
        yield _hosted(waiting, host)
    if written is not None:
        yield Line(f"Status: {written}")
