"""Pipelines, who holds their deployments, and inference, on a real store."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from specrunner.core.errors import (
    BadInput,
    NotFound,
    Unavailable,
)
from specrunner.engine.engine import Engine
from specrunner.engine.records import Workspace
from tests.integration.engine_samples import (
    add_pipeline,
    at_once,
    engine_on,
    open_engine,
)
from tests.unit.serving_samples import rows_table

SENTINEL = "swordfish-7c1f2a90"


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with engine_on(tmp_path / "state") as opened:
        yield opened


@pytest.fixture
def lab(engine: Engine) -> Workspace:
    return engine.workspaces.ensure("lab")


def test_each_create_is_a_version_and_the_current_one_has_steps(engine: Engine, lab: Workspace) -> None:
    version = add_pipeline(engine, lab)
    empty = engine.pipelines.add_version(lab.id, "prices", {})
    found = engine.pipelines.named(lab.id, "prices")
    assert found.versions == (empty, version)
    assert found.current == version == engine.pipelines.version(version.id) == engine.pipelines.by_uuid(version.version)
    assert engine.pipelines.get(found.id) == found
    assert engine.pipelines.all() == engine.pipelines.all(lab.id) == [found]


def test_what_a_spec_says_beside_the_steps_is_remembered(engine: Engine, lab: Workspace) -> None:
    engine.pipelines.configure(lab.id, "prices", {"resources": {"cpus": 2}})
    assert engine.pipelines.named(lab.id, "prices").settings == {"resources": {"cpus": 2}}
    assert engine.pipelines.named(lab.id, "prices").current is None


MODEL = {"name": "m", "version": "v"}


@pytest.mark.parametrize(
    "steps",
    [
        7,
        "ModelInference",
        ["ModelInference"],
        [{"Average": {}}],
        [{"ModelInference": []}],
        [{"ModelInference": {"models": 7}}],
        [{"ModelInference": {"models": []}}],
        [{"ModelInference": {"models": ["m"]}}],
        [{"ModelInference": {"models": [MODEL, MODEL]}}],
        [{"ModelInference": {"models": [{"name": "m"}]}}],
        [{"ModelInference": {"models": [{"name": "m", "version": 7}]}}],
    ],
)
def test_steps_that_cannot_be_deployed_are_refused(engine: Engine, lab: Workspace, steps: object) -> None:
    with pytest.raises(BadInput):
        engine.pipelines.add_version(lab.id, "prices", {"steps": steps})
    assert engine.pipelines.all() == []


def test_a_pipeline_that_is_not_there_is_not_found_and_may_be_deleted(engine: Engine, lab: Workspace) -> None:
    for ask in (
        lambda: engine.pipelines.named(lab.id, "x"),
        lambda: engine.pipelines.get(7),
        lambda: engine.pipelines.version(7),
        lambda: engine.pipelines.by_uuid("x"),
    ):
        with pytest.raises(NotFound):
            ask()
    engine.pipelines.delete(lab.id, "x")


def test_a_deployed_pipeline_is_deleted_with_its_deployment(engine: Engine, lab: Workspace) -> None:
    version = add_pipeline(engine, lab)
    deployment = engine.planes.deploy(version.pipeline_id, version.id, engine.spec_holder)
    engine.pipelines.delete(lab.id, "prices")
    with pytest.raises(NotFound):
        engine.deployments.get(deployment.id)
    with pytest.raises(NotFound):
        engine.planes.deploy(version.pipeline_id, version.id, engine.spec_holder)


# Deployments, holds and inference


def test_a_run_that_undeploys_sees_it_gone_while_the_spec_keeps_it_up(engine: Engine, lab: Workspace) -> None:
    version, run = add_pipeline(engine, lab), engine.holder_of_run("1")
    deployment = engine.planes.deploy(version.pipeline_id, version.id, engine.spec_holder)
    assert engine.planes.deploy(version.pipeline_id, version.id, run).id == deployment.id
    found = engine.planes.undeploy(deployment.id, run)
    assert found.holders == ("spec",) and found.given_back == (run,)
    with pytest.raises(Unavailable, match="'prices' is not deployed") as caught:
        engine.deployments.usable(deployment.id, run)
    assert "You gave" in caught.value.detail
    for other in (engine.user_holder, engine.holder_of_run("2")):
        usable = engine.deployments.usable(deployment.id, other)
        assert engine.planes.infer(usable, rows_table(2)).num_rows == 2
    assert engine.planes.deploy(version.pipeline_id, version.id, run).running_for(run)


def test_undeploying_without_a_hold_is_fine_and_leaves_those_of_others(engine: Engine, lab: Workspace) -> None:
    version = add_pipeline(engine, lab)
    deployment = engine.planes.deploy(version.pipeline_id, version.id, engine.user_holder)
    for _ in range(2):
        found = engine.planes.undeploy(deployment.id, engine.spec_holder)
    assert found.holders == ("user",) and found.given_back == ()


def test_what_nobody_holds_is_not_usable(engine: Engine, lab: Workspace) -> None:
    version = add_pipeline(engine, lab)
    deployment = engine.planes.deploy(version.pipeline_id, version.id, engine.holder_of_run("1"))
    engine.deployments.forget(engine.holder_of_run("1"))
    with pytest.raises(Unavailable) as caught:
        engine.deployments.usable(deployment.id, engine.user_holder)
    assert "Nobody keeps it up" in caught.value.detail and "deploy" in caught.value.remedy


def test_when_a_run_has_ended_what_it_gave_back_is_forgotten(engine: Engine, lab: Workspace) -> None:
    version, run = add_pipeline(engine, lab), engine.holder_of_run("1")
    deployment = engine.planes.deploy(version.pipeline_id, version.id, engine.spec_holder)
    engine.planes.undeploy(deployment.id, run)
    engine.deployments.forget(run)
    assert engine.deployments.get(deployment.id).given_back == ()


def test_a_model_that_does_not_load_shows_at_deploy_and_changes_nothing(engine: Engine, lab: Workspace) -> None:
    good = add_pipeline(engine, lab)
    deployment = engine.planes.deploy(good.pipeline_id, good.id, engine.spec_holder)
    broken = engine.models.upload(lab.id, "broken", "broken.onnx", b"no model", {"framework": "onnx"})
    step = {"ModelInference": {"models": [{"name": "broken", "version": broken.version}]}}
    version = engine.pipelines.add_version(lab.id, "prices", {"steps": [step]})
    with pytest.raises(BadInput, match=r"broken\.onnx is not a usable ONNX model"):
        engine.planes.deploy(version.pipeline_id, version.id, engine.user_holder)
    assert engine.deployments.get(deployment.id) == deployment
    assert engine.planes.infer(deployment, rows_table(1)).num_rows == 1


def test_a_framework_that_cannot_be_served_is_told_at_deploy(engine: Engine, lab: Workspace) -> None:
    model = engine.models.upload(lab.id, "m", "m.h5", b"x", {"framework": "keras"})
    step = {"ModelInference": {"models": [{"name": "m", "version": model.version}]}}
    version = engine.pipelines.add_version(lab.id, "p", {"steps": [step]})
    with pytest.raises(BadInput, match="framework 'keras'"):
        engine.planes.deploy(version.pipeline_id, version.id, engine.user_holder)


def test_a_version_whose_model_is_gone_says_so(engine: Engine, lab: Workspace) -> None:
    version = add_pipeline(engine, lab)
    engine.models.delete(lab.id, "houses", [])
    with pytest.raises(Unavailable, match="model 'houses' is gone"):
        engine.planes.deploy(version.pipeline_id, version.id, engine.user_holder)


def test_another_process_serves_what_is_held(engine: Engine, lab: Workspace) -> None:
    version = add_pipeline(engine, lab)
    deployment = engine.planes.deploy(version.pipeline_id, version.id, engine.spec_holder)
    with open_engine(engine.folder) as other:
        usable = other.deployments.usable(deployment.id, other.user_holder)
        assert other.planes.infer(usable, rows_table(3)).num_rows == 3
    assert engine.planes.log(version.pipeline_id).count() == 3


def test_deploying_does_not_disturb_those_who_infer(engine: Engine, lab: Workspace) -> None:
    """Versions are exchanged and planes unloaded under the hands of six threads that infer."""
    version = add_pipeline(engine, lab)
    deployment = engine.planes.deploy(version.pipeline_id, version.id, engine.spec_holder)
    stop, answered = threading.Event(), []

    def work(number: int) -> object:
        if number == 0:
            for _ in range(20):
                again = engine.pipelines.add_version(lab.id, "prices", version.definition)
                engine.planes.deploy(version.pipeline_id, again.id, engine.spec_holder)
            stop.set()
        while not stop.is_set():
            usable = engine.deployments.usable(deployment.id, engine.user_holder)
            answered.append(engine.planes.infer(usable, rows_table(2)).num_rows)
        return None

    try:
        assert at_once(work, 7) == [None] * 7
    finally:
        stop.set()
    assert set(answered) == {2}
    assert engine.planes.log(version.pipeline_id).count() == 2 * len(answered)
