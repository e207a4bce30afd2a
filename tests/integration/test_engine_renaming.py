"""Renaming: one transaction, in which everything that goes by the name follows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from specrunner.core.errors import Conflict, NotFound
from specrunner.core.keys import Key, Kind
from specrunner.core.resources import Owner
from specrunner.engine.engine import Engine
from specrunner.engine.records import Ownership
from tests.integration.engine_samples import add_pipeline, add_task, engine_on, run_task

OURS = Owner("shop", "prod")
LAB, SHOP = Key(Kind.WORKSPACE, "", "lab"), Key(Kind.WORKSPACE, "", "shop")


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with engine_on(tmp_path) as opened:
        yield opened


def own(engine: Engine, key: Key, **applied: object) -> None:
    engine.ownership.put(key, Ownership(OURS, applied))


def test_what_is_in_a_workspace_follows_it(engine: Engine) -> None:
    lab = engine.workspaces.ensure("lab")
    version = add_pipeline(engine, lab)
    task = add_task(engine, "")
    run = run_task(engine, task, "intent")
    engine.connections.put("store", "S3", {}, {}, ["lab"])
    keys = [LAB, Key(Kind.PIPELINE, "lab", "prices"), Key(Kind.TASK, "lab", "job")]
    for key in keys:
        own(engine, key)
    own(engine, Key(Kind.CONNECTION, "", "store"), workspaces=["lab"])
    engine.rename(LAB, SHOP)
    assert engine.workspaces.named("shop").id == lab.id
    assert engine.pipelines.named(lab.id, "prices").versions == (version,)
    assert set(engine.ownership.all()) == {
        SHOP,
        Key(Kind.PIPELINE, "shop", "prices"),
        Key(Kind.TASK, "shop", "job"),
        Key(Kind.CONNECTION, "", "store"),
    }
    assert [found.id for found in engine.history.of_key("Task/shop/job")] == [run.id]
    assert engine.history.of_key("Task/lab/job") == []
    assert engine.connections.named("store").workspaces == ("shop",)
    record = engine.ownership.get(Key(Kind.CONNECTION, "", "store"))
    assert record is not None and record.applied == {"workspaces": ["shop"]}


@pytest.mark.parametrize("neighbour", ["lab-2", "la", "lab0", "LAB", "lab%", "l_b"])
def test_a_neighbour_with_a_similar_name_stays(engine: Engine, neighbour: str) -> None:
    engine.workspaces.ensure("lab")
    engine.workspaces.ensure(neighbour)
    stays = Key(Kind.TASK, neighbour, "job")
    own(engine, stays)
    engine.rename(LAB, SHOP)
    assert set(engine.ownership.all()) == {stays}


def test_what_names_a_model_or_an_orchestration_follows(engine: Engine) -> None:
    lab = engine.workspaces.ensure("lab")
    add_pipeline(engine, lab)
    other = add_pipeline(engine, lab, name="costs", model="rents")
    task = add_task(engine, "", name="code")
    prices, job = Key(Kind.PIPELINE, "lab", "prices"), Key(Kind.TASK, "lab", "code")
    own(engine, prices, steps=[{"model": "houses"}], modelShas={"houses": "1"})
    own(engine, job, orchestration="code")
    engine.rename(Key(Kind.MODEL, "lab", "houses"), Key(Kind.MODEL, "lab", "homes"))
    engine.rename(Key(Kind.ORCHESTRATION, "lab", "code"), Key(Kind.ORCHESTRATION, "lab", "program"))
    current = engine.pipelines.named(lab.id, "prices").current
    assert current is not None
    assert [model.name for model in engine.pipelines.models_of(current)] == ["homes"]
    assert engine.pipelines.named(lab.id, "costs").current == other
    assert engine.tasks.get(task.id).spec["orchestration"] == "program"
    records = engine.ownership.all()
    assert records[prices].applied == {"steps": [{"model": "homes"}], "modelShas": {"homes": "1"}}
    assert records[job].applied == {"orchestration": "program"}


def test_a_pipeline_says_its_new_name(engine: Engine) -> None:
    lab = engine.workspaces.ensure("lab")
    version = add_pipeline(engine, lab)
    engine.rename(Key(Kind.PIPELINE, "lab", "prices"), Key(Kind.PIPELINE, "lab", "costs"))
    (found,) = engine.pipelines.named(lab.id, "costs").versions
    assert (found.id, found.definition["id"], found.definition["steps"]) == (
        version.id,
        "costs",
        version.definition["steps"],
    )


def test_an_object_may_move_to_another_workspace(engine: Engine) -> None:
    task = add_task(engine, "")
    run = run_task(engine, task)
    shop = engine.workspaces.ensure("shop")
    engine.rename(Key(Kind.TASK, "lab", "job"), Key(Kind.TASK, "shop", "work"))
    assert engine.tasks.named(shop.id, "work").id == task.id
    assert [(found.id, found.workspace_id) for found in engine.history.of_key("Task/shop/work")] == [(run.id, shop.id)]


def test_renaming_twice_is_fine_and_to_a_name_that_is_taken_is_a_conflict(engine: Engine) -> None:
    engine.workspaces.ensure("lab")
    engine.rename(LAB, SHOP)
    engine.rename(LAB, SHOP)
    engine.workspaces.ensure("lab")
    with pytest.raises(Conflict, match="exists already"):
        engine.rename(LAB, SHOP)
    assert {found.name for found in engine.workspaces.all()} == {"lab", "shop"}


def test_what_is_not_there_cannot_be_renamed(engine: Engine) -> None:
    with pytest.raises(NotFound, match="Workspace/lab"):
        engine.rename(LAB, SHOP)
    engine.workspaces.ensure("lab")
    with pytest.raises(NotFound, match="Task/lab/job"):
        engine.rename(Key(Kind.TASK, "lab", "job"), Key(Kind.TASK, "lab", "work"))


def test_a_rename_that_fails_has_changed_nothing(engine: Engine) -> None:
    engine.workspaces.ensure("lab")
    own(engine, LAB)
    with pytest.raises(ZeroDivisionError), engine.transaction():
        engine.rename(LAB, SHOP)
        raise ZeroDivisionError
    assert engine.workspaces.named("lab") and set(engine.ownership.all()) == {LAB}
