"""plan, and what apply and destroy share with it: how a plan is asked for, made and told."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from specrunner.cli.earlier import earlier_apply, interrupted_lines
from specrunner.cli.hidden import Remembered
from specrunner.cli.options import Asked, asking_options, new_file
from specrunner.cli.plan_files import save
from specrunner.cli.recording import commit_of, records_of
from specrunner.cli.terminal import say, say_json
from specrunner.cli.wiring import (
    directory_option,
    environment_option,
    json_option,
    load_desired,
    look_at_target,
)
from specrunner.core.decide import Wishes
from specrunner.core.errors import Diagnostic, InvalidSpecs, Severity, SpecrunnerError, UsageError
from specrunner.core.keys import Key
from specrunner.core.plan import to_json
from specrunner.report.diagnostics import diagnostic_lines
from specrunner.report.lines import Line, counted
from specrunner.report.text import plan_lines

if TYPE_CHECKING:
    from specrunner.core.diff import FieldChange
    from specrunner.core.plan import Plan
    from specrunner.core.ports import Clock, SecretSource
    from specrunner.core.resources import Desired, Resource
    from specrunner.reconcile.planner import Planned
    from specrunner.spec.revisions import Revisions
    from specrunner.targets.base import Target

CHANGES = 2  # exit status: something would change, where that was asked
BLOCKED = 3  # likewise: nothing would change, because a rule forbids what is left


@dataclass(frozen=True, slots=True)
class Request:
    """What a plan is wanted for; `select` and `since` narrow it down."""

    root: Path
    wishes: Wishes
    select: frozenset[Key] = frozenset()
    since: str | None = None
    allow_plaintext: bool = False
    offline: bool = False


def request_of(root: Path, asked: Asked, wishes: Wishes | None = None) -> Request:
    """What is wanted of a plan, with other wishes than those that were typed where they are given."""
    wishes = wishes or Wishes(asked.adopt, destroy=not asked.no_destroy)
    return Request(root, wishes, asked.select, asked.since, asked.allow_plaintext, asked.offline)


@click.command()
@directory_option
@environment_option
@asking_options
@click.option("--out", metavar="FILE", help="Save the plan, to be reviewed and given to `apply`.")
@click.option("--drift", is_flag=True, help="Only what somebody else changed on the target; exit 2 if there is any.")
@click.option(
    "--detailed-exitcode", "detailed", is_flag=True, help="Exit 2 if anything would change, 3 if all is blocked."
)
@click.option("--markdown", is_flag=True, help="Print Markdown for a pull request.")
@json_option
def plan(
    root: Path,
    environment: str | None,
    asked: Asked,
    out: str | None,
    drift: bool,
    detailed: bool,
    markdown: bool,
    as_json: bool,
) -> int:
    """Show what apply would change, and why. Changes nothing."""
    if drift and (out or markdown):
        raise UsageError(
            "--drift shows what was found, which is no plan.",
            remedy="Leave out --out and --markdown, or leave out --drift.",
        )
    request = request_of(root, asked)
    form = form_of(as_json, markdown)
    file = new_file(Path(out).resolve(), "--out") if out else None
    desired = load_desired(root, environment, asked.offline)
    say(diagnostic_lines(desired.warnings), stderr=True)
    with history(root) as revisions, look_at_target(root, desired) as target:
        planned = planned_for(request, desired, target, revisions, previews=not drift)
        journal, lease = (None, None) if drift else earlier_apply(root, desired, target, clock().now())
    if drift:
        return _tell_drift(planned, form)
    if planned.problems and form != "text":
        raise InvalidSpecs(planned.problems)  # whoever reads it there would take it for the whole plan
    say(interrupted_lines(journal, lease), stderr=form != "text")
    tell(planned, form)
    if planned.problems:
        say([Line("This plan is not whole, and not saved.")] if file else [], stderr=True)
        return InvalidSpecs.exit_code
    if file:
        save(planned.plan, file)
        say([Line(f"Saved as {out}; `specrunner apply {out}` does this and nothing else.")], stderr=form != "text")
    return _detailed_code(planned.plan) if detailed else 0


def _detailed_code(plan: Plan) -> int:
    return CHANGES if plan.has_changes else BLOCKED if plan.blocked else 0


def form_of(as_json: bool, markdown: bool) -> str:
    """How to print. Raises UsageError where two forms are wanted."""
    if as_json and markdown:
        raise UsageError("--json and --markdown exclude each other.", remedy="Leave one of them out.")
    return "json" if as_json else "markdown" if markdown else "text"


def history(root: Path) -> Revisions:
    """The history of the specs, opened when it is asked."""
    from specrunner.spec.revisions import Revisions

    return Revisions(root)


def clock() -> Clock:
    """The clock of this machine."""
    from specrunner.engine.clock import SystemClock

    return SystemClock()


def secrets_of(request: Request) -> SecretSource:
    """Where secrets come from; what this process has read of them it will not say."""
    from specrunner.spec.secrets import FileSecrets

    return Remembered(FileSecrets(request.root, request.allow_plaintext, request.offline))


def planned_for(
    request: Request,
    desired: Desired,
    target: Target,
    revisions: Revisions,
    source: SecretSource | None = None,
    *,
    previews: bool = True,
) -> Planned:
    """The plan that is asked for. Raises as `reconcile.planner.plan` and `Revisions.changed_since` do."""
    from specrunner.reconcile.planner import plan as make_plan

    source = source or secrets_of(request)
    commit, records = commit_of(request.root, desired), records_of(request.root, desired)
    keys = _keys(request, desired, revisions)
    if keys and not request.select >= keys - set(desired.resources):
        # Of what was removed from the files, a plan of everything tells what is still there to be deleted.
        whole = make_plan(desired, target, source, request.wishes, commit, recorded=records).plan
        keys &= {*desired.resources, *request.select, *(step.key for step in whole.steps)}
    now, past = clock().now() if previews else None, at_commit(revisions, desired)
    return make_plan(
        desired, target, source, request.wishes, commit, recorded=records, keys=keys, now=now, at_commit=past
    )


def _keys(request: Request, desired: Desired, revisions: Revisions) -> frozenset[Key] | None:
    """The keys to plan for; None for all of them."""
    if request.since is None:
        return request.select or None
    return request.select | revisions.changed_since(request.since, desired)


def at_commit(revisions: Revisions, desired: Desired) -> Callable[[str], Mapping[Key, Resource] | None]:
    """What was declared at a commit; None where git can't tell."""

    @functools.cache
    def resources(commit: str) -> Mapping[Key, Resource] | None:
        try:
            return revisions.desired_at(commit, desired.owner.environment).resources
        except (SpecrunnerError, ImportError):  # the library that reads git can't be imported where there is no git
            return None

    return resources


