"""Who holds a deployment: many runs at once through the API, a person, and the specs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from specrunner.core.errors import BadInput, Unavailable
from specrunner.core.values import JsonObject
from specrunner.engine.engine import Engine
from specrunner.engine.ports import LoadedModel
from specrunner.engine.serving.planes import Planes
from specrunner.engine.serving.starting import DeploymentState
from specrunner.engine.serving.steps import ModelRef
from specrunner.engine.tables import Media, encode
from tests.integration.engine_samples import add_pipeline, add_task, at_once, engine_on, run_task, until
from tests.integration.server_face import Face, arrow_of, opened
from tests.unit.serving_samples import rows_table

RUNS = 20


@pytest.fixture
def face(tmp_path: Path) -> Iterator[Face]:
    with opened(tmp_path / "state") as made:
        yield made


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with engine_on(tmp_path / "state") as made:
        yield made


def deploy_infer_undeploy(face: Face, token: str, definition: dict[str, object], rows: int) -> list[object]:
    """What a run does by the SDK: a new version, deploy, infer, undeploy, and look whether it is gone."""
    with httpx.Client(base_url=str(face.http.base_url), trust_env=False, timeout=60) as http:
        http.headers["Authorization"] = f"Bearer {token}"

        def post(route: str, **body: object) -> httpx.Response:
            return http.post(f"/v1/api/{route}", json=body)

        made = post("pipelines/create", pipeline_id="prices", workspace_id=face.lab.id, definition=definition).json()
        deployed = post(
            "pipelines/deploy",
            deploy_id="prices",
            engine_config={},
            pipeline_version_pk_id=made["pipeline_variant_pk_id"],
        )
        assert deployed.status_code == 200, deployed.text
        name = f"prices-{deployed.json()['id']}"
        # On a busy machine it may be loading still; clients ask again.
        until(lambda: post("status/get_deployment", name=name).json()["status"] != "Starting", "the deployment")
        said: list[object] = [post("status/get_deployment", name=name).json()["status"]]
        headers = {"Content-Type": Media.ARROW_FILE, "Accept": Media.ARROW_FILE}
        body = encode(rows_table(rows), Media.ARROW_FILE)
        answer = http.post(f"/v1/api/pipelines/infer/{name}/prices", content=body, headers=headers)
        assert answer.status_code == 200, answer.text
        said.append(arrow_of(answer.content).num_rows)
        said.append(post("pipelines/undeploy", deployment_id=deployed.json()["id"]).status_code)
        said.append(post("status/get_deployment", name=name).status_code)
        said.append(http.post(f"/v1/api/pipelines/infer/{name}/prices", content=body, headers=headers).status_code)
        return said


def test_twenty_runs_deploy_infer_and_undeploy_one_pipeline_at_once(face: Face) -> None:
    version = add_pipeline(face.engine, face.lab)
    task = face.engine.tasks.named(face.lab.id, "job")
    runs = [face.run, *(face.engine.runs.submit(task) for _ in range(RUNS - 1))]
    tokens = [face.engine.runs.token(run.id) for run in runs]
    found = at_once(
        lambda number: deploy_infer_undeploy(face, tokens[number], dict(version.definition), number + 1), RUNS
    )
    assert sorted(found, key=str) == sorted((["Running", rows, 200, 404, 404] for rows in range(1, RUNS + 1)), key=str)
    deployment = face.engine.deployments.of_pipeline(version.pipeline_id)
    assert deployment is not None and deployment.holders == ()
    assert face.engine.planes.log(version.pipeline_id).count() == sum(range(1, RUNS + 1))


def test_runs_that_undeploy_leave_the_hold_of_the_specs_and_make_no_drift(face: Face) -> None:
    version = add_pipeline(face.engine, face.lab)
    face.engine.planes.deploy(version.pipeline_id, version.id, face.engine.spec_holder)
    found = deploy_infer_undeploy(face, face.engine.runs.token(face.run.id), dict(version.definition), 1)
    assert found == ["Running", 1, 200, 404, 404]
    deployment = face.engine.deployments.of_pipeline(version.pipeline_id)
    assert deployment is not None and deployment.holders == ("spec",)
    current = face.engine.pipelines.get(version.pipeline_id).current
    assert current is not None and current.version != version.version
    assert (current.definition, current.config) == (version.definition, version.config)


def test_versions_that_say_the_same_share_one_plane(engine: Engine) -> None:
    lab = engine.workspaces.ensure("lab")
    first = add_pipeline(engine, lab)
    second = engine.pipelines.add_version(lab.id, "prices", first.definition)
    one, two = engine.holder_of_run("1"), engine.holder_of_run("2")
    deployment = engine.planes.deploy(first.pipeline_id, first.id, one)
    plane = engine.planes.plane(deployment)
    assert engine.planes.plane(engine.planes.deploy(first.pipeline_id, second.id, two)) is plane
    engine.planes.undeploy(deployment.id, one)
    assert engine.planes.infer(engine.deployments.usable(deployment.id, two), rows_table(1)).num_rows == 1
    engine.planes.undeploy(deployment.id, two)
    with pytest.raises(Unavailable, match="closed"):
        plane.infer(rows_table(1), engine.planes.context.clock.now())


def test_what_a_spec_says_beside_the_steps_is_served_in_another_plane(engine: Engine) -> None:
    lab = engine.workspaces.ensure("lab")
    first = add_pipeline(engine, lab)
    deployment = engine.planes.deploy(first.pipeline_id, first.id, engine.spec_holder)
    check = {"name": "small", "expression": "out.variable < 100"}
    engine.pipelines.configure(lab.id, "prices", {"validations": [check]})
    second = engine.pipelines.add_version(lab.id, "prices", first.definition)
    assert second.config == {"validations": [check]} and first.config == {}
    deployment = engine.planes.deploy(first.pipeline_id, second.id, engine.spec_holder)
    found = engine.planes.infer(deployment, rows_table(3))
    expected = [int(row[0] >= 100) for row in found.column("out.variable").to_pylist()]
    assert found.column("check_failures").to_pylist() == expected and sum(expected) > 0
    assert found.column_names[-3:] == ["check_failures", "anomaly.count", "anomaly.small"]


def test_a_person_gives_back_persons_holds_and_with_force_that_of_the_specs(engine: Engine) -> None:
    version = add_pipeline(engine, engine.workspaces.ensure("lab"))
    run = engine.holder_of_run("1")
    for holder in (engine.spec_holder, engine.user_holder, run):
        deployment = engine.planes.deploy(version.pipeline_id, version.id, holder)
    found = engine.planes.undeploy(deployment.id, engine.user_holder)
    assert found.holders == (run, "spec") and found.given_back == ("user",)
    with pytest.raises(Unavailable, match="not deployed"):
        engine.deployments.usable(deployment.id, engine.user_holder)
    found = engine.planes.undeploy(deployment.id, engine.user_holder, force=True)
    assert found.holders == (run,)
    assert engine.planes.undeploy(deployment.id, run).holders == ()
    again = engine.planes.deploy(version.pipeline_id, version.id, engine.user_holder)
    assert again.id == deployment.id and again.running_for(engine.user_holder)


def test_a_runs_hold_ends_with_the_run_and_what_nobody_holds_is_unloaded(engine: Engine) -> None:
    lab = engine.workspaces.ensure("lab")
    version = add_pipeline(engine, lab)
    run = engine.runs.submit(add_task(engine, "print('done')"))
    deployment = engine.planes.deploy(version.pipeline_id, version.id, engine.holder_of_run(run.id))
    plane = engine.planes.plane(deployment)
    engine.runs.carry_out(run.id)
    assert engine.deployments.get(deployment.id).holders == ()
    with pytest.raises(Unavailable, match="closed"):
        plane.infer(rows_table(1), engine.planes.context.clock.now())
    assert run_task(engine, engine.tasks.named(lab.id, "job")).status.ended


def slow_loading(monkeypatch: pytest.MonkeyPatch, gate: threading.Event, problem: Exception | None = None) -> None:
    """Models take until the gate opens, and fail then if there is a problem."""
    load = Planes._load_model

    def waiting(planes: Planes, model: ModelRef, config: JsonObject) -> LoadedModel:
        assert gate.wait(20)
        if problem is not None:
            raise problem
        return load(planes, model, config)

    monkeypatch.setattr(Planes, "_load_model", waiting)


def test_what_takes_long_to_load_starts_and_then_runs(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Event()
    slow_loading(monkeypatch, gate)
    version = add_pipeline(engine, engine.workspaces.ensure("lab"))
    deployment = engine.planes.deploy(version.pipeline_id, version.id, engine.user_holder, patience=0.01)
    assert deployment.running_for(engine.user_holder)
    assert engine.planes.state(deployment) == (DeploymentState.STARTING, None)
    gate.set()
    assert engine.planes.infer(deployment, rows_table(1)).num_rows == 1
    until(lambda: engine.planes.state(deployment)[0] is DeploymentState.RUNNING, "it runs")


def test_what_fails_to_load_after_it_was_held_is_in_error_until_it_is_deployed_again(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Event()
    version = add_pipeline(engine, engine.workspaces.ensure("lab"))
    with monkeypatch.context() as patch:
        slow_loading(patch, gate, OSError("the disk is full"))
        deployment = engine.planes.deploy(version.pipeline_id, version.id, engine.user_holder, patience=0.01)
        gate.set()
        until(lambda: engine.planes.state(deployment)[0] is DeploymentState.ERROR, "the error")
        problem = engine.planes.state(deployment)[1]
        assert problem is not None and "the disk is full" in problem.detail
    engine.planes.deploy(version.pipeline_id, version.id, engine.user_holder, patience=20)
    assert engine.planes.state(deployment) == (DeploymentState.RUNNING, None)


def test_what_fails_while_the_caller_waits_changes_nothing(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Event()
    gate.set()
    slow_loading(monkeypatch, gate, BadInput("no model"))
    version = add_pipeline(engine, engine.workspaces.ensure("lab"))
    with pytest.raises(BadInput, match="no model"):
        engine.planes.deploy(version.pipeline_id, version.id, engine.user_holder, patience=20)
    assert engine.deployments.of_pipeline(version.pipeline_id) is None
