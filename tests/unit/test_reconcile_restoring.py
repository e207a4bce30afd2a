from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from specrunner.core.errors import PackagingFailed
from specrunner.core.keys import Key, Kind
from specrunner.core.recorded import Recorded, Records
from specrunner.core.resources import Payload, Resource, intent_of
from specrunner.reconcile import planner
from specrunner.reconcile.restoring import prepared
from specrunner.targets.base import Note, PutOrder, silent
from specrunner.targets.faults import Fail, Faulty
from specrunner.targets.memory import Hooks, MemoryTarget
from tests.unit.core_samples import OWNER
from tests.unit.reconcile_samples import (
    Environ,
    Heard,
    applied,
    connection,
    declared,
    execution,
    fates,
    key,
    keys_of,
    orchestration,
    planned,
    project,
    recorded,
    task,
    with_secret,
    workspace,
)

DONE = "success"
COMMIT = "c" * 40


def ran(*resources: Resource) -> Records:
    """Records of an apply after which every run-once task had run well."""
    records = recorded(*resources, commit=COMMIT)
    intents = {one.key: {intent_of(one.spec): DONE} for one in resources if one.key.kind is Kind.TASK}
    runs = {one: dict.fromkeys(found, "run-7") for one, found in intents.items()}
    return Records(
        tuple(replace(one, intents=intents.get(one.key, {}), runs=runs.get(one.key, {})) for one in records.objects)
    )


ALL = (workspace(), with_secret(), orchestration(), task())


def test_everything_recorded_comes_back_and_no_run_is_repeated() -> None:
    target, heard = MemoryTarget(), Heard()
    outcome = applied(project(*ALL), target, ran(*ALL), source=Environ(PASSWORD="pw"), listener=heard)
    assert not outcome.steps
    assert keys_of(outcome.restored) == keys_of(one.key for one in ALL) == keys_of(heard.back)
    assert [run.id for run in target.runs()] == ["run-7"]
    assert target.remembers(OWNER)
    assert not planned(project(*ALL), target, Environ(PASSWORD="pw")).plan.steps


def test_a_first_apply_with_nothing_recorded_is_remembered_too() -> None:
    target = MemoryTarget()
    applied(project(workspace()), target)
    assert target.remembers(OWNER)


def test_a_change_on_a_fresh_machine_is_brought_back_as_it_was_and_then_changed() -> None:
    target = MemoryTarget()
    seen: list[Any] = []

    class Noting(MemoryTarget):
        def restore(self, recorded: Recorded, order: PutOrder, note: Note = silent) -> None:
            seen.append((str(recorded.key), order.resource.spec.get("details")))
            super().restore(recorded, order, note)

    target = Noting()
    outcome = applied(project(workspace(), connection(host="new")), target, ran(workspace(), connection(host="old")))
    assert ("Connection/store", {"host": "old"}) in seen
    assert fates(outcome) == {"Connection/store": "done"}
    assert target.read()[key("Connection/store")].spec["details"] == {"host": "new"}


def test_something_changed_may_refer_to_something_new() -> None:
    new = declared(Kind.WORKSPACE, "new")
    attached = connection()
    wider = replace(attached, spec={**attached.spec, "workspaces": ["w", "new"]}, references=(workspace().key, new.key))
    target = MemoryTarget()
    outcome = applied(project(workspace(), new, wider), target, ran(workspace(), attached))
    assert set(fates(outcome).values()) == {"done"}
    assert not planned(project(workspace(), new, wider), target).plan.steps


def test_what_was_deleted_from_the_files_is_not_brought_back_only_to_be_deleted() -> None:
    faulty = Faulty(MemoryTarget())
    outcome = applied(project(workspace()), faulty, ran(workspace(), connection()))
    assert fates(outcome) == {"Connection/store": "done"}
    assert keys_of(outcome.restored) == {"Workspace/w"}
    assert [str(call.key) for call in faulty.calls if call.method == "restore"] == ["Workspace/w"]


def test_what_is_protected_comes_back_although_no_file_declares_it() -> None:
    target = MemoryTarget()
    outcome = applied(project(workspace()), target, ran(workspace(), connection(protect=True)))
    assert fates(outcome) == {"Connection/store": "blocked"}
    live = target.read()[key("Connection/store")]
    assert live.protect
    assert live.spec["details"] == {"host": "here"}