def tell(planned: Planned, form: str) -> None:
    """Print a plan, and what would stop it from being applied."""
    if form == "json":
        say_json(to_json(planned.plan))
    elif form == "markdown":
        from specrunner.report.markdown import plan_markdown

        click.echo(plan_markdown(planned.plan))
    else:
        say(plan_lines(planned.plan))
        if planned.plan.steps:
            say([Line(f"Hash: {planned.plan.hash}", "dim")])
    say(diagnostic_lines(planned.problems), stderr=True)
    say(diagnostic_lines(braked_words(planned)), stderr=form != "text")


def braked_words(planned: Planned) -> tuple[Diagnostic, ...]:
    """The words of the brake, were this applied now."""
    from specrunner.core.safety import braked, counted

    found = braked(planned.plan.steps, counted(planned.live, planned.desired.owner), planned.desired.safety)
    return tuple(
        replace(one, summary=f"apply will refuse this: {one.summary}", severity=Severity.WARNING) for one in found
    )


def _tell_drift(planned: Planned, form: str) -> int:
    from specrunner.reconcile.drift import drift_of
    from specrunner.report.text import drift_lines

    found = drift_of(planned.live, planned.desired.owner)
    if form == "json":
        gone = ({"key": str(key), "gone": True} for key in found.missing)
        say_json({"drift": [*_drift_json(found.changed), *gone]})
    else:
        say(drift_lines(found.changed, found.missing))
    return CHANGES if found else 0


def _drift_json(found: Mapping[Key, tuple[FieldChange, ...]]) -> Iterator[dict[str, object]]:
    for key, changes in found.items():
        fields = [{"path": change.path, "applied": change.old, "live": change.live} for change in changes]
        yield {"key": str(key), "changes": fields}


def steps_words(plan: Plan) -> str:
    """What a person is asked about: `3 steps`, with what is brought back first."""
    steps = counted(len(plan.work), "step")
    if not plan.restores:
        return f"Apply {steps}"
    back = f"Bring back {counted(len(plan.restores), 'recorded object')}"
    return f"{back} and apply {steps}" if plan.work else back
