"""What becomes of the runs of a task that wait while others live: decided here, done elsewhere.

One function looks at everything of one task that has not ended: the runs that live and those that wait. It is
asked anew whenever something changes (an instant came, a run ended, a slot is free, a deadline is over), and needs no
memory of what it said before. So a crash between a decision and its doing costs nothing: the next look says it again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from specrunner.core.lifecycle import Reason

MAX_BUFFERED = 1000  # waiting runs of one task under buffer-all; what comes on top is skipped


class Overlap(StrEnum):
    """What happens when an instant is due and the run before has not ended."""

    SKIP = "skip"  # the new one is skipped
    ALLOW = "allow"  # both run
    BUFFER_ONE = "buffer-one"  # the new one waits, unless another waits already
    BUFFER_ALL = "buffer-all"  # the new one waits in line
    CANCEL_OTHER = "cancel-other"  # those before are told to end, have their grace, and the new one follows
    TERMINATE_OTHER = "terminate-other"  # those before end at once, and the new one follows


@dataclass(frozen=True, slots=True)
class Rules:
    """What a task says of its waiting runs; `deadline` is how late one may start."""

    overlap: Overlap = Overlap.SKIP
    deadline: timedelta = timedelta(hours=1)
    suspended: bool = False


@dataclass(frozen=True, slots=True)
class Waiting:
    """A run that is recorded and not started.

    `due` is when it may start at the earliest. `asked` says that a person asked for it (by hand, or as a
    backfill): it waits for its turn, is never skipped, and ends no other.
    """

    run_id: str
    due: datetime
    asked: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do with the runs of one task; together its parts name every waiting run once.

    `start`: may start now, in this order, as far as there are slots. `keep`: go on waiting. `skip`: end unstarted.
    `end`: live runs to end first, after their grace if `grace`, else at once.
    """

    start: tuple[Waiting, ...] = ()
    keep: tuple[Waiting, ...] = ()
    skip: tuple[tuple[Waiting, Reason], ...] = ()
    end: tuple[str, ...] = ()
    grace: bool = field(default=True)


def judged(rules: Rules, waiting: Sequence[Waiting], live: Sequence[str], now: datetime) -> Verdict:
    """The verdict on `waiting` runs, given the ids of those that live: started, or between two attempts.

    A run that waits for a slot is not live, so that a newer one can take its place where the policy says so.
    """
    stays: list[Waiting] = []
    skip: list[tuple[Waiting, Reason]] = []
    for run in sorted(waiting, key=_order):
        reason = None if run.asked else _too_late(rules, run, now)
        if reason:
            skip.append((run, reason))
        else:
            stays.append(run)
    line, dropped = _lined_up(rules.overlap, stays, bool(live))
    skip += [(run, Reason.SKIPPED_OVERLAP) for run in dropped]
    replaces = rules.overlap in _REPLACING and any(not run.asked for run in line)
    room = len(line) if rules.overlap is Overlap.ALLOW else int(not live)
    return Verdict(
        start=tuple(line[:room]),
        keep=tuple(line[room:]),
        skip=tuple(skip),
        end=tuple(live) if replaces else (),
        grace=rules.overlap is not Overlap.TERMINATE_OTHER,
    )


_REPLACING = frozenset({Overlap.CANCEL_OTHER, Overlap.TERMINATE_OTHER})


def _order(run: Waiting) -> tuple[datetime, str]:
    return (run.due, run.run_id)


def _too_late(rules: Rules, run: Waiting, now: datetime) -> Reason | None:
    if rules.suspended:
        return Reason.SKIPPED_SUSPENDED
    return Reason.SKIPPED_DEADLINE if now - run.due > rules.deadline else None


def _lined_up(overlap: Overlap, waiting: list[Waiting], is_live: bool) -> tuple[list[Waiting], list[Waiting]]:
    """Those that stay, in the order in which they are to start, and those for which there is no place."""
    if overlap is Overlap.ALLOW:
        return waiting, []
    if overlap in _REPLACING:
        scheduled = [run for run in waiting if not run.asked]
        return scheduled[-1:] + [run for run in waiting if run.asked], scheduled[:-1]
    places = {Overlap.SKIP: 0, Overlap.BUFFER_ONE: 1, Overlap.BUFFER_ALL: MAX_BUFFERED}[overlap] + (not is_live)
    line: list[Waiting] = []
    dropped: list[Waiting] = []
    for run in waiting:
        (line if run.asked or len(line) < places else dropped).append(run)
    return line, dropped
