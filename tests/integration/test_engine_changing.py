"""Writes of the local target, where the embedded engine has something of its own to keep."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from specrunner.core.errors import SpecrunnerError, StalePlan
from specrunner.core.fields import Action
from specrunner.core.keys import Key, Kind
from specrunner.core.lifecycle import Reason, RunState
from specrunner.core.plan import Step
from specrunner.core.recorded import Recorded
from specrunner.core.resources import Presence, intent_of
from specrunner.engine.engine import Engine
from specrunner.targets.base import PutOrder
from specrunner.targets.local.target import LocalTarget
from tests.contract.target_samples import OURS, Applying, connection, key, model, orchestration, task, workspace
from tests.integration.engine_samples import engine_on


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with engine_on(tmp_path) as opened:
        yield opened


@pytest.fixture
def project(engine: Engine) -> Applying:
    return Applying(LocalTarget(engine))


def test_a_file_that_changed_after_the_plan_is_not_taken_in(project: Applying) -> None:
    project.apply([workspace()])
    declared = model()
    assert declared.payload is not None
    other = replace(declared, payload=replace(declared.payload, read=lambda: b"something else"))
    with pytest.raises(StalePlan, match="has changed since this was planned"):
        project.target.put(project.order(other, project.step(other, [workspace()])))
    assert declared.key not in project.target.read()


def test_what_cannot_be_written_whole_is_not_written_at_all(
    engine: Engine, project: Applying, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The record of whose it is comes last: if that fails, there is no connection either."""
    project.apply([workspace()])
    order = project.order(connection(), project.step(connection(), [workspace()]))

    def full(*_arguments: object) -> None:
        raise SpecrunnerError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(engine.ownership, "put", full)
        with pytest.raises(SpecrunnerError, match="disk is full"):
            project.target.put(order)
    assert engine.connections.all() == []
    project.target.put(order)
    assert project.target.read()[connection().key].owner == OURS


def test_of_two_who_create_the_same_at_once_one_is_told_that_it_exists(project: Applying) -> None:
    project.apply([workspace()])
    step = project.step(connection(), [workspace()])

    def put(number: int) -> bool:
        try:
            project.target.put(project.order(connection(host=str(number)), step))
        except StalePlan:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(put, range(8))) == 1


def recorded(state: str) -> tuple[Recorded, PutOrder]:
    declared = task(orchestration())
    found = Recorded(declared.key, OURS, declared.spec, intents={intent_of(declared.spec): state})
    return found, PutOrder(declared, Step(declared.key, Action.CREATE, ""), OURS)


def test_of_a_run_that_was_recorded_under_way_nobody_knows_how_it_ended(engine: Engine, project: Applying) -> None:
    project.apply([workspace(), orchestration()])
    project.target.restore(*recorded("running"))
    (run,) = engine.history.all()
    assert (run.status, run.reason, run.code_started) == (RunState.LOST, Reason.LOST, True)
    assert "record" in run.detail
    assert project.plan([workspace(), orchestration(), task(orchestration())]).steps == ()


def test_a_recorded_state_that_is_unknown_brings_nothing_back(project: Applying) -> None:
    project.apply([workspace(), orchestration()])
    with pytest.raises(SpecrunnerError, match="'floating'"):
        project.target.restore(*recorded("floating"))
    assert task(orchestration()).key not in project.target.read()


def test_what_is_in_a_workspace_that_is_gone_is_missing_and_can_be_forgotten(engine: Engine, project: Applying) -> None:
    project.apply([workspace(), orchestration()])
    engine.orchestrations.delete(engine.workspaces.named("lab").id, "code")
    engine.workspaces.delete("lab")
    live = project.target.read()
    assert {found.presence for found in live.values()} == {Presence.MISSING}
    for gone in (key(Kind.ORCHESTRATION, "code"), Key(Kind.WORKSPACE, "", "lab")):
        project.target.delete(Step(gone, Action.DELETE, "", live=live[gone].fingerprint))
    assert project.target.read() == {}


def test_reading_sees_no_half_of_a_write(engine: Engine, project: Applying) -> None:
    """While others apply and remove, whatever is read has an owner and is there."""
    project.apply([workspace()])
    step = project.step(connection(), [workspace()])
    seen: set[tuple[Presence, bool]] = set()
    until = time.monotonic() + 1

    def look() -> None:
        while time.monotonic() < until:
            for found in project.target.read().values():
                seen.add((found.presence, found.owner is not None))

    with ThreadPoolExecutor(2) as pool:
        looking = pool.submit(look)
        while not looking.done():
            project.target.put(project.order(connection(), step))
            live = project.target.read()[connection().key]
            project.target.delete(Step(live.key, Action.DELETE, "", live=live.fingerprint))
    assert seen == {(Presence.PRESENT, True)}