def test_what_was_not_selected_comes_back_as_it_was_recorded() -> None:
    target = MemoryTarget()
    desired = project(workspace(), connection(host="new"), connection("other", host="new"))
    records = ran(workspace(), connection(host="old"), connection("other", host="old"))
    made = planned(desired, target, recorded=lambda: records, keys=frozenset({key("Connection/other")}))
    execution(made, target).run()
    assert target.read()[key("Connection/store")].spec["details"] == {"host": "old"}
    assert target.read()[key("Connection/other")].spec["details"] == {"host": "new"}


class History:
    """What the files were at a commit."""

    def __init__(self, *resources: Resource) -> None:
        self.resources = {one.key: one for one in resources}
        self.asked: list[str] = []

    def __call__(self, commit: str) -> Mapping[Key, Resource] | None:
        self.asked.append(commit)
        return self.resources


def test_bytes_that_have_changed_come_from_the_recorded_commit() -> None:
    target, history = MemoryTarget(), History(orchestration(b"old"))
    desired = project(workspace(), orchestration(b"new"), task(b"new"))
    made = planned(
        desired,
        target,
        recorded=lambda: ran(workspace(), orchestration(b"old"), task(b"old")),
        keys=frozenset({workspace().key}),
    )
    outcome = execution(made, target, at_commit=history).run()
    assert not outcome.steps
    assert history.asked == [COMMIT]
    stored = target.stored(key("Orchestration/w/code"))
    assert stored is not None
    assert stored.data == b"old"
    assert [run.id for run in target.runs()] == ["run-7"]


def test_no_commit_is_opened_while_the_bytes_are_in_todays_files() -> None:
    history = History()
    applied(project(*ALL), MemoryTarget(), ran(*ALL), source=Environ(PASSWORD="pw"), at_commit=history)
    assert not history.asked


def test_without_the_old_bytes_what_changes_anyway_is_brought_back_as_declared() -> None:
    target = MemoryTarget()
    desired = project(workspace(), orchestration(b"new"), task(b"new"))
    outcome = applied(desired, target, ran(workspace(), orchestration(b"old"), task(b"old")))
    assert set(fates(outcome).values()) == {"done"}
    assert not outcome.unrestored
    assert not planned(desired, target).plan.steps
    assert len(target.runs()) == 2  # the recorded one, and the one of the new version


def test_without_the_old_bytes_what_was_to_stay_as_it_was_says_so_and_holds_back_what_needs_it() -> None:
    target = MemoryTarget()
    desired = project(workspace(), connection(host="new"), orchestration(b"new"), task(b"old"))
    made = planned(
        desired,
        target,
        recorded=lambda: ran(workspace(), connection(host="old"), orchestration(b"old"), task(b"old")),
        keys=frozenset({connection().key}),
    )
    outcome = execution(made, target).run()
    assert fates(outcome) == {"Connection/store": "done"}
    assert keys_of(outcome.unrestored) == {"Orchestration/w/code", "Task/w/nightly"}
    (problem,) = outcome.problems
    assert "bytes" in problem.summary
    assert problem.remedy
    assert outcome.exit_code == 5
    assert not target.remembers(OWNER)


def test_a_bundle_that_cannot_be_packaged_any_more_comes_back_in_its_new_version() -> None:
    def package(bundle: Payload) -> None:
        if bundle.read() == b"old":
            raise PackagingFailed("The index has forgotten that version.")

    class Packaging(MemoryTarget):
        def restore(self, recorded: Recorded, order: PutOrder, note: Note = silent) -> None:
            if order.resource.payload is not None:
                package(order.resource.payload)
            super().restore(recorded, order, note)

    target = Packaging(hooks=Hooks(package=package))
    desired = project(workspace(), orchestration(b"new"))
    outcome = applied(
        desired, target, ran(workspace(), orchestration(b"old")), at_commit=History(orchestration(b"old"))
    )
    assert set(fates(outcome).values()) == {"done"}
    assert not planned(desired, target).plan.steps


