"""Apply on merge: what the merged pull request has shown is applied, and nothing else.

The plan is made anew and compared with the reviewed one. What was reviewed and is done already, by an apply that
failed half way, is no difference: running the job again does the rest. Anything else is refused with the differences,
and can be approved by its hash.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from specrunner.cli.ci_plan import failed, plan_context
from specrunner.cli.desk import ROOM, Desk, inside_workspace, quiet_log
from specrunner.cli.notifying import applied_news, run_page, secrets_at, tell
from specrunner.cli.planning import Request, braked_words, planned_for
from specrunner.cli.terminal import say
from specrunner.cli.wiring import load_desired
from specrunner.cli.work import How, at_work, carry_out, check_hash
from specrunner.core.decide import Wishes
from specrunner.core.errors import Diagnostic, SpecrunnerError, StalePlan
from specrunner.core.news import news_of_failure
from specrunner.core.outcome import Fate
from specrunner.core.resources import Owner
from specrunner.forge.reviewed import Merged, Reviewed, hash_words, merged_pull_request, reviewed_plan
from specrunner.forge.statuses import State
from specrunner.report.diagnostics import diagnostic_lines
from specrunner.report.markdown import OUTCOME_HEADER, outcome_markdown, plan_markdown
from specrunner.report.outcomes import outcome_summary
from specrunner.report.problems import problems_markdown
from specrunner.report.words import plan_summary, run_words

if TYPE_CHECKING:
    from specrunner.core.notifications import News
    from specrunner.core.outcome import Outcome
    from specrunner.core.plan import Plan
    from specrunner.core.resources import Desired
    from specrunner.reconcile.planner import Planned

ISSUE: Final = "specrunner-apply"
_MOST: Final = 50  # differences that are told one by one


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be applied: the environment, a hash that a person approves, and whether a review is asked for."""

    environment: str | None = None
    expect: str | None = None
    review: bool = True
    force: bool = False


@dataclass(slots=True)
class Course:
    """What is known of an apply by the time that it ends, however it ends."""

    merged: Merged | None = None
    planned: Planned | None = None
    outcome: Outcome | None = None
    problem: SpecrunnerError | None = None
    code: int = 0
    news: list[News] = field(default_factory=list)


def applied(desk: Desk, root: Path, wanted: Wanted) -> int:
    """Apply and report it; the status to exit with."""
    try:
        desired = load_desired(root, wanted.environment)
    except SpecrunnerError as problem:
        return failed(desk, root, wanted.environment, problem, lambda owner, text: _open(desk, owner, text))
    course = Course()
    how = How(yes=True, force=wanted.force, told=lambda outcome: setattr(course, "outcome", outcome))
    request = Request(root, Wishes())
    try:
        with quiet_log(), at_work(request, desired, how) as work:
            course.planned = planned_for(request, desired, work.target, work.revisions, work.source)
            _check_approved(desk, course, course.planned, wanted)
            course.code = carry_out(work, course.planned)
            course.news = applied_news(desired, work.target, course.outcome)
    except SpecrunnerError as problem:
        course.problem, course.code = problem, problem.exit_code
        with quiet_log():
            say(diagnostic_lines(problem.diagnostics))
    desk.annotate(*_told(course), prefix=inside_workspace(root))
    report(desk, course, desired.owner)
    _notify(root, desired, course)
    return course.code


def _told(course: Course) -> Iterator[Diagnostic]:
    """What is annotated: why nothing was applied, or each step and run that failed."""
    if course.problem is not None:
        yield from course.problem.diagnostics
    if course.outcome is not None:
        yield from course.outcome.problems
        yield from (step.problem for step in course.outcome.with_fate(Fate.FAILED) if step.problem is not None)
        for run in course.outcome.unsuccessful_runs:
            yield Diagnostic(f"the run of {run.task} ended as {run_words(run)}", run.detail)


def _notify(root: Path, desired: Desired, course: Course) -> None:
    news = course.news
    if course.problem is not None:
        detail = "\n".join(one.summary for one in course.problem.diagnostics)
        news = [*news, news_of_failure(desired.owner, course.problem.summary, detail, run_page())]
    tell(desired.notifications, news, secrets_at(root))


