from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from specrunner.core.decide import Wishes
from specrunner.core.errors import Diagnostic, InvalidSpecs, StalePlan
from specrunner.core.keys import Key
from specrunner.core.plan import Edit
from specrunner.core.recorded import Records
from specrunner.core.resources import Resource
from specrunner.reconcile import planner
from specrunner.reconcile.approving import approved
from specrunner.reconcile.drift import drift_of
from specrunner.reconcile.history import unknown_commit
from specrunner.reconcile.planner import check
from specrunner.reconcile.previews import file_changes
from specrunner.targets.faults import WRITES, Fail, Faulty
from specrunner.targets.memory import MemoryTarget
from tests.unit.core_samples import OWNER, SOMEBODY
from tests.unit.reconcile_samples import (
    Environ,
    applied,
    connection,
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
    zipped,
)

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
NOBODY_ASKED = "the status files were read although the target remembers"


def must_not_be_asked() -> Records:
    raise AssertionError(NOBODY_ASKED)


def test_records_are_read_only_where_the_target_has_lost_its_memory() -> None:
    target, desired = MemoryTarget(), project(workspace())
    assert not planned(desired, target, recorded=lambda: recorded(workspace())).plan.steps
    applied(desired, target)
    assert not planned(desired, target, recorded=must_not_be_asked).plan.steps


def test_planning_writes_nothing_whatever_it_finds() -> None:
    faulty = Faulty(MemoryTarget())
    desired = project(workspace(), connection(), orchestration(), task(schedule={"cron": "0 2 * * *"}))
    planned(desired, faulty, recorded=lambda: recorded(workspace(), connection(host="old")), now=NOON)
    assert faulty.calls
    assert not [call for call in faulty.calls if call.method in WRITES]


def test_a_plan_on_a_fresh_machine_shows_only_what_differs_from_the_records() -> None:
    desired = project(workspace(), connection(host="new"))
    made = planned(desired, MemoryTarget(), recorded=lambda: recorded(workspace(), connection(host="old")))
    (step,) = made.plan.steps
    assert str(step.key) == "Connection/store"
    assert [(change.path, change.old, change.new) for change in step.changes] == [("details.host", "old", "new")]
    assert keys_of(made.recorded) == {"Workspace/w", "Connection/store"}


def test_what_is_live_already_is_not_taken_from_the_records() -> None:
    target = MemoryTarget()
    applied(project(workspace(), connection(host="live")), target)
    target.state.remembered.clear()
    made = planned(project(workspace(), connection()), target, recorded=lambda: recorded(workspace(), connection()))
    assert not made.recorded
    assert [change.old for step in made.plan.steps for change in step.changes] == ["live"]


def test_what_was_only_half_brought_back_when_the_apply_was_killed_is_brought_back_again() -> None:
    target, desired = MemoryTarget(), project(workspace(), orchestration())
    applied(desired, target)
    half = orchestration().key
    with target.state.writing():
        target.state.remembered.clear()
        target.state.records[half] = replace(target.state.records[half], applied={})
        (raw,) = (one for one in target.state.objects.values() if one.key == half)
        target.state.keep(replace(raw, spec={"source": "code"}))  # its bytes are not packaged
    assert planned(desired, target).plan.steps
    made = planned(desired, target, recorded=lambda: recorded(workspace(), orchestration()))
    assert keys_of(made.recorded) == {str(half)}
    assert not made.plan.steps


def test_records_of_another_owner_bring_nothing_back() -> None:
    records = recorded(workspace())
    other = Records(tuple(replace(one, owner=SOMEBODY) for one in records.objects))
    made = planned(project(), MemoryTarget(), recorded=lambda: other)
    assert not made.plan.steps
    assert not made.recorded


def test_a_record_that_cannot_be_read_stops_an_apply_and_no_plan() -> None:
    problem = Diagnostic("The status file tasks/w/t.yaml can't be used.")
    made = planned(project(workspace()), MemoryTarget(), recorded=lambda: Records((), (problem,)))
    with pytest.raises(InvalidSpecs) as refused:
        check(made, MemoryTarget())
    assert refused.value.diagnostics == (problem,)


def test_reading_is_tried_again_where_the_connection_breaks() -> None:
    faulty = Faulty(MemoryTarget(), [Fail(method="read", times=2)])
    assert planned(project(workspace()), faulty, pause=lambda _: False).plan.steps


