from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from itertools import product
from typing import Any

import pytest

from specrunner.core.errors import IllegalTransition
from specrunner.core.lifecycle import (
    ORCHESTRATION_TRANSITIONS,
    RUN_TRANSITIONS,
    TASK_TRANSITIONS,
    OrchestrationState,
    Reason,
    RunState,
    TaskState,
    moved,
    replayed,
)

# Written down a second time, from the design: an edge that appears or goes must be meant.
LEGAL: Mapping[type[StrEnum], str] = {
    OrchestrationState: """
        pending_packaging -> packaging error
        packaging -> ready error pending_packaging
        error -> pending_packaging
        """,
    TaskState: """
        pending -> started pending_kill
        started -> completed pending_kill
        completed -> started pending_kill
        pending_kill -> killed
        """,
    RunState: """
        pending -> running failure killed skipped lost
        running -> success failure killed timed_out lost pending
        """,
}
TABLES: Mapping[type[StrEnum], Any] = {
    OrchestrationState: ORCHESTRATION_TRANSITIONS,
    TaskState: TASK_TRANSITIONS,
    RunState: RUN_TRANSITIONS,
}


def legal(states: type[StrEnum]) -> set[tuple[StrEnum, StrEnum]]:
    edges = set()
    for line in LEGAL[states].split("\n"):
        old, _, new = line.partition("->")
        edges |= {(states(old.strip()), states(word)) for word in new.split()}
    return edges


ALL = [(states, *pair) for states in TABLES for pair in product(states, states)]


@pytest.mark.parametrize(
    ("states", "old", "new"), ALL, ids=lambda value: value if isinstance(value, StrEnum) else value.__name__
)
def test_a_state_changes_along_the_edges_of_its_table_and_no_other_way(
    states: type[StrEnum], old: StrEnum, new: StrEnum
) -> None:
    if (old, new) in legal(states):
        assert moved(TABLES[states], old, new) is new
    else:
        with pytest.raises(IllegalTransition, match=f"{states.__name__}: {old} cannot become {new}"):
            moved(TABLES[states], old, new)


@pytest.mark.parametrize("states", TABLES, ids=lambda states: states.__name__)
def test_every_state_has_its_row(states: type[StrEnum]) -> None:
    assert set(TABLES[states]) == set(states)


def test_a_run_has_ended_in_exactly_these_states() -> None:
    ended = {state for state in RunState if state.ended}
    assert {str(state) for state in ended} == {"success", "failure", "killed", "timed_out", "lost", "skipped"}


def test_a_run_that_is_retried_waits_again_and_is_not_at_its_end() -> None:
    assert not moved(RUN_TRANSITIONS, RunState.RUNNING, RunState.PENDING).ended


def test_a_killed_task_and_a_ready_version_stay_what_they_are() -> None:
    assert not TASK_TRANSITIONS[TaskState.KILLED]
    assert not ORCHESTRATION_TRANSITIONS[OrchestrationState.READY]


def test_every_failure_and_skip_of_the_design_has_a_reason() -> None:
    words = "exit signal oom timeout killed env_failed lost skipped_overlap skipped_deadline skipped_suspended"
    assert [str(reason) for reason in Reason] == words.split()


def test_a_history_is_replayed_to_its_last_state() -> None:
    history = [RunState.PENDING, RunState.RUNNING, RunState.PENDING, RunState.RUNNING, RunState.SUCCESS]
    assert replayed(RUN_TRANSITIONS, history) is RunState.SUCCESS
    assert replayed(RUN_TRANSITIONS, []) is None


def test_a_history_with_a_step_that_is_not_legal_is_refused() -> None:
    with pytest.raises(IllegalTransition, match="success cannot become failure"):
        replayed(RUN_TRANSITIONS, [RunState.PENDING, RunState.RUNNING, RunState.SUCCESS, RunState.FAILURE])
