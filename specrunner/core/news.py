"""What is news: a run that failed or recovered, an apply that failed or changed something.

A run has failed when it ended by a fault of its own: what somebody killed, or what was skipped, is no news. It has
recovered when it ends well and the one before it had failed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from specrunner.core.lifecycle import RunState
from specrunner.core.notifications import News, Notification, Occasion
from specrunner.core.outcome import Outcome, RunView
from specrunner.core.resources import Owner

_SIGNS: Final = {Occasion.RUN_RECOVERED: "✓", Occasion.APPLIED: "✓"}
_FAILED: Final = frozenset({RunState.FAILURE, RunState.TIMED_OUT, RunState.LOST})


def addressed(declared: Iterable[Notification], news: Iterable[News]) -> Iterator[tuple[Notification, News]]:
    """Who is told what."""
    told = list(news)
    return ((one, found) for one in declared for found in told if found.event in one.on)


def news_of_run(owner: Owner, run: RunView, before: Sequence[RunState], url: str = "") -> Iterator[News]:
    """The news of a run that has ended; `before` are the states of the runs before it, newest first."""
    last = next((state for state in before if state is RunState.SUCCESS or state in _FAILED), None)
    if run.status in _FAILED:
        occasion, words = Occasion.RUN_FAILED, f"ended as {run.status.replace('_', ' ')}"
    elif run.status is RunState.SUCCESS and last in _FAILED:
        occasion, words = Occasion.RUN_RECOVERED, "ends well again"
    else:
        return
    detail = "\n".join([*run.detail.splitlines(), *run.log_tail]) if occasion is Occasion.RUN_FAILED else ""
    yield News(
        event=occasion,
        project=owner.project,
        environment=owner.environment,
        summary=f"{_sign(occasion)} {owner}: {run.task} {words}.",
        detail=detail,
        task=str(run.task),
        run=run.id,
        status=str(run.status),
        url=url,
    )


def news_of_apply(outcome: Outcome, summary: str, url: str = "") -> Iterator[News]:
    """The news of an apply; none where it had nothing to do. `summary` is one line about it."""
    plan = outcome.plan
    if not outcome.steps and not outcome.problems:
        return
    occasion = Occasion.APPLY_FAILED if outcome.exit_code else Occasion.APPLIED
    owner = Owner(plan.project, plan.environment)
    problems = [one for one in (*(step.problem for step in outcome.steps), *outcome.problems) if one is not None]
    yield News(
        event=occasion,
        project=owner.project,
        environment=owner.environment,
        summary=f"{_sign(occasion)} {owner}: {summary}",
        detail="\n".join(one.summary for one in problems),
        status=str(outcome.exit_code),
        commit=plan.commit,
        hash=plan.hash,
        url=url,
    )


def news_of_failure(owner: Owner, summary: str, detail: str, url: str = "") -> News:
    """The news of an apply that was refused, or broke off, before it changed anything."""
    occasion = Occasion.APPLY_FAILED
    words = f"{_sign(occasion)} {owner}: {summary}"
    return News(occasion, owner.project, owner.environment, words, detail=detail, url=url)


def _sign(occasion: Occasion) -> str:
    return _SIGNS.get(occasion, "✗")
