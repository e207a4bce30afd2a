from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from specrunner.core.errors import Transient
from specrunner.core.lifecycle import RunState
from specrunner.core.outcome import Fate
from specrunner.engine.clock import SystemClock
from specrunner.reconcile.executor import Options, Patience
from specrunner.reconcile.journal import Journal, header_of, journal_path
from specrunner.reconcile.replay import unfinished
from specrunner.targets.base import PutOrder
from specrunner.targets.faults import Fail, Faulty, Moment
from specrunner.targets.memory import Ended, Hooks, Job, MemoryTarget
from tests.unit.core_samples import OWNER
from tests.unit.reconcile_samples import (
    WAIT,
    Environ,
    Heard,
    applied,
    connection,
    execution,
    fates,
    key,
    orchestration,
    planned,
    project,
    task,
    with_secret,
    workspace,
)

EVERYTHING = project(workspace(), connection(), orchestration(), task())


def test_what_is_applied_is_live_and_a_second_apply_does_nothing() -> None:
    target = MemoryTarget()
    first, second = applied(EVERYTHING, target), applied(EVERYTHING, target)
    assert set(fates(first).values()) == {"done"}
    assert first.exit_code == 0
    assert not second.steps
    assert len(target.runs()) == 1


@pytest.mark.parametrize("moment", list(Moment))
@pytest.mark.parametrize("write", range(1, 8))
def test_a_transient_error_at_any_write_is_tried_again_without_a_twin(moment: Moment, write: int) -> None:
    memory = MemoryTarget()
    faulty = Faulty(memory, [Fail(write=write, moment=moment)])
    outcome = applied(EVERYTHING, faulty)
    assert set(fates(outcome).values()) == {"done"}
    assert len(memory.state.objects) == 4
    assert len(memory.runs()) == 1
    assert not planned(EVERYTHING, memory).plan.steps


def test_how_often_a_step_was_tried_is_in_its_outcome_and_each_try_is_told() -> None:
    heard = Heard()
    faulty = Faulty(MemoryTarget(), [Fail(method="put", key=key("Workspace/w"), times=2)])
    outcome = applied(EVERYTHING, faulty, listener=heard)
    assert {str(one.step.key): one.tries for one in outcome.steps}["Workspace/w"] == 3
    assert sum("trying again in" in note for note in heard.notes) == 2


def test_what_does_not_come_right_is_given_up_and_holds_back_only_what_needs_it() -> None:
    faulty = Faulty(MemoryTarget(), [Fail(method="put", key=key("Orchestration/w/code"), times=0)])
    outcome = applied(EVERYTHING, faulty, options=Options(patience=Patience(tries=3)))
    assert fates(outcome) == {
        "Workspace/w": "done",
        "Connection/store": "done",
        "Orchestration/w/code": "failed",
        "Task/w/nightly": "skipped",
    }
    assert outcome.exit_code == 5


def test_every_try_of_a_step_carries_the_same_token_and_every_step_another() -> None:
    tokens: dict[str, list[str]] = {}

    class Noting(MemoryTarget):
        def put(self, order: PutOrder, *more: Any) -> None:
            seen = tokens.setdefault(str(order.resource.key), [])
            seen.append(order.token)
            if len(seen) < 3:
                raise Transient("No answer.")
            super().put(order, *more)

    applied(EVERYTHING, Noting())
    assert all(len(seen) == 3 and len(set(seen)) == 1 and seen[0] for seen in tokens.values())
    assert len({seen[0] for seen in tokens.values()}) == 4


def test_a_lost_lease_lets_nothing_further_begin_and_counts_as_a_failure() -> None:
    lost = threading.Event()

    class Losing(MemoryTarget):
        def put(self, order: PutOrder, *more: Any) -> None:
            super().put(order, *more)
            lost.set()

    outcome = applied(EVERYTHING, Losing(), lost=lost, parallelism=1)
    assert sorted(fates(outcome).values()) == ["done", "skipped", "skipped", "skipped"]
    assert [problem.summary for problem in outcome.problems]
    assert outcome.exit_code == 5