def test_a_selection_does_without_the_secrets_of_others() -> None:
    desired = project(workspace(), with_secret(), orchestration(), task())
    made = planned(desired, MemoryTarget(), keys=frozenset({key("Task/w/nightly")}))
    assert keys_of(step.key for step in made.plan.steps) == {"Workspace/w", "Orchestration/w/code", "Task/w/nightly"}
    check(made, MemoryTarget())
    with pytest.raises(InvalidSpecs, match="1 problem"):
        check(planned(desired, MemoryTarget()), MemoryTarget())


def test_destroying_needs_no_memory_but_knows_what_is_recorded() -> None:
    made = planner.plan_destroy(project(workspace()), MemoryTarget(), recorded=lambda: recorded(workspace()))
    assert [str(step.key) for step in made.plan.steps] == ["Workspace/w"]
    outcome = execution(made, MemoryTarget()).run()
    assert fates(outcome) == {"Workspace/w": "done"}


def test_an_approved_plan_is_carried_out_while_only_other_objects_have_changed() -> None:
    target = MemoryTarget()
    reviewed = planned(project(workspace()), target).plan
    now = planned(project(workspace(), connection()), target)
    allowed = approved(now, reviewed)
    assert [str(step.key) for step in allowed.plan.steps] == ["Workspace/w"]
    assert allowed.whole is now.whole
    assert fates(execution(allowed, target).run()) == {"Workspace/w": "done"}


def test_an_approved_plan_of_other_changes_is_stale() -> None:
    target = MemoryTarget()
    applied(project(workspace(), connection()), target)
    reviewed = planned(project(workspace(), connection(host="a")), target).plan
    with pytest.raises(StalePlan):
        approved(planned(project(workspace(), connection(host="b")), target), reviewed)


def test_drift_is_what_somebody_else_changed_or_removed() -> None:
    target = MemoryTarget()
    applied(project(workspace(), connection(), connection("other")), target)
    assert not drift_of(target.read(), OWNER)
    raw = {one.key.name: one for one in target.state.objects.values()}
    with target.state.writing():
        target.state.keep(replace(raw["store"], spec={**raw["store"].spec, "details": {"host": "moved"}}))
        target.state.drop(raw["other"].id)
    found = drift_of(target.read(), OWNER)
    assert found
    assert {str(one): [change.path for change in changes] for one, changes in found.changed.items()} == {
        "Connection/store": ["details.host"]
    }
    assert keys_of(found.missing) == {"Connection/other"}
    assert not drift_of(target.read(), SOMEBODY)


CRON = {"cron": "0 2 * * *", "timezone": "UTC"}


