"""What every adapter of the `Target` port keeps, of objects. A new adapter joins `ADAPTERS` and passes unchanged."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from specrunner.core.errors import BadInput, InvalidSpecs, PackagingFailed, SpecrunnerError, StalePlan
from specrunner.core.fields import Action
from specrunner.core.keys import Key, Kind
from specrunner.core.lifecycle import RunState
from specrunner.core.plan import Step
from specrunner.core.resources import Resource, references_of
from specrunner.core.values import Secret
from specrunner.reconcile.drift import Drift, drift_of
from tests.contract.target_samples import (
    OURS,
    PLACE,
    SENTINEL,
    THEIRS,
    Applying,
    Make,
    connection,
    everything,
    exchange,
    key,
    model,
    orchestration,
    pipeline,
    task,
    workspace,
)

# Round trips


def test_what_was_put_is_read_as_it_was_declared(project: Applying) -> None:
    resources = everything()
    runs = project.apply(resources)
    assert [run.status for run in runs] == [RunState.SUCCESS]
    after = project.plan(resources)
    assert after.steps == () and after.unchanged == len(resources) and after.notices == ()
    live = project.target.read()
    assert set(live) == {found.key for found in resources}
    assert all(found.owner == OURS and found.id for found in live.values())


def test_reading_changes_nothing(project: Applying) -> None:
    project.apply(everything())
    assert project.target.read() == project.target.read()


def test_another_who_opens_the_target_reads_the_same(project: Applying, make: Make, tmp_path: Path) -> None:
    project.apply(everything())
    other = make(tmp_path / "state")
    try:
        assert other.read() == project.target.read()
        assert Applying(other).plan(everything()).steps == ()
    finally:
        other.close()


@pytest.mark.parametrize("kind", list(Kind))
def test_metadata_is_kept_for_every_kind(project: Applying, kind: Kind) -> None:
    project.apply(everything())
    more: dict[str, Any] = {"labels": {"team": "x"}, "description": "why it is there", "protect": True}
    changed = [replace(found, **more) if found.key.kind is kind else found for found in everything()]
    assert [step.key.kind for step in project.plan(changed).steps] == [kind]
    project.apply(changed)
    assert project.plan(changed).steps == ()
    found = next(found for found in project.target.read().values() if found.key.kind is kind)
    assert (found.labels, found.description, found.protect) == tuple(more.values())
    assert [step.blocked_by != "" for step in project.plan([]).steps if step.key == found.key] == [True]
    project.apply(everything())


CHANGES: Mapping[str, tuple[list[Resource], Action]] = {
    "details": ([connection(host="b")], Action.UPDATE),
    "type": ([replace(connection(), spec={**connection().spec, "type": "HTTP"})], Action.REPLACE),
    "model": ([model(7), pipeline(7)], Action.UPLOAD),
    "undeploy": ([pipeline(deployed=False)], Action.KILL),
    "resources": ([pipeline(resources={"cpus": 1})], Action.REDEPLOY),
    "code": ([orchestration("print('new')"), task(orchestration("print('new')"), args={"n": 1})], Action.UPLOAD),
    "arguments": ([task(orchestration(), args={"n": 2})], Action.RUN),
    "schedule": ([task(orchestration(), schedule={"cron": "0 2 * * *"})], Action.RESCHEDULE),
}


@pytest.mark.parametrize("change", sorted(CHANGES))
def test_a_change_is_made_and_then_there_is_none(project: Applying, change: str) -> None:
    project.apply(everything())
    changed, action = CHANGES[change]
    resources = list(({found.key: found for found in everything()} | {found.key: found for found in changed}).values())
    ids = {name: found.id for name, found in project.target.read().items()}
    steps = {step.key: step.action for step in project.plan(resources).steps}
    assert steps[changed[0].key] is action
    project.apply(resources)
    assert project.plan(resources).steps == ()
    untouched = set(ids) - {found.key for found in changed}
    assert {name: found.id for name, found in project.target.read().items() if name in untouched} == {
        name: ids[name] for name in untouched
    }


def test_another_value_of_a_secret_is_a_change(project: Applying) -> None:
    project.apply(everything())
    project.values["STORE"] = Secret({"password": "another"})
    steps = project.plan(everything()).steps
    assert [(step.key.kind, step.changes[0].path) for step in steps] == [(Kind.CONNECTION, "detailsFrom")]
    project.apply(everything())
    assert project.plan(everything()).steps == ()


EXCHANGED: Mapping[str, tuple[Kind, str, str, Secret]] = {
    "connection": (Kind.CONNECTION, "store", "detailsFrom", Secret({"password": "of somebody else"})),
    "task": (Kind.TASK, "job", "secretEnv.KEY", Secret("of somebody else")),
}


@pytest.mark.parametrize("what", sorted(EXCHANGED))
def test_a_secret_that_somebody_has_exchanged_is_noticed_and_put_back(project: Applying, what: str) -> None:
    kind, name, path, secret = EXCHANGED[what]
    project.apply(everything())
    before, project.values["KEY"] = project.target.read(), Secret("changed in its source")
    planned = {step.key: step for step in project.plan(everything()).steps}
    project.values["KEY"] = Secret(f"key-{SENTINEL}")
    assert drift_of(before, project.owner) == Drift()
    exchange(project.target, key(kind, name), path, secret)
    found = drift_of(project.target.read(), project.owner).changed
    assert [(one, [change.path for change in changes]) for one, changes in found.items()] == [(key(kind, name), [path])]
    (step,) = project.plan(everything()).steps
    assert (step.key, step.action, [change.path for change in step.changes]) == (key(kind, name), Action.UPDATE, [path])
    assert step.changes[0].drift and not step.intent
    if step.key in planned:  # this was planned before it was exchanged
        declared = next(one for one in everything() if one.key == step.key)
        with pytest.raises(StalePlan):
            project.target.put(project.order(declared, planned[step.key]))
    project.apply(everything())
    assert project.target.read() == before


def test_a_secret_is_neither_read_nor_printed(project: Applying) -> None:
    project.apply(everything())
    assert SENTINEL not in repr(project.target.read()) + repr(project.target.runs())
    one = project.target.fingerprint(Secret({"a": 1, "b": 2}))
    assert one == project.target.fingerprint(Secret({"b": 2, "a": 1})) != project.target.fingerprint(Secret({"a": 1}))


# Again


@pytest.mark.parametrize("kind", list(Kind))
def test_put_twice_is_put_once(project: Applying, kind: Kind) -> None:
    """Also with the step of the first time: an apply that was interrupted may do it again."""
    resources = everything()
    declared = next(found for found in resources if found.key.kind is kind)
    before = [found for found in resources if found.key.kind.rank < kind.rank]
    project.apply(before)
    order = project.order(declared, project.step(declared, before))
    project.target.put(order)
    once = project.target.read()
    project.target.put(order)
    project.target.put(project.order(declared, replace(order.step, live=once[declared.key].fingerprint)))
    assert project.target.read() == once


@pytest.mark.parametrize("kind", list(Kind))
def test_delete_twice_is_fine(project: Applying, kind: Kind) -> None:
    project.apply(everything())
    steps = project.plan([]).steps
    assert {step.key.kind for step in steps} == set(Kind)
    for step in steps:
        project.target.delete(step)
        project.target.delete(step)
        assert step.key not in project.target.read()
        if step.key.kind is kind:
            return


def test_what_was_deleted_may_be_made_anew(project: Applying) -> None:
    project.apply(everything())
    project.apply([])
    assert project.target.read() == {}
    assert [run.status for run in project.apply(everything())] == [RunState.SUCCESS]
    assert project.plan(everything()).steps == ()


def test_deleting_something_that_others_need_is_refused(project: Applying) -> None:
    project.apply(everything())
    steps = {step.key.kind: step for step in project.plan([]).steps}
    for kind in (Kind.WORKSPACE, Kind.MODEL, Kind.ORCHESTRATION):
        with pytest.raises(SpecrunnerError):
            project.target.delete(steps[kind])
    assert project.plan(everything()).steps == ()


# Stale plans


def test_a_plan_for_an_object_that_was_changed_meanwhile_is_stale(project: Applying) -> None:
    base = [workspace(), connection()]
    project.apply(base)
    old_change, old_delete = project.step(connection(host="b"), [workspace()]), project.plan([workspace()]).steps[0]
    project.apply([workspace(), connection(host="c")])
    changed = project.target.read()
    with pytest.raises(StalePlan, match="Connection/store") as caught:
        project.target.put(project.order(connection(host="b"), old_change))
    assert "specrunner plan" in caught.value.remedy
    with pytest.raises(StalePlan):
        project.target.delete(old_delete)
    assert project.target.read() == changed


def test_a_plan_for_an_object_that_is_gone_or_there_by_now_is_stale(project: Applying) -> None:
    create = project.step(connection(host="b"), [workspace()])
    project.apply([workspace(), connection()])
    with pytest.raises(StalePlan):
        project.target.put(project.order(connection(host="b"), create))
    change = project.step(connection(host="b"), [workspace()])
    project.apply([workspace()])
    with pytest.raises(StalePlan):
        project.target.put(project.order(connection(host="b"), change))
    assert set(project.target.read()) == {key(Kind.WORKSPACE, "lab")}


# Owners


def test_what_belongs_to_another_is_seen_as_such(project: Applying) -> None:
    project.apply([workspace(), connection()])
    other = Applying(project.target, THEIRS)
    with pytest.raises(InvalidSpecs) as caught:
        other.plan([connection()])
    assert "belongs to shop/prod" in caught.value.diagnostics[0].summary
    assert other.plan([]).steps == ()


def test_an_object_whose_making_failed_belongs_to_who_began_it(project: Applying) -> None:
    """So that the mended specs can be applied without adopting what one's own apply had left half made."""
    broken = orchestration(requirements="impossible==9")
    with pytest.raises(PackagingFailed):
        project.apply([workspace(), broken])
    live = project.target.read()[broken.key]
    assert (live.owner, live.state) == (OURS, "error") and "impossible" in live.detail
    again = project.plan([workspace(), broken]).steps
    assert [(step.key, step.blocked_by) for step in again] == [(broken.key, "")]
    assert "somebody else" not in again[0].reason
    project.apply([workspace(), orchestration()])
    assert project.plan([workspace(), orchestration()]).steps == ()


