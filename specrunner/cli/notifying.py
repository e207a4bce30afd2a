"""Telling a project's webhooks what happened: after the fact, within a bounded time, and never failing a command."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from specrunner.cli.hidden import Remembered, shown
from specrunner.cli.terminal import say
from specrunner.core.errors import Diagnostic, Severity, SpecrunnerError
from specrunner.core.news import addressed, news_of_apply, news_of_run
from specrunner.core.notifications import News, Notification, body_of
from specrunner.core.ports import SecretSource
from specrunner.core.resources import Owner
from specrunner.core.values import Secret
from specrunner.report.diagnostics import diagnostic_lines

if TYPE_CHECKING:
    from specrunner.core.outcome import Outcome, RunView
    from specrunner.core.resources import Desired
    from specrunner.forge.webhooks import Post
    from specrunner.targets.base import Target

TAIL = 12  # lines of a failed run's log that are told


def applied_news(desired: Desired, target: Target, outcome: Outcome | None) -> list[News]:
    """What is news of an apply and of the runs that it waited for; nothing where nobody wants to know."""
    if outcome is None or not desired.notifications:
        return []
    from specrunner.report.outcomes import outcome_summary

    runs = [step.run for step in outcome.steps if step.run is not None]
    news = [*news_of_apply(outcome, outcome_summary(outcome), run_page())]
    return [*news, *(found for run in runs for found in run_news(desired.owner, target, run))]


def run_news(owner: Owner, target: Target, run: RunView) -> list[News]:
    """What is news of a run that has ended; nothing where a host lives, which tells of it itself."""
    if not run.status.ended or target.host() is not None:
        return []
    before = [view.status for view in target.runs(run.task) if view.created < run.created]
    return [*news_of_run(owner, replace(run, log_tail=run.log_tail[-TAIL:]), before, run_page())]


def tell_runs(root: Path, target: Target, runs: Iterable[RunView]) -> None:
    """Tell how runs of this repository's objects have ended, as far as that is news."""
    live = target.read()
    for run in runs:
        owner = live[run.task].owner if run.task in live else None
        news = run_news(owner, target, run) if owner else []
        if owner and news:
            tell(declared_notifications(root, owner), news, secrets_at(root))


def declared_notifications(root: Path, owner: Owner) -> tuple[Notification, ...]:
    """Whom the specs at `root` want told about this owner's objects; nobody where they can't be read."""
    from specrunner.spec.desired import notifications_of

    try:
        return notifications_of(root, owner)
    except SpecrunnerError:
        return ()


def secrets_at(root: Path) -> SecretSource:
    """Where the addresses come from that are secrets; what was read is masked wherever this process speaks."""
    from specrunner.cli.offline import from_fork
    from specrunner.spec.secrets import FileSecrets

    return Remembered(FileSecrets(root, offline=from_fork()))


def tell(declared: Iterable[Notification], news: Iterable[News], source: SecretSource) -> None:
    """Send what is to be told; who can't be reached is named on stderr."""
    told = [*addressed(declared, news)]
    if not told:
        return
    from specrunner.forge.webhooks import send

    posts: list[Post] = []
    problems: list[Diagnostic] = []
    for notification, found in told:
        try:
            posts.append(_post(notification, found, source))
        except SpecrunnerError as problem:
            problems.append(_unsent(notification, problem))
    problems += send(posts)
    say(diagnostic_lines(problems), stderr=True)


def _post(notification: Notification, news: News, source: SecretSource) -> Post:
    from specrunner.forge.webhooks import Post

    url = source.resolve(notification.url_from) if notification.url_from else Secret(notification.url)
    hidden = replace(news, summary=shown(news.summary), detail=shown(news.detail))
    return Post(notification.name, url, body_of(notification.template, hidden))


def _unsent(notification: Notification, problem: SpecrunnerError) -> Diagnostic:
    summary = f"The notification {notification.name!r} was not sent: {problem.summary}"
    return Diagnostic(f"{summary.rstrip('.')}.", problem.detail, problem.remedy, severity=Severity.WARNING)


def run_page(environ: Mapping[str, str] = os.environ) -> str:
    """The page of the workflow run that this process belongs to; empty elsewhere."""
    server, repository, run = (environ.get(f"GITHUB_{name}", "") for name in ("SERVER_URL", "REPOSITORY", "RUN_ID"))
    return f"{server}/{repository}/actions/runs/{run}" if server and repository and run else ""