class TestPreviews:
    """What a plan shows beside its steps."""

    def step(self, before: list[Any], after: list[Any], about: str) -> Any:
        target = MemoryTarget()
        applied(project(*before), target)
        made = planned(project(*after), target, now=NOON)
        return next(step for step in made.plan.steps if str(step.key) == about)

    def on_a_fresh_target(self, at_commit: Any) -> Any:
        old, new = (orchestration(zipped(main__py=f"print({text!r})")) for text in ("old", "new"))
        records = recorded(workspace(), old, commit="c" * 40)
        declared = project(workspace(), replace(new, key=old.key))
        made = planned(declared, MemoryTarget(), recorded=lambda: records, now=NOON, at_commit=at_commit(old))
        (step,) = made.plan.steps
        return step

    def test_a_changed_bundle_on_a_fresh_target_is_compared_with_that_of_the_recorded_commit(self) -> None:
        asked = []

        def at_commit(old: Resource) -> Any:
            def resources(commit: str) -> dict[Key, Resource]:
                asked.append(commit)
                return {old.key: old}

            return resources

        (file,) = self.on_a_fresh_target(at_commit).files
        assert (file.path, file.edit) == ("main.py", Edit.CHANGED)
        assert file.diff[-2:] == ("-print('old')", "+print('new')")
        assert asked == ["c" * 40]

    def test_where_the_commit_is_not_to_be_had_nothing_is_compared(self) -> None:
        assert self.on_a_fresh_target(lambda _old: unknown_commit).files == ()
        assert self.on_a_fresh_target(lambda _old: lambda _commit: {}).files == ()

    def test_a_changed_schedule_shows_its_next_three_instants_before_and_after(self) -> None:
        old, new = (task(schedule={**CRON, "cron": cron}) for cron in ("0 2 * * *", "30 3 * * *"))
        code = [workspace(), orchestration()]
        fires = self.step([*code, old], [*code, new], "Task/w/nightly").fires
        assert fires.before == ("2026-11-22T02:00:00Z", "2026-11-23T02:00:00Z", "2026-11-24T02:00:00Z")
        assert fires.after == ("2026-11-22T03:30:00Z", "2026-11-23T03:30:00Z", "2026-11-24T03:30:00Z")

    def test_a_new_schedule_fires_only_afterwards_and_a_suspended_one_never(self) -> None:
        code = [workspace(), orchestration()]
        assert self.step([], [*code, task(schedule=CRON)], "Task/w/nightly").fires.before == ()
        asleep = task(schedule={**CRON, "suspend": True})
        woken = self.step([*code, asleep], [*code, task(schedule=CRON)], "Task/w/nightly").fires
        assert (len(woken.before), len(woken.after)) == (0, 3)

    def test_a_change_of_something_else_shows_no_instants(self) -> None:
        code = [workspace(), orchestration()]
        old, new = (task(schedule=CRON, args={"rows": rows}) for rows in (1, 2))
        assert self.step([*code, old], [*code, new], "Task/w/nightly").fires is None

    def test_a_changed_connection_lists_what_uses_it(self) -> None:
        user = task(args={"connection": "store"})
        code = [workspace(), orchestration(), user]
        step = self.step([*code, connection()], [*code, connection(host="there")], "Connection/store")
        assert "Task/w/nightly" in keys_of(step.used_by)

    def test_a_changed_bundle_shows_its_files(self) -> None:
        old = orchestration(zipped(main__py="print(1)\n", gone__py=""))
        new = orchestration(zipped(main__py="print(2)\n", new__py="x = 1\n"))
        files = self.step([workspace(), old], [workspace(), new], "Orchestration/w/code").files
        assert {file.path: file.edit for file in files} == {
            "gone.py": Edit.REMOVED,
            "main.py": Edit.CHANGED,
            "new.py": Edit.ADDED,
        }
        changed = next(file for file in files if file.path == "main.py")
        assert "-print(1)" in changed.diff
        assert "+print(2)" in changed.diff

    def test_bytes_that_are_no_zip_are_left_out_without_a_fault(self) -> None:
        found = self.step(
            [workspace(), orchestration(b"one")], [workspace(), orchestration(b"two")], "Orchestration/w/code"
        )
        assert found.files == ()

    def test_previews_are_no_part_of_the_hash(self) -> None:
        desired = project(workspace(), orchestration(), task(schedule=CRON))
        plain, seen = planned(desired, MemoryTarget()), planned(desired, MemoryTarget(), now=NOON)
        assert seen.plan.hash == plain.plan.hash
        assert seen.plan != plain.plan

    def test_large_and_binary_files_are_named_and_not_compared(self) -> None:
        old, new = (zipped(big__txt=str(n) * 70_000, raw__bin=f"\0{n}") for n in (1, 2))
        assert [(file.path, file.diff) for file in file_changes(old, new)] == [("big.txt", ()), ("raw.bin", ())]

    def test_a_long_diff_is_cut(self) -> None:
        old, new = (zipped(main__py="".join(f"{n * line}\n" for line in range(1, 2000))) for n in (1, 2))
        (file,) = file_changes(old, new)
        assert len(file.diff) == 201
        assert "more lines" in file.diff[-1]


def test_a_wish_is_handed_on() -> None:
    target = MemoryTarget()
    applied(project(workspace(), connection()), target)
    made = planned(project(workspace()), target, wishes=Wishes(destroy=False))
    assert [bool(step.blocked_by) for step in made.plan.steps] == [True]


def test_a_secret_that_cannot_be_read_is_a_notice_of_the_plan_and_stops_the_apply() -> None:
    made = planned(project(workspace(), with_secret()), MemoryTarget(), Environ())
    assert [str(notice.key) for notice in made.plan.notices] == ["Connection/store"]
    with pytest.raises(InvalidSpecs):
        check(made, MemoryTarget())