def test_an_interrupt_cuts_the_pause_before_the_next_try_short() -> None:
    faulty = Faulty(MemoryTarget(), [Fail(method="put", key=key("Workspace/w"), times=0)])
    made = planned(EVERYTHING, faulty)
    heard = Heard()
    running = execution(made, faulty, listener=heard, options=Options(patience=Patience(5, 1000, 1000)), pause=None)
    with_outcome: list[Any] = []
    thread = threading.Thread(target=lambda: with_outcome.append(running.run()))
    thread.start()
    assert heard.began.wait(WAIT)
    running.interrupt()
    thread.join(WAIT)
    (outcome,) = with_outcome
    assert outcome.interrupted
    assert outcome.exit_code == 130
    assert set(fates(outcome).values()) <= {"failed", "skipped"}


def test_an_interrupt_lets_what_is_in_flight_end_and_begins_nothing_further() -> None:
    inside, go_on = threading.Event(), threading.Event()

    class Slow(MemoryTarget):
        def put(self, order: PutOrder, *more: Any) -> None:
            inside.set()
            assert go_on.wait(WAIT)
            super().put(order, *more)

    target, with_outcome = Slow(), list[Any]()
    running = execution(planned(EVERYTHING, target), target)
    thread = threading.Thread(target=lambda: with_outcome.append(running.run()))
    thread.start()
    assert inside.wait(WAIT)
    running.interrupt()
    go_on.set()
    thread.join(WAIT)
    assert sorted(fates(with_outcome[0]).values()) == ["done", "skipped", "skipped", "skipped"]


class Endless:
    """Code that runs until it is told to end."""

    def __init__(self) -> None:
        self.end = threading.Event()

    def __call__(self, _job: Job) -> Ended:
        assert self.end.wait(WAIT)
        return Ended()


def test_without_waiting_a_run_is_started_and_left_to_itself() -> None:
    code = Endless()
    target = MemoryTarget(hooks=Hooks(run=code))
    outcome = applied(EVERYTHING, target, options=Options(wait=False))
    (run,) = [one.run for one in outcome.steps if one.run is not None]
    assert not run.status.ended
    assert outcome.exit_code == 0
    code.end.set()


def test_after_the_wait_timeout_the_runs_go_on_without_us() -> None:
    code = Endless()
    target = MemoryTarget(hooks=Hooks(run=code))
    outcome = applied(EVERYTHING, target, options=Options(wait_timeout=0.01))
    (run,) = [one.run for one in outcome.steps if one.run is not None]
    assert not run.status.ended
    assert not outcome.interrupted
    code.end.set()


def test_a_stale_step_says_so_and_gives_the_exit_code_of_stale_plans() -> None:
    target = MemoryTarget()
    applied(project(workspace(), connection()), target)
    made = planned(project(workspace(), connection(host="there")), target)
    applied(project(workspace(), connection(host="elsewhere")), target)
    outcome = execution(made, target).run()
    (step,) = outcome.steps
    assert (step.fate, step.stale) == (Fate.FAILED, True)
    assert outcome.exit_code == 4


def test_what_a_target_says_never_shows_a_secret() -> None:
    heard = Heard()

    class Telling(MemoryTarget):
        def put(self, order: PutOrder, note: Any = None) -> None:
            if order.secrets:
                note("logging in with hunter22")
                raise Transient("The server refused 'hunter22'.")
            super().put(order, note)

    outcome = applied(
        project(workspace(), with_secret()), Telling(), source=Environ(PASSWORD="hunter22"), listener=heard
    )
    (problem,) = [one.problem for one in outcome.steps if one.problem is not None]
    assert "hunter22" not in f"{problem}{heard.notes}"
    assert "*****" in problem.summary


