"""The steps that only look: validate, plan and drift, as a workflow reports them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from specrunner.cli.desk import ROOM, Desk, inside_workspace, quiet_log
from specrunner.cli.offline import from_fork
from specrunner.cli.plan_files import save
from specrunner.cli.planning import Request, braked_words, history, planned_for
from specrunner.cli.terminal import say
from specrunner.cli.wiring import load_desired, look_at_target, read_specs
from specrunner.core.decide import Wishes
from specrunner.core.errors import Diagnostic, InvalidSpecs, Severity, SpecrunnerError
from specrunner.core.resources import Owner
from specrunner.forge.files import SUMMARY_LIMIT
from specrunner.forge.reviewed import hash_words
from specrunner.forge.statuses import State
from specrunner.report.drift import DRIFT_HEADER, drift_markdown
from specrunner.report.lines import counted
from specrunner.report.markdown import PLAN_HEADER, plan_markdown
from specrunner.report.problems import problems_markdown
from specrunner.report.reviewed import packed
from specrunner.report.text import drift_lines, plan_lines
from specrunner.report.words import plan_summary

if TYPE_CHECKING:
    from specrunner.core.resources import Desired
    from specrunner.reconcile.drift import Drift
    from specrunner.reconcile.planner import Planned

_CHARACTERS: Final = SUMMARY_LIMIT // 4  # of the plan in a summary, which has a limit in bytes


def plan_context(owner: Owner) -> str:
    """The name of the status that tells of a plan."""
    return f"specrunner plan {owner}"


def validated(desk: Desk, root: Path, environment: str | None, offline: bool) -> int:
    """Check the specs; the status to exit with."""
    try:
        desired = read_specs(root, environment, offline)
    except SpecrunnerError as problem:
        return failed(desk, root, environment, problem)
    desk.annotate(*desired.warnings, prefix=inside_workspace(root))
    words = f"{desired.owner}: {counted(len(desired.resources), 'object')} declared, all valid."
    desk.summary(f"### {words}")
    desk.outputs(changes="", hash="", summary=words)
    return 0


def planned(desk: Desk, root: Path, environment: str | None, offline: bool, out: Path | None) -> int:
    """Plan and report it; the status to exit with."""
    pull = desk.around.pull_request
    try:
        made = _made(root, environment, offline)
    except SpecrunnerError as problem:
        return failed(desk, root, environment, problem, functools.partial(_tell_unplanned, desk, pull))
    plan, whole = made.plan, not made.problems
    desk.annotate(*made.desired.warnings, *made.problems, *braked_words(made), prefix=inside_workspace(root))
    with quiet_log():
        say(plan_lines(plan))
    _report_plan(desk, pull, made)
    if out is not None and whole:
        save(plan, out)
    return 0 if whole else InvalidSpecs.exit_code


def _made(root: Path, environment: str | None, offline: bool) -> Planned:
    desired = load_desired(root, environment, offline)
    with history(root) as revisions, look_at_target(root, desired) as target:
        return planned_for(Request(root, Wishes(), offline=offline), desired, target, revisions)


def _report_plan(desk: Desk, pull: int | None, made: Planned) -> None:
    plan, whole, owner = made.plan, not made.problems, made.desired.owner
    markdown = functools.partial(
        plan_markdown,
        plan,
        [*made.problems, *made.desired.warnings, *braked_words(made)],
        more={"commit": desk.around.head_sha, "plan": packed(plan)},
        whole=whole,
    )
    words = plan_summary(plan) if whole else "This plan is not whole."
    desk.summary(markdown(limit=_CHARACTERS))
    desk.outputs(changes=str(plan.has_changes).lower(), hash=plan.hash, summary=words)
    desk.comment(pull, PLAN_HEADER, owner, markdown())
    state = State.SUCCESS if whole else State.FAILURE
    desk.mark(desk.around.head_sha, plan_context(owner), state, f"{hash_words(plan.hash)}: {words}")


def _tell_unplanned(desk: Desk, pull: int | None, owner: Owner, markdown: str) -> None:
    """The comment must not go on showing a plan of other files."""
    desk.comment(pull, PLAN_HEADER, owner, markdown)
    desk.mark(desk.around.head_sha, plan_context(owner), State.FAILURE, "nothing could be planned")


def failed(
    desk: Desk,
    root: Path,
    environment: str | None,
    problem: SpecrunnerError,
    tell: Callable[[Owner, str], None] | None = None,
) -> int:
    """Report what keeps a step from its work; `tell` is called where it is known whose specs these are."""
    owner = _owner(root, environment)
    desk.annotate(*problem.diagnostics, prefix=inside_workspace(root))
    markdown = problems_markdown(owner, problem.diagnostics, limit=ROOM)
    desk.summary(markdown)
    errors = sum(one.severity is Severity.ERROR for one in problem.diagnostics)
    desk.outputs(changes="", hash="", summary=f"{counted(errors, 'problem')}.")
    if tell is not None and owner is not None:
        tell(owner, markdown)
    return problem.exit_code


def _owner(root: Path, environment: str | None) -> Owner | None:
    from specrunner.spec.desired import owner_of

    try:
        return owner_of(root, environment)
    except SpecrunnerError:
        return None


def drifted(desk: Desk, root: Path, environment: str | None) -> int:
    """Look for drift and keep its issue; the status to exit with."""
    try:
        found, desired = _drift(root, environment)
    except SpecrunnerError as problem:
        return failed(desk, root, environment, problem)
    owner, markdown = desired.owner, drift_markdown(desired.owner, found.changed, found.missing)
    with quiet_log():
        say(drift_lines(found.changed, found.missing))
    desk.summary(markdown)
    count = len({*found.changed, *found.missing})
    desk.outputs(changes=str(bool(found)).lower(), hash="", summary=f"{counted(count, 'object')} drifted.")
    if found:
        title = f"Drift: somebody else has changed what is live in {owner}"
        desk.open_issue(DRIFT_HEADER, owner, title, markdown)
        desk.annotate(Diagnostic(f"drift in {owner}", f"{count} objects.", severity=Severity.WARNING))
    else:
        desk.close_issue(DRIFT_HEADER, owner, f"What is live is what was applied again. {desk.around.run_url}".strip())
    return 0


def _drift(root: Path, environment: str | None) -> tuple[Drift, Desired]:
    from specrunner.reconcile.drift import drift_of

    offline = from_fork()
    desired = load_desired(root, environment, offline)
    request = Request(root, Wishes(), offline=offline)
    with history(root) as revisions, look_at_target(root, desired) as target:
        made = planned_for(request, desired, target, revisions, previews=False)
    return drift_of(made.live, desired.owner), desired