def _check_approved(desk: Desk, course: Course, planned: Planned, wanted: Wanted) -> None:
    """Raises StalePlan for a plan that nobody has seen."""
    plan = planned.plan
    if desk.github is not None:
        course.merged = merged_pull_request(desk.github, desk.around.sha, desk.around.branch)
    if wanted.expect:
        check_hash(plan, wanted.expect)
        return
    if not plan.has_changes or not wanted.review:
        return
    github = desk.need()
    if course.merged is None:
        raise StalePlan(
            "Nobody has reviewed this plan: no merged pull request brought this commit.", "", _approving(plan)
        )
    context = plan_context(planned.desired.owner)
    about = {"project": plan.project, "environment": plan.environment}
    shown = reviewed_plan(github, course.merged, desk.author, about, context)
    _compare(planned, shown, course.merged)


def _compare(planned: Planned, shown: Reviewed | None, merged: Merged) -> None:
    from specrunner.core.approval import differences

    plan = planned.plan
    if shown is None or not shown.hash:
        raise StalePlan(f"Pull request #{merged.number} shows no plan of ours that held.", "", _approving(plan))
    if not shown.complete:
        raise StalePlan(f"Pull request #{merged.number} shows only a part of its plan.", "", _approving(plan))
    if shown.hash == plan.hash:
        return
    summary = f"This is not the plan that pull request #{merged.number} has shown."
    hashes = f"The reviewed plan is {shown.hash}, the one due now is {plan.hash}."
    if shown.plan is None:
        raise StalePlan(summary, hashes, _approving(plan))
    found = differences(shown.plan, plan, planned.desired)
    if found:
        more = [f"… and {len(found) - _MOST} more differences."] if len(found) > _MOST else []
        raise StalePlan(summary, "\n".join([hashes, *found[:_MOST], *more]), _approving(plan))


def _approving(plan: Plan) -> str:
    return (
        f"If it is right as it is now, run this workflow by hand with `expect` {plan.hash}.\n"
        "If it is not, change the files in a pull request: its comment shows what would come of it."
    )


def report(desk: Desk, course: Course, owner: Owner) -> None:
    """Tell what came of it: summary, outputs, comment, status, and the issue."""
    markdown = _markdown(course, owner)
    plan = course.planned.plan if course.planned else None
    words = _words(course)
    desk.summary(markdown)
    if plan is not None and course.outcome is None:
        desk.summary(plan_markdown(plan, braked_words(course.planned) if course.planned else ()))
    desk.outputs(changes=str(bool(plan and plan.has_changes)).lower(), hash=plan.hash if plan else "", summary=words)
    desk.comment(course.merged.number if course.merged else None, OUTCOME_HEADER, owner, markdown)
    state = State.FAILURE if course.code else State.SUCCESS
    about = f"{hash_words(plan.hash)}: " if plan else ""
    desk.mark(desk.around.sha, f"specrunner apply {owner}", state, f"{about}{words}")
    if course.code:
        _open(desk, owner, markdown)
    else:
        desk.close_issue(ISSUE, owner, f"Applied: {words} {desk.around.run_url}".strip())


def _markdown(course: Course, owner: Owner) -> str:
    if course.outcome is not None:
        return outcome_markdown(course.outcome, limit=ROOM)
    problems = course.problem.diagnostics if course.problem else ()
    return problems_markdown(owner, problems, name=OUTCOME_HEADER, title="Nothing was applied", limit=ROOM)


def _words(course: Course) -> str:
    if course.outcome is not None:
        return outcome_summary(course.outcome)
    if course.problem is not None:
        return course.problem.summary
    return plan_summary(course.planned.plan) if course.planned else ""


def _open(desk: Desk, owner: Owner, markdown: str) -> None:
    """The issue: its first line is its own, what follows is what the comment says."""
    from specrunner.report.escaping import comment

    header = comment(ISSUE, {"version": 1, "project": owner.project, "environment": owner.environment})
    commit = f"Commit {desk.around.sha}, [run]({desk.around.run_url})." if desk.around.run_url else ""
    rest = markdown.partition("\n")[2]
    desk.open_issue(ISSUE, owner, f"Apply failed: {owner}", f"{header}\n{commit}\n\n{rest}")
