"""What every adapter of the `Target` port keeps, of renames, replacing, what others removed and lost replies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from specrunner.core.errors import SpecrunnerError, StalePlan
from specrunner.core.fields import Action
from specrunner.core.keys import Key, Kind
from specrunner.core.lifecycle import RunState
from specrunner.core.plan import Step
from specrunner.core.renames import respelt
from specrunner.core.resources import Presence, Resource, intent_of, references_of
from specrunner.targets.base import PutOrder
from tests.contract.target_samples import (
    OURS,
    Applying,
    Make,
    connection,
    everything,
    key,
    orchestration,
    task,
    vanish,
    workspace,
)

# Renames

NEW_NAMES = {kind: Key.of(kind, f"other {kind.lower()}", "lab") for kind in Kind}


def moved(resources: list[Resource], old: Key, new: Key) -> list[Resource]:
    """The same declared with another name for one object, and the files saying so."""
    inside = [found.key for found in resources if old.kind is Kind.WORKSPACE and found.key.workspace == old.name]
    keys = {old: new} | {key: key.inside(new.name) for key in inside}
    return [_moved(found, keys, old) for found in resources]


def _moved(found: Resource, keys: Mapping[Key, Key], old: Key) -> Resource:
    key, spec = keys.get(found.key, found.key), respelt(found.key, found.spec, keys)
    former = old if found.key == old else None
    return replace(found, key=key, spec=spec, references=references_of(key, spec), renamed_from=former)


def renamed(project: Applying, kind: Kind) -> tuple[list[Resource], PutOrder]:
    """Everything applied, and then one object renamed; all that is declared now, and the order of the rename."""
    project.apply(everything())
    old = next(found.key for found in everything() if found.key.kind is kind)
    resources = moved(everything(), old, NEW_NAMES[kind])
    declared = next(found for found in resources if found.key == NEW_NAMES[kind])
    order = project.order(declared, project.step(declared, [found for found in resources if found is not declared]))
    assert order.step.renamed_from == old
    project.target.put(order)
    return resources, order


@pytest.mark.parametrize("kind", list(Kind))
def test_a_renamed_object_is_the_same_object(project: Applying, kind: Kind) -> None:
    """Everything keeps its id, owner and runs, and whoever named it names it anew, so nothing is left to do."""
    project.apply(everything())
    ids = sorted(found.id for found in project.target.read().values())
    runs = [run.id for run in project.target.runs()]
    resources, _ = renamed(project, kind)
    live = project.target.read()
    assert set(live) == {found.key for found in resources}
    assert sorted(found.id for found in live.values()) == ids
    assert all(found.owner == OURS and found.presence is Presence.PRESENT for found in live.values())
    assert [run.id for run in project.target.runs()] == runs
    assert project.plan(resources).steps == ()


@pytest.mark.parametrize("kind", [Kind.WORKSPACE, Kind.TASK])
def test_the_runs_of_a_task_follow_it_to_its_new_key(project: Applying, kind: Kind) -> None:
    resources, _ = renamed(project, kind)
    job = resources[-1]
    (run,) = project.target.runs()
    assert run.task == job.key
    assert [found.id for found in project.target.runs(job.key)] == [run.id]
    assert project.target.runs(key(Kind.TASK, "job")) == []
    assert project.target.read()[job.key].intents == {intent_of(job.spec): "success"}
    assert project.target.run(job.key, intent_of(job.spec)).id == run.id


@pytest.mark.parametrize("kind", list(Kind))
def test_renaming_twice_is_renaming_once(project: Applying, kind: Kind) -> None:
    _, order = renamed(project, kind)
    once = project.target.read()
    project.target.put(order)
    assert project.target.read() == once


def test_a_rename_may_change_more(project: Applying) -> None:
    project.apply([workspace(), connection()])
    declared = replace(connection(host="b"), key=NEW_NAMES[Kind.CONNECTION], renamed_from=connection().key)
    project.apply([workspace(), declared])
    live = project.target.read()
    assert set(live) == {workspace().key, declared.key}
    assert live[declared.key].spec["details"]["host"] == "b"
    assert project.plan([workspace(), declared]).steps == ()


def test_a_rename_of_what_was_changed_meanwhile_is_stale(project: Applying) -> None:
    project.apply([workspace(), connection()])
    declared = replace(connection(), key=NEW_NAMES[Kind.CONNECTION])
    before = project.target.read()[connection().key].fingerprint
    project.apply([workspace(), connection(host="b")])
    step = Step(declared.key, Action.UPDATE, "renamed", live=before, renamed_from=connection().key)
    changed = project.target.read()
    with pytest.raises(StalePlan):
        project.target.put(project.order(declared, step))
    assert project.target.read() == changed


def test_several_renames_and_changes_of_those_who_name_them_go_in_one_apply(project: Applying) -> None:
    """Each step was planned before the first rename, and finds its object all the same."""
    project.apply(everything())
    ids = sorted(found.id for found in project.target.read().values())
    resources = everything()
    for kind in Kind:
        resources = moved(resources, next(found.key for found in resources if found.key.kind is kind), hall(kind))
    old = {found.key.kind: Key.of(found.key.kind, found.key.name, "hall") for found in everything()}
    resources = [replace(found, renamed_from=old[found.key.kind], description="new") for found in resources]
    steps = project.plan(resources).steps
    assert [(step.renamed_from is not None, step.action) for step in steps] == [(True, Action.UPDATE)] * len(Kind)
    project.apply(resources)
    live = project.target.read()
    assert set(live) == {found.key for found in resources}
    assert sorted(found.id for found in live.values()) == ids
    assert len(project.target.runs()) == 1
    assert project.plan(resources).steps == ()


def hall(kind: Kind) -> Key:
    return Key.of(kind, "hall" if kind is Kind.WORKSPACE else f"other {kind.lower()}", "hall")


def test_a_task_that_uses_a_renamed_workspace_finds_it_in_the_same_apply(project: Applying) -> None:
    source = orchestration()
    annex, hall = Key(Kind.WORKSPACE, "", "annex"), Key(Kind.WORKSPACE, "", "hall")
    job = task(source, workspaces=["annex"])
    other = replace(workspace(), key=annex)
    project.apply([workspace(), other, source, job])
    renamed_one = replace(other, key=hall, renamed_from=annex)
    changed = [workspace(), renamed_one, source, task(source, workspaces=["hall"], timeout=60)]
    assert [run.status for run in project.apply(changed)] == [RunState.SUCCESS]
    assert project.target.read()[job.key].spec["workspaces"] == ["hall"]
    assert project.plan(changed).steps == ()


def test_a_task_that_uses_a_renamed_workspace_is_not_run_again(project: Applying) -> None:
    source, annex = orchestration(), Key(Kind.WORKSPACE, "", "annex")
    other = replace(workspace(), key=annex)
    project.apply([workspace(), other, source, task(source, workspaces=["annex"])])
    renamed_one = replace(other, key=Key(Kind.WORKSPACE, "", "hall"), renamed_from=annex)
    changed = [workspace(), renamed_one, source, task(source, workspaces=["hall"])]
    assert [step.key for step in project.plan(changed).steps] == [renamed_one.key]
    assert project.apply(changed) == []
    assert project.target.read()[changed[-1].key].spec["workspaces"] == ["hall"]
    assert project.plan(changed).steps == ()


def test_the_old_name_is_free_after_a_rename(project: Applying) -> None:
    resources, _ = renamed(project, Kind.TASK)
    both = [*resources, everything()[-1]]
    assert [(step.key, step.action) for step in project.plan(both).steps] == [(everything()[-1].key, Action.CREATE)]
    assert [run.status for run in project.apply(both)] == [RunState.SUCCESS]
    assert project.plan(both).steps == () and len(project.target.runs()) == 2


def test_another_process_sees_the_new_name(project: Applying, make: Make, tmp_path: Path) -> None:
    resources, _ = renamed(project, Kind.WORKSPACE)
    other = make(tmp_path / "state")
    assert Applying(other).plan(resources).steps == ()
    other.close()


# Replacing


def replacement(project: Applying) -> tuple[Resource, Step]:
    project.apply([workspace(), connection()])
    declared = replace(connection(), spec={**connection().spec, "type": "HTTP"})
    step = project.step(declared, [workspace()])
    return declared, replace(step, action=Action.REPLACE)


def test_a_replaced_object_is_another_one_under_the_same_key(project: Applying) -> None:
    declared, step = replacement(project)
    before = project.target.read()[declared.key]
    project.target.put(project.order(declared, step))
    after = project.target.read()[declared.key]
    assert after.id != before.id and after.owner == OURS and after.spec["type"] == "HTTP"
    assert project.plan([workspace(), declared]).steps == ()


def test_replacing_twice_is_replacing_once(project: Applying) -> None:
    declared, step = replacement(project)
    project.target.put(project.order(declared, step))
    once = project.target.read()
    project.target.put(project.order(declared, step))
    assert project.target.read() == once


def test_replacing_what_was_changed_meanwhile_is_stale(project: Applying) -> None:
    declared, step = replacement(project)
    project.apply([workspace(), connection(host="b")])
    changed = project.target.read()
    with pytest.raises(StalePlan):
        project.target.put(project.order(declared, step))
    assert project.target.read() == changed


# What somebody else has removed

LOSABLE = [Kind.CONNECTION, Kind.PIPELINE, Kind.TASK]


@pytest.mark.parametrize("kind", LOSABLE)
def test_what_was_applied_and_removed_by_another_is_missing(project: Applying, kind: Kind) -> None:
    project.apply(everything())
    lost = next(found for found in everything() if found.key.kind is kind)
    before = project.target.read()[lost.key]
    vanish(project.target, lost.key)
    live = project.target.read()
    found = live[lost.key]
    assert set(live) == {found.key for found in everything()}
    assert (found.presence, found.owner, found.applied, found.spec) == (Presence.MISSING, OURS, before.applied, {})
    assert {other.presence for name, other in live.items() if name != lost.key} == {Presence.PRESENT}


@pytest.mark.parametrize("kind", LOSABLE)
@pytest.mark.parametrize("planned_for", ["nothing", "the record"])
def test_what_is_missing_may_be_made_anew(project: Applying, kind: Kind, planned_for: str) -> None:
    project.apply(everything())
    lost = next(found for found in everything() if found.key.kind is kind)
    vanish(project.target, lost.key)
    live = project.target.read()[lost.key].fingerprint if planned_for == "the record" else ""
    project.target.put(project.order(lost, Step(lost.key, Action.CREATE, "", live=live)))
    found = project.target.read()[lost.key]
    assert (found.presence, found.owner) == (Presence.PRESENT, OURS) and found.id


def test_what_a_task_has_run_is_not_run_again_because_somebody_removed_it(project: Applying) -> None:
    assert [run.status for run in project.apply(everything())] == [RunState.SUCCESS]
    job = everything()[-1]
    vanish(project.target, job.key)
    (step,) = project.plan(everything()).steps
    assert (step.action, step.intent) == (Action.CREATE, "") and "not run again" in step.reason
    assert project.apply(everything()) == []
    assert project.target.read()[job.key].intents == {intent_of(job.spec): "success"}
    assert not project.plan(everything()).steps


def test_what_this_project_has_removed_itself_runs_again_when_it_is_declared_again(project: Applying) -> None:
    project.apply(everything())
    assert project.apply(everything()[:-1]) == []
    assert [run.status for run in project.apply(everything())] == [RunState.SUCCESS]


@pytest.mark.parametrize("kind", LOSABLE)
def test_deleting_what_is_missing_forgets_it(project: Applying, kind: Kind) -> None:
    project.apply(everything())
    lost = next(found for found in everything() if found.key.kind is kind)
    vanish(project.target, lost.key)
    missing = project.target.read()[lost.key]
    step = Step(lost.key, Action.DELETE, "", live=missing.fingerprint)
    project.target.delete(step)
    assert lost.key not in project.target.read()
    project.target.delete(step)


# Lost replies


@pytest.mark.parametrize("kind", list(Kind))
def test_a_create_whose_reply_was_lost_is_repeated_with_its_token(
    project: Applying, make: Make, tmp_path: Path, kind: Kind
) -> None:
    """Also by another process, as after a crash."""
    declared = next(found for found in everything() if found.key.kind is kind)
    before = [found for found in everything() if found.key.kind.rank < kind.rank]
    project.apply(before)
    order = replace(project.order(declared, project.step(declared, before)), token="apply-1/create")
    project.target.put(order)
    once = project.target.read()
    other = make(tmp_path / "state")
    other.put(order)
    assert other.read() == project.target.read() == once
    other.close()


def test_a_create_by_another_token_of_what_differs_is_stale(project: Applying) -> None:
    project.apply([workspace()])
    step = project.step(connection(), [workspace()])
    project.target.put(replace(project.order(connection(), step), token="one"))
    with pytest.raises(StalePlan):
        project.target.put(replace(project.order(connection(host="b"), step), token="two"))


def test_what_an_object_needs_must_be_there_first(project: Applying) -> None:
    source = orchestration()
    job = task(source)
    project.apply([workspace()])
    with pytest.raises(SpecrunnerError):
        project.target.put(project.order(job, Step(job.key, Action.CREATE, "")))
    assert set(project.target.read()) == {workspace().key}
