"""The true API on loopback and the true SDK, in this process and inside runs."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pandas as pd
import pyarrow as pa
import pytest

from specrunner.core.errors import SpecrunnerError
from specrunner.core.lifecycle import RunState
from specrunner.engine.engine import Engine
from specrunner.engine.records import Run
from specrunner.sdk import Client
from specrunner.sdk.exceptions import ApiError, DeploymentError, InferenceError, ModelUploadError
from specrunner.sdk.object import EntityNotFoundError
from specrunner.server.host import LoopbackApi
from tests.integration.engine_samples import add_task, engine_on, model_bytes, open_engine, run_task, said
from tests.unit.serving_samples import WIDTH, rows_table


@dataclass
class Desk:
    """A client of a run in the workspace `lab`, and the engine that it talks to."""

    engine: Engine
    run: Run
    client: Client
    model: Path


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    (tmp_path / "houses.onnx").write_bytes(model_bytes())
    with engine_on(tmp_path / "state", LoopbackApi) as engine:
        task = add_task(engine, "")
        run = engine.runs.submit(task)
        environment = {
            "SPECRUNNER_URL": engine.run_api().address(),
            "SPECRUNNER_TOKEN": engine.runs.token(run.id),
            "SPECRUNNER_WORKSPACE_ID": str(task.workspace_id),
        }
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        with Client() as client:
            yield Desk(engine, run, client, tmp_path / "houses.onnx")


def test_a_tutorial_from_upload_to_logs(desk: Desk) -> None:
    client = desk.client
    workspace = client.create_workspace("lab")
    client.set_current_workspace(workspace)
    model = client.upload_model("houses", desk.model).configure(runtime="onnx")
    assert model.sha() == desk.engine.models.newest(workspace.id(), "houses").sha
    pipeline = client.build_pipeline("prices").add_model_step(model).deploy()
    assert pipeline.status()["status"] == "Running"
    answer = pipeline.infer(rows_table(3))
    assert isinstance(answer, pa.Table) and answer.num_rows == 3
    frame = pipeline.infer(pd.DataFrame({"tensor": [[0.0] * WIDTH]}))
    assert isinstance(frame, pd.DataFrame) and frame["out.variable"].to_list() == [[1.0]]
    assert len(pipeline.logs()) == 4
    assert len(pipeline.logs(limit=1)) == 1
    assert [version.name() for version in pipeline.versions()][-1] != ""
    assert [found.name() for found in client.list_pipelines()] == ["prices"]
    pipeline.undeploy()
    assert "not deployed" in pipeline.status()["status"]
    with pytest.raises((InferenceError, DeploymentError)):
        pipeline.infer(rows_table(1))
    assert len(pipeline.logs()) == 4


def test_connections_are_read_where_they_are_attached(desk: Desk) -> None:
    desk.engine.workspaces.ensure("hidden")
    desk.engine.connections.put("store", "S3", {"host": "a"}, {"password": "x"}, ["lab"])
    desk.engine.connections.put("other", "S3", {}, {}, ["hidden"])
    assert desk.client.get_connection("store").details() == {"host": "a", "password": "x"}
    assert [found.name() for found in desk.client.list_connections()] == ["store"]
    with pytest.raises(EntityNotFoundError):
        desk.client.get_connection("other")


def test_a_workspace_that_the_run_may_not_use_is_refused(desk: Desk) -> None:
    desk.engine.workspaces.ensure("hidden")
    with pytest.raises(ApiError, match="hidden") as caught:
        desk.client.create_workspace("hidden")
    assert caught.value.status == 403
    assert [found.name() for found in desk.client.list_workspaces()] == ["lab"]


def test_a_broken_model_says_so_at_deploy(desk: Desk) -> None:
    desk.model.write_bytes(b"no model")
    model = desk.client.upload_model("houses", desk.model)
    with pytest.raises(DeploymentError, match="usable ONNX model"):
        desk.client.build_pipeline("prices").add_model_step(model).deploy()


def test_bad_input_says_what_was_expected(desk: Desk) -> None:
    model = desk.client.upload_model("houses", desk.model)
    pipeline = desk.client.build_pipeline("prices").add_model_step(model).deploy()
    with pytest.raises(InferenceError, match=str(WIDTH)):
        pipeline.infer(rows_table(1, width=3))


def test_when_the_run_has_ended_its_client_is_nobody(desk: Desk) -> None:
    desk.engine.runs.carry_out(desk.run.id)
    with pytest.raises(ApiError) as caught:
        desk.client.list_workspaces()
    assert caught.value.status == 401
    with pytest.raises(ModelUploadError, match="401"):
        desk.client.upload_model("houses", desk.model)


def test_uploads_and_inferences_of_many_threads(desk: Desk) -> None:
    model = desk.client.upload_model("houses", desk.model)
    pipeline = desk.client.build_pipeline("prices").add_model_step(model).deploy()
    answered: list[int] = []

    def work() -> None:
        desk.client.upload_model("houses", desk.model)
        answered.extend(pipeline.infer(rows_table(2)).num_rows for _ in range(5))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answered == [2] * 40
    assert len(pipeline.logs(limit=1000)) == 80


CODE = """\
import specrunner.sdk as sdk
client = sdk.Client()
pipeline = client.get_pipeline("prices")
pipeline.deploy()
table = pipeline.infer_from_file({data!r})
pipeline.undeploy()
print(table.num_rows, pipeline.status()["status"])
sdk.record_result({{"rows": table.num_rows}})
"""


def test_code_in_a_run_uses_the_pipeline_of_its_workspace(desk: Desk, tmp_path: Path) -> None:
    """It undeploys at its end, and what the spec holds stays up."""
    from specrunner.engine.tables import Media, encode

    model = desk.client.upload_model("houses", desk.model)
    desk.client.build_pipeline("prices").add_model_step(model).deploy()
    pipeline = desk.engine.pipelines.all()[0]
    assert pipeline.current is not None
    deployment = desk.engine.planes.deploy(pipeline.id, pipeline.current.id, "spec")
    (tmp_path / "data.arrow").write_bytes(encode(rows_table(7), Media.ARROW_FILE))
    run = run_task(desk.engine, add_task(desk.engine, CODE.format(data=str(tmp_path / "data.arrow")), name="infer"))
    assert run.status is RunState.SUCCESS, said(desk.engine, run)
    assert said(desk.engine, run) == ["7 Pipeline prices is not deployed"]
    assert run.results == {"rows": 7}
    assert "spec" in desk.engine.deployments.get(deployment.id).holders


# The host


def test_whoever_opens_the_state_again_binds_the_same_port(tmp_path: Path) -> None:
    addresses = []
    for _ in range(3):
        with open_engine(tmp_path / "state", LoopbackApi) as engine:
            address = engine.run_api().address()
            assert engine.run_api().address() == address
            assert httpx.get(f"{address}/healthz", trust_env=False).status_code == 200
            addresses.append(address)
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{address}/healthz", trust_env=False)
    assert len(set(addresses)) == 1


def test_closing_right_after_opening_gives_the_port_back(tmp_path: Path) -> None:
    with open_engine(tmp_path / "state") as engine:
        ports = set()
        for _ in range(5):
            api = LoopbackApi(engine)
            ports.add(api.address())
            api.close()
            api.close()
    assert len(ports) == 1


def test_a_port_that_somebody_else_has_taken_is_exchanged(tmp_path: Path) -> None:
    with open_engine(tmp_path / "state") as engine, socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        engine.facts.put("api-port", str(other.getsockname()[1]))
        api = LoopbackApi(engine)
        try:
            assert httpx.get(f"{api.address()}/healthz", trust_env=False).status_code == 200
            assert api.address() != f"http://127.0.0.1:{other.getsockname()[1]}"
        finally:
            api.close()
        # The stored port stays: runs of the host that has it now look for their next host there.
        assert engine.facts.get("api-port") == str(other.getsockname()[1])


def test_a_machine_without_ports_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_self: socket.socket, _address: object) -> None:
        raise OSError(99, "Cannot assign requested address")

    with open_engine(tmp_path / "state") as engine:
        monkeypatch.setattr(socket.socket, "bind", refuse)
        with pytest.raises(SpecrunnerError, match="can't listen") as caught:
            LoopbackApi(engine).address()
    assert "loopback" in caught.value.remedy


def test_a_client_waits_for_the_next_host(desk: Desk) -> None:
    """A host that was killed costs a run nothing: the SDK asks again until somebody listens there."""
    assert len(desk.client.list_workspaces()) == 1
    desk.engine.run_api().close()
    found: list[int] = []
    waiting = threading.Thread(target=lambda: found.append(len(desk.client.list_workspaces())))
    waiting.start()
    assert desk.engine.run_api().address() == desk.client.api_endpoint
    waiting.join(20)
    assert found == [1]