def test_the_journal_has_each_step_with_its_fate_and_run(tmp_path: Path) -> None:
    target, path = MemoryTarget(), journal_path(tmp_path, "staging")
    made = planned(EVERYTHING, target)
    journal = Journal.begin(path, header_of(made.plan, SystemClock(), "ada"))
    outcome = execution(made, target, journal=journal).run()
    found, _ = unfinished(path, OWNER)
    assert found is not None
    assert {str(step.key): step.fate for step in found.steps} == fates(outcome)
    (run,) = target.runs()
    assert [step.run for step in found.steps if step.run] == [run.id]
    assert found.over
    assert outcome.started == found.started  # its record has the same name, whoever writes it


def test_a_create_that_was_cut_off_makes_no_twin_on_a_target_that_does_not_show_it_yet(tmp_path: Path) -> None:
    tokens: list[str] = []

    class Noting(MemoryTarget):
        def put(self, order: PutOrder, *more: Any) -> None:
            tokens.append(order.token)
            raise KeyboardInterrupt  # as if the process ended here

    path, target = journal_path(tmp_path, "staging"), Noting()
    for _ in range(2):
        made = planned(project(workspace()), target)
        journal = Journal.begin(path, header_of(made.plan, SystemClock()), unfinished(path)[0])
        with pytest.raises(KeyboardInterrupt):
            execution(made, target, journal=journal).run()
    assert len(tokens) == 2
    assert len(set(tokens)) == 1


def test_a_journal_that_cannot_be_written_stops_every_step_before_it_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = MemoryTarget()
    made = planned(EVERYTHING, target)
    journal = Journal.begin(journal_path(tmp_path, "staging"), header_of(made.plan, SystemClock()))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Journal, "_write", full)
    outcome = execution(made, target, journal=journal).run()
    assert set(fates(outcome).values()) == {"failed", "skipped"}
    assert not target.state.objects


def test_a_plan_of_two_thousand_steps_is_carried_out_whole() -> None:
    many = project(workspace(), *(connection(f"c{number}") for number in range(2000)))
    outcome = applied(many, MemoryTarget())
    assert len(outcome.with_fate(Fate.DONE)) == 2001


def test_a_run_that_fails_is_no_failed_step() -> None:
    target = MemoryTarget(hooks=Hooks(run=lambda _job: Ended(RunState.FAILURE, exit_code=1)))
    outcome = applied(EVERYTHING, target)
    assert set(fates(outcome).values()) == {"done"}
    assert outcome.exit_code == 6


@pytest.mark.parametrize(("state", "fate"), [(RunState.SUCCESS, "done"), (RunState.FAILURE, "skipped")])
def test_what_depends_on_a_task_needs_its_run_to_succeed(state: RunState, fate: str) -> None:
    target = MemoryTarget(hooks=Hooks(run=lambda _job: Ended(state)))
    later = task(name="train")
    later = replace(later, references=(*later.references, task(name="prepare").key))
    outcome = applied(project(workspace(), orchestration(), task(name="prepare"), later), target)
    assert fates(outcome)["Task/w/train"] == fate


def test_what_depends_on_a_run_that_goes_on_is_left_for_the_next_apply() -> None:
    code = Endless()
    target = MemoryTarget(hooks=Hooks(run=code))
    later = task(name="train")
    later = replace(later, references=(*later.references, task(name="prepare").key))
    desired = project(workspace(), orchestration(), task(name="prepare"), later)
    first = applied(desired, target, options=Options(wait=False))
    code.end.set()
    assert fates(first)["Task/w/train"] == "skipped"
    assert fates(applied(desired, target))["Task/w/train"] == "done"


def test_blocked_steps_are_listed_and_not_done() -> None:
    target = MemoryTarget()
    made = planned(project(workspace()), target)
    (step,) = made.plan.steps
    blocked = replace(made, plan=replace(made.plan, steps=(replace(step, blocked_by="it is forbidden"),)))
    outcome = execution(blocked, target).run()
    assert fates(outcome) == {"Workspace/w": "blocked"}
    assert not target.state.objects
    assert outcome.exit_code == 3
