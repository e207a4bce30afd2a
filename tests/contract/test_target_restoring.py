"""What every adapter of the `Target` port keeps, of what it remembers, bringing back, and the bytes it holds."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from specrunner.core.errors import StalePlan
from specrunner.core.fields import Action
from specrunner.core.keys import Kind
from specrunner.core.lifecycle import RunState
from specrunner.core.plan import Step
from specrunner.core.recorded import Recorded, RunTimes
from specrunner.core.resources import Presence, Resource, intent_of
from specrunner.targets.base import SUSPENDED, Stored, Target
from tests.contract.target_samples import (
    OURS,
    THEIRS,
    Applying,
    Make,
    connection,
    everything,
    key,
    model,
    orchestration,
    task,
    workspace,
)

RUN = "run-of-long-ago"
HOURLY = {"cron": "0 * * * *", "timezone": "UTC"}


def recorded(resource: Resource, state: RunState = RunState.SUCCESS) -> Recorded:
    """A resource as the status files have it."""
    intent = intent_of(resource.spec) if resource.key.kind is Kind.TASK else ""
    return Recorded(
        key=resource.key,
        owner=OURS,
        applied=resource.spec,
        id="id-of-long-ago",
        protect=resource.protect,
        labels=resource.labels,
        description=resource.description,
        intents={intent: str(state)} if intent else {},
        runs={intent: RUN} if intent else {},
    )


def restore(project: Applying, resources: list[Resource], state: RunState = RunState.SUCCESS) -> None:
    for resource in resources:
        order = replace(project.order(resource, Step(resource.key, Action.NONE, "")), token=f"restore {resource.key}")
        project.target.restore(recorded(resource, state), order)


def test_a_fresh_target_remembers_nobody(target: Target, make: Make, tmp_path: Path) -> None:
    assert not target.remembers(OURS)
    target.remember(OURS)
    target.remember(OURS)
    assert target.remembers(OURS) and not target.remembers(THEIRS)
    other, fresh = make(tmp_path / "state"), make(tmp_path / "fresh")
    assert other.remembers(OURS) and not fresh.remembers(OURS)
    other.close()
    fresh.close()


def test_applying_alone_does_not_make_it_remember(project: Applying) -> None:
    """Half a restore is no memory: only `remember` says that everything is here."""
    project.apply([workspace(), connection()])
    assert not project.target.remembers(OURS)


def test_what_was_brought_back_is_as_it_was_applied_and_nothing_runs(project: Applying, tmp_path: Path) -> None:
    resources = everything(f"open({str(tmp_path / 'mark')!r}, 'w').close()")
    restore(project, resources)
    live = project.target.read()
    assert set(live) == {found.key for found in resources}
    assert all(found.owner == OURS and found.presence is Presence.PRESENT for found in live.values())
    assert {name: found.applied for name, found in live.items()} == {found.key: found.spec for found in resources}
    after = project.plan(resources)
    assert after.steps == () and after.notices == ()
    assert not (tmp_path / "mark").exists()


def test_bringing_back_twice_is_bringing_back_once(project: Applying) -> None:
    restore(project, everything())
    once, runs = project.target.read(), project.target.runs()
    restore(project, everything())
    assert project.target.read() == once and project.target.runs() == runs


def test_metadata_comes_back(project: Applying) -> None:
    declared = replace(connection(), labels={"team": "x"}, description="why", protect=True)
    restore(project, [workspace(), declared])
    found = project.target.read()[declared.key]
    assert (found.labels, found.description, found.protect) == ({"team": "x"}, "why", True)
    project.apply([workspace(), connection()])


def test_a_restored_intent_counts_as_carried_out(project: Applying, tmp_path: Path) -> None:
    resources = everything(f"open({str(tmp_path / 'mark')!r}, 'w').close()")
    restore(project, resources)
    job = resources[-1]
    run = project.target.run(job.key, intent_of(job.spec))
    assert (run.id, run.status, run.task) == (RUN, RunState.SUCCESS, job.key)
    assert [found.id for found in project.target.runs(job.key)] == [RUN]
    assert list(project.target.log(RUN)) == []
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize("state", [RunState.FAILURE, RunState.TIMED_OUT, RunState.KILLED, RunState.LOST])
def test_a_restored_intent_that_went_wrong_is_not_repeated_by_a_plan(project: Applying, state: RunState) -> None:
    resources = everything()
    restore(project, resources, state)
    job = resources[-1]
    assert project.target.read()[job.key].intents == {intent_of(job.spec): state}
    after = project.plan(resources)
    assert after.steps == () and [notice.key for notice in after.notices] == [job.key]


def test_a_restored_run_was_when_its_record_says(project: Applying) -> None:
    began = datetime(2026, 11, 1, 2, 0, 0, 123456, tzinfo=UTC)
    times = RunTimes(began, began + timedelta(seconds=1), began + timedelta(seconds=91))
    *others, last = everything()
    assert last.key.kind is Kind.TASK
    restore(project, others)
    order = replace(project.order(last, Step(last.key, Action.NONE, "")), token="restore")
    project.target.restore(replace(recorded(last), times={RUN: times}), order)
    (run,) = project.target.runs(last.key)
    assert (run.created, run.started, run.ended) == (times.created, times.started, times.ended)
    assert project.plan(everything()).steps == ()


def test_a_task_that_was_suspended_is_brought_back_suspended(project: Applying) -> None:
    others, nightly = scheduled()
    restore(project, others)
    bring_back(project, replace(recorded(nightly), state=SUSPENDED), nightly)
    assert project.target.read()[nightly.key].state == SUSPENDED
    project.target.resume(nightly.key)
    assert project.target.read()[nightly.key].state != SUSPENDED
    bring_back(project, replace(recorded(nightly), state=SUSPENDED), nightly)
    assert project.target.read()[nightly.key].state != SUSPENDED, "what is here is newer than the record"
    assert project.plan([*others, nightly]).steps == ()


def scheduled() -> tuple[list[Resource], Resource]:
    """A task that runs every hour, and before it what it needs."""
    source = orchestration()
    return [workspace(), source], task(source, "nightly", schedule=HOURLY)


def bring_back(project: Applying, found: Recorded, what: Resource) -> None:
    order = replace(project.order(what, Step(what.key, Action.NONE, "")), token="restore")
    project.target.restore(replace(found, intents={}, runs={}), order)


def test_what_was_brought_back_can_be_changed_run_and_deleted(project: Applying, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    resources = everything(f"open({str(mark)!r}, 'w').close()")
    restore(project, resources)
    job = resources[-1]
    other = replace(job, spec={**job.spec, "args": {"n": 2}})
    assert [run.status for run in project.apply([*resources[:-1], other])] == [RunState.SUCCESS]
    assert mark.exists()
    project.apply([])
    assert project.target.read() == {}


def test_what_is_there_already_is_not_brought_back_over(project: Applying) -> None:
    project.apply([workspace(), connection(host="b")])
    before = project.target.read()
    restore(project, [workspace(), connection(host="a")])
    assert project.target.read() == before


def test_nothing_is_brought_back_over_what_another_has_made(project: Applying) -> None:
    project.apply([workspace()])
    other = Applying(project.target, THEIRS)
    other.apply([connection(host="theirs")])
    before = project.target.read()
    with pytest.raises(StalePlan):
        restore(project, [connection()])
    assert project.target.read() == before
    other.apply([])


def test_bringing_back_goes_on_where_it_was_cut_off(project: Applying, make: Make, tmp_path: Path) -> None:
    restore(project, everything()[:3])
    other = make(tmp_path / "state")
    restore(Applying(other), everything())
    assert Applying(other).plan(everything()).steps == ()
    other.close()


# Bytes


def test_the_bytes_of_models_and_orchestrations_are_given_back(project: Applying) -> None:
    project.apply(everything())
    for resource in (model(), orchestration()):
        assert resource.payload is not None
        wanted = Stored(resource.payload.file_name, resource.payload.read())
        assert project.target.stored(resource.key) == wanted


def test_they_are_those_in_force(project: Applying) -> None:
    project.apply(everything())
    changed = orchestration("print('new')")
    project.apply([workspace(), changed])
    assert changed.payload is not None
    found = project.target.stored(changed.key)
    assert found is not None and found.data == changed.payload.read()


def test_they_come_back_with_their_objects(project: Applying) -> None:
    restore(project, everything())
    found, payload = project.target.stored(model().key), model().payload
    assert found is not None and payload is not None and found.data == payload.read()


def test_nothing_else_has_bytes(project: Applying) -> None:
    project.apply(everything())
    assert project.target.stored(key(Kind.PIPELINE, "prices")) is None
    assert project.target.stored(key(Kind.MODEL, "nobody")) is None
    assert project.target.stored(key(Kind.ORCHESTRATION, "nobody")) is None
