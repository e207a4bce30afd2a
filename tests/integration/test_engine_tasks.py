"""Orchestrations and tasks, on a real store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from specrunner.core.errors import (
    Conflict,
    IllegalTransition,
    NotFound,
    PackagingFailed,
)
from specrunner.core.lifecycle import OrchestrationState, TaskState
from specrunner.engine.engine import Engine
from specrunner.engine.records import Workspace
from tests.integration.engine_samples import (
    StubEnvironments,
    add_orchestration,
    add_task,
    at_once,
    bundle,
    engine_on,
    open_engine,
)

SENTINEL = "swordfish-7c1f2a90"


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with engine_on(tmp_path / "state") as opened:
        yield opened


@pytest.fixture
def lab(engine: Engine) -> Workspace:
    return engine.workspaces.ensure("lab")


# Orchestrations


def test_an_upload_waits_to_be_packaged_and_is_then_ready(engine: Engine, lab: Workspace) -> None:
    notes: list[str] = []
    uploaded = engine.orchestrations.upload(lab.id, "code", "code.zip", bundle("", "requests"))
    assert uploaded.status is OrchestrationState.PENDING_PACKAGING
    ready = engine.orchestrations.package(uploaded.id, notes.append)
    assert (ready.status, ready.entry, ready.lock, ready.error) == (OrchestrationState.READY, "main.py", "requests", "")
    assert notes == ["resolving requirements", "building the environment"]
    assert engine.orchestrations.package(ready.id, notes.append) == ready and len(notes) == 2
    assert engine.orchestrations.upload(lab.id, "code", "other.zip", bundle("", "requests")) == ready
    assert engine.orchestrations.ready(lab.id, "code", ready.sha) == ready


def test_other_bytes_are_another_version(engine: Engine, lab: Workspace) -> None:
    first, second = (add_orchestration(engine, lab, code) for code in ("1", "2"))
    assert first.id != second.id
    assert engine.orchestrations.newest(lab.id, "code") == second
    assert engine.orchestrations.all(lab.id) == engine.orchestrations.all() == [second, first]
    assert engine.orchestrations.ready(lab.id, "code", first.sha) == first
    assert engine.orchestrations.newest(lab.id, "other") is None


def test_what_cannot_be_packaged_is_in_error_with_the_words(engine: Engine, lab: Workspace) -> None:
    uploaded = engine.orchestrations.upload(lab.id, "code", "code.zip", bundle("", "impossible==9"))
    with pytest.raises(PackagingFailed, match="can't be resolved"):
        engine.orchestrations.package(uploaded.id)
    failed = engine.orchestrations.get(uploaded.id)
    assert failed.status is OrchestrationState.ERROR and "no version of impossible" in failed.error
    with pytest.raises(NotFound, match="ready to run"):
        engine.orchestrations.ready(lab.id, "code", uploaded.sha)
    again = engine.orchestrations.upload(lab.id, "code", "code.zip", bundle("", "impossible==9"))
    assert again.id != failed.id and again.status is OrchestrationState.PENDING_PACKAGING


def test_a_version_in_error_may_be_packaged_again(tmp_path: Path) -> None:
    environments = StubEnvironments()
    with open_engine(tmp_path / "state", environments=environments) as engine:
        workspace = engine.workspaces.ensure("lab")
        uploaded = engine.orchestrations.upload(workspace.id, "code", "code.zip", bundle(""))
        environments.broken = True
        with pytest.raises(PackagingFailed):
            engine.orchestrations.package(uploaded.id)
        environments.broken = False
        ready = engine.orchestrations.package(uploaded.id)
    assert (ready.status, ready.error) == (OrchestrationState.READY, "")


def test_a_zip_that_is_none_is_in_error(engine: Engine, lab: Workspace) -> None:
    uploaded = engine.orchestrations.upload(lab.id, "code", "code.zip", b"no zip")
    with pytest.raises(PackagingFailed, match="cannot be used"):
        engine.orchestrations.package(uploaded.id)
    assert engine.orchestrations.get(uploaded.id).status is OrchestrationState.ERROR


def test_what_a_dead_packager_left_is_packaged_anew(tmp_path: Path) -> None:
    class Dies(StubEnvironments):
        def lock(self, requirements: str) -> str:
            raise ZeroDivisionError

    with open_engine(tmp_path / "state", environments=Dies()) as engine:
        workspace = engine.workspaces.ensure("lab")
        uploaded = engine.orchestrations.upload(workspace.id, "code", "code.zip", bundle(""))
        with pytest.raises(ZeroDivisionError):
            engine.orchestrations.package(uploaded.id)
        assert engine.orchestrations.get(uploaded.id).status is OrchestrationState.PACKAGING
    with open_engine(tmp_path / "state") as engine:
        assert engine.orchestrations.package(uploaded.id).status is OrchestrationState.READY


def test_who_packages_at_the_same_time_waits_for_the_other(tmp_path: Path) -> None:
    environments = StubEnvironments()
    with open_engine(tmp_path / "state", environments=environments) as engine:
        workspace = engine.workspaces.ensure("lab")

        def work(_number: int) -> str:
            uploaded = engine.orchestrations.upload(workspace.id, "code", "code.zip", bundle(""))
            return str(engine.orchestrations.package(uploaded.id).status)

        assert at_once(work) == ["ready"] * 8
        assert len(engine.orchestrations.all()) == 1
    assert environments.locked == [""]


def test_an_orchestration_that_tasks_use_is_not_deleted(engine: Engine, lab: Workspace) -> None:
    task = add_task(engine, "", name="job")
    with pytest.raises(Conflict, match="used by the task 'job'"):
        engine.orchestrations.delete(lab.id, "job")
    engine.tasks.delete(task.id)
    for _ in range(2):
        engine.orchestrations.delete(lab.id, "job")
    with pytest.raises(NotFound):
        engine.orchestrations.get(task.orchestration_id)


def test_versions_that_nobody_needs_are_collected(engine: Engine, lab: Workspace) -> None:
    task = add_task(engine, "1", name="code")
    add_orchestration(engine, lab, "2")
    newest = add_orchestration(engine, lab, "3")
    engine.orchestrations.collect()
    assert {found.id for found in engine.orchestrations.all()} == {task.orchestration_id, newest.id}


# Tasks


def test_putting_a_task_again_changes_it_in_place(engine: Engine, lab: Workspace) -> None:
    first = add_task(engine, "", args={"n": 1}, secret_env={"KEY": SENTINEL})
    second = engine.tasks.put(lab.id, "job", first.orchestration_id, {"args": {"n": 2}}, {})
    assert (second.id, second.created_at, second.workspace) == (first.id, first.created_at, "lab")
    assert second.spec == {"args": {"n": 2}} and engine.tasks.secret_env(first.id) == {}
    assert engine.tasks.all() == engine.tasks.all(lab.id) == [second]
    assert engine.tasks.all(lab.id + 1) == []


def test_a_run_once_task_waits_and_a_schedule_is_in_force_at_once(engine: Engine) -> None:
    assert add_task(engine, "", name="once").status is TaskState.PENDING
    assert add_task(engine, "", name="nightly", schedule={"cron": "0 2 * * *"}).status is TaskState.STARTED
    assert add_task(engine, "", name="web", service={"port": 80}).status is TaskState.STARTED


def test_a_task_moves_by_its_table_only(engine: Engine) -> None:
    task = add_task(engine, "")
    engine.tasks.move(task, TaskState.PENDING)
    with pytest.raises(IllegalTransition, match="pending cannot become completed"):
        engine.tasks.move(task, TaskState.COMPLETED)
    engine.tasks.move(task, TaskState.PENDING_KILL)
    # The record in hand still says pending: what counts is what is stored.
    with pytest.raises(IllegalTransition, match="pending_kill cannot become started"):
        engine.tasks.move(task, TaskState.STARTED)


def test_a_task_that_is_not_there_is_not_found(engine: Engine, lab: Workspace) -> None:
    task = add_task(engine, "")
    engine.tasks.delete(task.id)
    for ask in (
        lambda: engine.tasks.get(task.id),
        lambda: engine.tasks.named(lab.id, "job"),
        lambda: engine.tasks.secret_env(task.id),
        lambda: engine.tasks.move(task, TaskState.STARTED),
    ):
        with pytest.raises(NotFound):
            ask()
