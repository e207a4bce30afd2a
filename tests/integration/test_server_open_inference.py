"""`/v2` over HTTP: health, what a pipeline takes and gives, and inference through the same plane and log."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.integration.engine_samples import add_pipeline
from tests.integration.server_face import Face, opened
from tests.unit.serving_samples import WIDTH, rows_table


@pytest.fixture
def face(tmp_path: Path) -> Iterator[Face]:
    with opened(tmp_path / "state") as made:
        yield made


def asked(rows: int, **more: Any) -> dict[str, Any]:
    values = rows_table(rows).column("tensor").combine_chunks().flatten().to_pylist()
    return {"inputs": [{"name": "tensor", "datatype": "FP32", "shape": [rows, WIDTH], "data": values}], **more}


def test_health_is_told_without_a_token(face: Face) -> None:
    assert face.anybody.get("/v2/health/live").json() == {"live": True}
    assert face.anybody.get("/v2/health/ready").json() == {"ready": True}
    assert face.anybody.get("/v2").json()["extensions"] == ["binary_tensor_data"]


def test_a_pipeline_is_described_by_its_first_inputs_and_last_outputs(face: Face) -> None:
    version, _ = face.deployed()
    expected = {
        "name": "prices",
        "versions": [version.version],
        "platform": "specrunner_pipeline",
        "inputs": [{"name": "float_input", "datatype": "FP32", "shape": [-1, WIDTH]}],
        "outputs": [{"name": "variable", "datatype": "FP32", "shape": [-1, 1]}],
    }
    for path in ("/v2/models/prices", f"/v2/models/prices/versions/{version.version}"):
        assert face.http.get(path).json() == expected
        assert face.http.get(f"{path}/ready").json() == {"name": "prices", "ready": True}


def test_an_inference_answers_with_the_digits_of_the_data_plane_and_is_logged(face: Face) -> None:
    version, deployment = face.deployed()
    found = face.http.post("/v2/models/prices/infer", json=asked(3, id="a")).json()
    usable = face.engine.deployments.get(deployment)
    expected = face.engine.planes.infer(usable, rows_table(3)).column("out.variable").combine_chunks().flatten()
    (output,) = found["outputs"]
    assert (found["model_name"], found["model_version"], found["id"]) == ("prices", version.version, "a")
    assert (output["name"], output["shape"]) == ("variable", [3, 1])
    assert np.array(output["data"], np.float32).tobytes() == expected.to_numpy().tobytes()
    assert face.engine.planes.log(version.pipeline_id).count() == 6


def test_tensors_come_and_go_as_bytes(face: Face) -> None:
    face.deployed()
    plain = face.http.post("/v2/models/prices/infer", json=asked(2)).json()["outputs"][0]["data"]
    body = asked(2, parameters={"binary_data_output": True})
    blob = np.array(body["inputs"][0].pop("data"), "<f4").tobytes()
    body["inputs"][0]["parameters"] = {"binary_data_size": len(blob)}
    head = face.http.build_request("POST", "/x", json=body).read()
    headers = {"Inference-Header-Content-Length": str(len(head))}
    answer = face.http.post("/v2/models/prices/infer", content=head + blob, headers=headers)
    length = int(answer.headers["Inference-Header-Content-Length"])
    assert answer.headers["content-type"] == "application/octet-stream"
    assert np.frombuffer(answer.content[length:], "<f4").tolist() == plain


def test_of_two_pipelines_of_one_name_the_workspace_says_which(face: Face) -> None:
    face.deployed()
    other = face.engine.workspaces.ensure("other")
    task = face.engine.tasks.named(face.lab.id, "job")
    face.engine.tasks.put(face.lab.id, "job", task.orchestration_id, {**task.spec, "workspaces": ["other"]}, {})
    version = add_pipeline(face.engine, other)
    face.engine.planes.deploy(version.pipeline_id, version.id, face.engine.spec_holder)
    assert "?workspace=" in face.refused(face.http.get("/v2/models/prices"), 409)
    found = face.http.get("/v2/models/prices", params={"workspace": "other"}).json()
    assert found["versions"] == [version.version]


def test_a_run_that_undeployed_sees_its_model_gone(face: Face) -> None:
    _, deployment = face.deployed()
    assert face.http.get("/v2/models/prices/ready").status_code == 200
    face.engine.planes.undeploy(deployment, face.engine.holder_of_run(face.run.id))
    for answer in (face.http.get("/v2/models/prices/ready"), face.http.post("/v2/models/prices/infer", json=asked(1))):
        assert "not deployed" in face.refused(answer, 404)