def test_a_version_that_cannot_be_packaged_does_not_take_the_place_of_one_that_can(project: Applying) -> None:
    project.apply([workspace(), orchestration()])
    with pytest.raises(PackagingFailed):
        project.apply([workspace(), orchestration(requirements="impossible==9")])
    live = project.target.read()[key(Kind.ORCHESTRATION, "code")]
    assert live.owner == OURS and live.spec["sha"] == orchestration().spec["sha"]
    assert live.state == "ready"  # that of the version in force
    assert "impossible" in live.detail
    assert project.plan([workspace(), orchestration()]).steps == ()


def test_an_object_that_could_not_be_made_at_all_belongs_to_nobody(project: Applying) -> None:
    project.apply([workspace()])
    project.values["STORE"] = Secret("no mapping")
    with pytest.raises(BadInput, match="no mapping"):
        project.apply([workspace(), connection()])
    assert set(project.target.read()) == {key(Kind.WORKSPACE, "lab")}
    other = Applying(project.target, THEIRS)
    other.apply([connection()])
    assert project.target.read()[connection().key].owner == THEIRS
    other.apply([])


# Many at once


def test_eight_threads_put_and_read_at_once(project: Applying) -> None:
    """Objects of several kinds in workspaces of their own, while others read everything."""
    stop, trouble = threading.Event(), []

    def read() -> None:
        while not stop.is_set():
            try:
                project.target.read()
            except Exception as problem:  # whatever it is, it is the finding
                trouble.append(problem)
                return

    def work(number: int) -> None:
        place = f"lab-{number}"
        store = Key(Kind.CONNECTION, "", f"store-{number}")
        houses = Key(Kind.MODEL, place, "houses")
        made = [
            Resource(Key(Kind.WORKSPACE, "", place), {}, PLACE),
            replace(connection(), key=store, spec={**connection().spec, "workspaces": [place]}),
            replace(model(), key=houses, references=references_of(houses, {})),
        ]
        for declared in made:
            project.target.put(project.order(declared, Step(declared.key, Action.CREATE, "")))

    reader = threading.Thread(target=read)
    reader.start()
    try:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(work, range(8)))
    finally:
        stop.set()
        reader.join()
    assert trouble == []
    assert len(project.target.read()) == 24 and all(found.owner == OURS for found in project.target.read().values())
