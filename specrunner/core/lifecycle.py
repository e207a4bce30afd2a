"""States and their legal transitions; anything else raises.

The words are the engine's own and finer than those of the platform API, which maps them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import TypeVar

from specrunner.core.errors import IllegalTransition


class OrchestrationState(StrEnum):
    """The state of one uploaded version of an orchestration."""

    PENDING_PACKAGING = "pending_packaging"  # uploaded, nobody has begun
    PACKAGING = "packaging"  # its requirements are being resolved and installed
    READY = "ready"  # can be run
    ERROR = "error"  # can't be run; the reason stands beside it


class ModelState(StrEnum):
    """The state of one uploaded version of a model. One whose framework needs no environment is ready at once."""

    PENDING_PACKAGING = "pending_packaging"  # uploaded, nobody has begun
    PACKAGING = "packaging"  # its environment is being resolved and built
    READY = "ready"  # can be deployed
    ERROR = "error"  # its environment can't be had, or it does not load; the reason stands beside it


class TaskState(StrEnum):
    """The state of a task."""

    PENDING = "pending"  # stored, nothing has started
    STARTED = "started"  # a run was started, or its schedule is in force
    COMPLETED = "completed"  # run once, and that run has ended
    PENDING_KILL = "pending_kill"  # being killed: no new run starts
    KILLED = "killed"  # nothing of it runs any more


class RunState(StrEnum):
    """The state of one run."""

    PENDING = "pending"  # recorded, not yet started
    RUNNING = "running"  # its supervisor was started
    SUCCESS = "success"  # exit code 0
    FAILURE = "failure"  # another exit code, a signal, or its environment could not be had
    KILLED = "killed"  # killed on request
    TIMED_OUT = "timed_out"  # killed because its time was over
    LOST = "lost"  # its supervisor is gone and left no exit record
    SKIPPED = "skipped"  # decided not to run, with a reason

    @property
    def ended(self) -> bool:
        """Whether the state is terminal."""
        return not RUN_TRANSITIONS[self]


class Reason(StrEnum):
    """Why a run ended otherwise than well."""

    EXIT = "exit"  # a non-zero exit code
    SIGNAL = "signal"  # a signal that nobody here sent
    OOM = "oom"  # over its memory limit
    TIMEOUT = "timeout"  # over its time
    KILLED = "killed"  # killed on request
    ENV_FAILED = "env_failed"  # its environment could not be built
    LOST = "lost"  # nobody knows
    SKIPPED_OVERLAP = "skipped_overlap"  # the run before it had not ended
    SKIPPED_DEADLINE = "skipped_deadline"  # it was too late to start
    SKIPPED_SUSPENDED = "skipped_suspended"  # its task was suspended


ORCHESTRATION_TRANSITIONS: Mapping[OrchestrationState, frozenset[OrchestrationState]] = {
    # someone begins to package; a bad bundle is refused before that
    OrchestrationState.PENDING_PACKAGING: frozenset({OrchestrationState.PACKAGING, OrchestrationState.ERROR}),
    # done, failed, or the packager died and another begins anew
    OrchestrationState.PACKAGING: frozenset(
        {OrchestrationState.READY, OrchestrationState.ERROR, OrchestrationState.PENDING_PACKAGING}
    ),
    OrchestrationState.READY: frozenset(),
    # the same bytes uploaded again: the index may be reachable now
    OrchestrationState.ERROR: frozenset({OrchestrationState.PENDING_PACKAGING}),
}

MODEL_TRANSITIONS: Mapping[ModelState, frozenset[ModelState]] = {
    # someone begins to build its environment
    ModelState.PENDING_PACKAGING: frozenset({ModelState.PACKAGING, ModelState.ERROR}),
    # done, failed, or the builder died and another begins anew
    ModelState.PACKAGING: frozenset({ModelState.READY, ModelState.ERROR, ModelState.PENDING_PACKAGING}),
    ModelState.READY: frozenset(),
    # asked for again: the index may be reachable now
    ModelState.ERROR: frozenset({ModelState.PENDING_PACKAGING}),
}

TASK_TRANSITIONS: Mapping[TaskState, frozenset[TaskState]] = {
    TaskState.PENDING: frozenset({TaskState.STARTED, TaskState.PENDING_KILL}),
    TaskState.STARTED: frozenset({TaskState.COMPLETED, TaskState.PENDING_KILL}),
    # a new intent, or `specrunner run`, starts it again
    TaskState.COMPLETED: frozenset({TaskState.STARTED, TaskState.PENDING_KILL}),
    TaskState.PENDING_KILL: frozenset({TaskState.KILLED}),
    TaskState.KILLED: frozenset(),
}

RUN_TRANSITIONS: Mapping[RunState, frozenset[RunState]] = {
    # started; or ended before it began: no environment, killed while waiting, decided against, host died
    RunState.PENDING: frozenset({RunState.RUNNING, RunState.FAILURE, RunState.KILLED, RunState.SKIPPED, RunState.LOST}),
    # its exit record was read, or it can no longer come; or a retry waits
    RunState.RUNNING: frozenset(
        {RunState.SUCCESS, RunState.FAILURE, RunState.KILLED, RunState.TIMED_OUT, RunState.LOST, RunState.PENDING}
    ),
    RunState.SUCCESS: frozenset(),
    RunState.FAILURE: frozenset(),
    RunState.KILLED: frozenset(),
    RunState.TIMED_OUT: frozenset(),
    RunState.LOST: frozenset(),
    RunState.SKIPPED: frozenset(),
}

_State = TypeVar("_State", OrchestrationState, ModelState, TaskState, RunState)


def moved(table: Mapping[_State, frozenset[_State]], old: _State, new: _State) -> _State:
    """`new`, if the table allows it after `old`.

    Raises IllegalTransition otherwise; staying where one is is not a transition.
    """
    if new not in table[old]:
        raise IllegalTransition(f"{type(old).__name__}: {old} cannot become {new}")
    return new


def replayed(table: Mapping[_State, frozenset[_State]], history: Iterable[_State]) -> _State | None:
    """The state that a history of states ends in, each step of it checked; None for an empty one.

    Raises IllegalTransition at the first step that the table does not have.
    """
    state: _State | None = None
    for new in history:
        state = new if state is None else moved(table, state, new)
    return state