@pytest.mark.parametrize("write", range(1, 6))
def test_a_restore_that_was_cut_off_goes_on_where_it_was(write: int) -> None:
    class Killed(BaseException):
        pass

    memory, source = MemoryTarget(), Environ(PASSWORD="pw")
    faulty = Faulty(memory, [Fail(write=write, error=Killed)])  # type: ignore[arg-type]
    with pytest.raises(Killed):
        applied(project(*ALL), faulty, ran(*ALL), source=source)
    outcome = applied(project(*ALL), memory, ran(*ALL), source=source)
    assert not outcome.steps
    assert len(memory.state.objects) == 4
    assert [run.id for run in memory.runs()] == ["run-7"]
    assert memory.remembers(OWNER)


def test_what_could_not_be_brought_back_is_tried_again_next_time() -> None:
    memory = MemoryTarget()
    faulty = Faulty(memory, [Fail(method="restore", key=connection().key, times=0)])
    desired, records = project(workspace(), connection()), ran(workspace(), connection())
    first = applied(desired, faulty, records)
    assert keys_of(first.unrestored) == {"Connection/store"}
    assert (keys_of(first.restored), first.exit_code) == ({"Workspace/w"}, 5)
    assert not memory.remembers(OWNER)
    second = applied(desired, memory, records)
    assert keys_of(second.restored) == {"Connection/store"}
    assert second.exit_code == 0
    assert memory.remembers(OWNER)


def test_a_secret_of_what_stays_as_it_was_is_read_when_it_is_brought_back() -> None:
    target = MemoryTarget()
    desired, records = project(workspace()), ran(workspace(), replace(with_secret(), protect=True))
    made = planned(desired, target, recorded=lambda: records)
    (missing,) = [one for one in prepared(made, Environ()) if one.problem is not None]
    assert str(missing.key) == "Connection/store"
    (found,) = [one for one in prepared(made, Environ(PASSWORD="pw")) if one.key == missing.key]
    assert [way.secrets["detailsFrom"].reveal() for way in found.ways] == [{"password": "pw"}]


def test_a_renamed_object_comes_back_under_its_new_name() -> None:
    target = MemoryTarget()
    renamed = replace(connection("shop"), renamed_from=key("Connection/store"))
    outcome = applied(project(workspace(), renamed), target, ran(workspace(), connection("store")))
    assert set(fates(outcome).values()) == {"done"}
    assert keys_of(target.read()) == {"Workspace/w", "Connection/shop"}
    assert not planned(project(workspace(), renamed), target).plan.steps


def test_what_names_a_renamed_object_comes_back_with_its_new_name_even_where_it_is_not_selected() -> None:
    target = MemoryTarget()
    code = replace(orchestration(), key=key("Orchestration/w/kernel"), renamed_from=key("Orchestration/w/code"))
    job = declared(Kind.TASK, "nightly", {**task().spec, "orchestration": "kernel", "history": {"failed": 1}})
    records = ran(workspace(), orchestration(), task())
    made = planned(project(workspace(), code, job), target, recorded=lambda: records, keys=frozenset({code.key}))
    outcome = execution(made, target).run()
    assert fates(outcome) == {"Orchestration/w/kernel": "done"}
    assert not outcome.problems
    assert target.read()[job.key].spec["orchestration"] == "kernel"


def test_a_plan_made_from_other_records_is_stale() -> None:
    target, desired = MemoryTarget(), project(workspace(), connection(host="new"))
    made = planned(desired, target, recorded=lambda: ran(workspace(), connection(host="old")))
    later = planned(desired, target, recorded=lambda: ran(workspace(), connection(host="newer")))
    outcome = execution(replace(later, plan=made.plan), target).run()
    assert [one.stale for one in outcome.steps] == [True]
    assert outcome.exit_code == 4


def test_an_interrupt_during_a_restore_leaves_the_rest_for_the_next_apply() -> None:
    class Stopping(MemoryTarget):
        stop: Any = None

        def restore(self, recorded: Recorded, order: PutOrder, note: Note = silent) -> None:
            super().restore(recorded, order, note)
            self.stop()

    target = Stopping()
    made = planner.plan(project(*ALL), target, Environ(PASSWORD="pw"), recorded=lambda: ran(*ALL))
    running = execution(made, target, Environ(PASSWORD="pw"))
    target.stop = running.interrupt
    outcome = running.run()
    assert outcome.interrupted
    assert keys_of(outcome.restored) == {"Workspace/w"}
    assert len(outcome.unrestored) == 3
    assert not outcome.problems
    assert not target.remembers(OWNER)
