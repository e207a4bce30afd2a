"""The HTTP face: who may call, what is no request, workspaces, connections and models."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from specrunner.core.lifecycle import RunState
from specrunner.server import calls, inference
from specrunner.server.mlops import models
from tests.integration.engine_samples import add_pipeline, model_bytes
from tests.integration.server_face import Face, opened, upload

POSTS = [
    "/v1/api/workspaces/list",
    "/v1/api/workspaces/create",
    "/v1/api/connections/get",
    "/v1/api/connections/get_by_id",
    "/v1/api/connections/list",
    "/v1/api/models/upload",
    "/v1/api/models/get_version_by_id",
    "/v1/api/models/insert_model_config",
    "/v1/api/pipelines/create",
    "/v1/api/pipelines/get_pipeline_by_name",
    "/v1/api/pipelines/list_pipelines",
    "/v1/api/pipelines/get_version",
    "/v1/api/pipelines/deploy",
    "/v1/api/pipelines/undeploy",
    "/v1/api/status/get_deployment",
    "/v1/api/plateau/get_topic_name",
    "/v1/api/pipelines/infer/prices-1/prices",
    "/v1/logs/topic/t/records",
]


@pytest.fixture
def face(tmp_path: Path) -> Iterator[Face]:
    with opened(tmp_path / "state") as found:
        yield found


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Face]:
    """One for all requests that change nothing, with a pipeline `prices` that answers."""
    with opened(tmp_path_factory.mktemp("standing") / "state") as found:
        found.deployed()
        yield found


# Who may call


def test_health_needs_no_token(standing: Face) -> None:
    answer = standing.anybody.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_without_a_valid_token_nothing_is_told(standing: Face) -> None:
    for route in POSTS:
        for header in (None, "Bearer", "Bearer x", "Bearer x.y", "Basic eDp5", "Bearer é.é"):
            headers = [] if header is None else [(b"Authorization", header.encode("latin-1"))]
            answer = standing.anybody.post(route, json={}, headers=headers)
            # Who tries it so often is not even heard any more.
            assert "token" in standing.refused(answer, 401, 429), (route, header)
    standing.post("workspaces/list")  # which keeps nobody out whose token is right


def test_a_token_with_another_signature_is_refused(standing: Face) -> None:
    for token in (f"{standing.run.id}.", f"{standing.run.id}.{'0' * 64}", standing.engine.runs.token("other")):
        answer = standing.http.post(POSTS[0], json={}, headers={"Authorization": f"Bearer {token}"})
        standing.refused(answer, 401, 429)


def test_a_token_dies_with_its_run(face: Face) -> None:
    face.post("workspaces/list")
    assert face.engine.runs.carry_out(face.run.id).status is RunState.SUCCESS
    assert "ended" in face.post("workspaces/list", 401)["msg"]
    face.engine.tasks.delete(face.run.task_id)
    assert "gone" in face.post("workspaces/list", 401)["msg"]


# What is no request


def test_routes_that_do_not_exist_are_told(standing: Face) -> None:
    assert "GET /v1/nothing" in standing.refused(standing.http.get("/v1/nothing"), 404)
    standing.refused(standing.http.get("/v1/api/workspaces/list"), 405)


@pytest.mark.parametrize(
    "content", [b"{", b"[]", b"7", b'{"a": NaN}', b'{"a": "\\ud800"}', b"[" * 100_000, b"\xff", b'{"a": ' + b"9" * 5000]
)
def test_a_body_that_is_no_json_object_is_refused(standing: Face, content: bytes) -> None:
    assert "body" in standing.refused(standing.http.post(POSTS[0], content=content), 400).lower()


def test_an_empty_body_is_an_empty_object(standing: Face) -> None:
    assert standing.http.post(POSTS[0], content=b"").status_code == 200


@pytest.mark.parametrize("value", [None, "1", True, 1.5, [1], 2**70, -(2**70)])
def test_a_field_of_another_type_is_named(standing: Face, value: object) -> None:
    found = standing.post("models/get_version_by_id", 400, model_version_id=value)
    assert "'model_version_id'" in found["msg"]


def test_a_long_value_is_not_repeated_whole(standing: Face) -> None:
    assert len(standing.post("models/get_version_by_id", 400, model_version_id="x" * 10_000)["msg"]) < 1000


def test_a_body_over_its_limit_is_refused(face: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "MAX_JSON_BYTES", 1000)
    monkeypatch.setattr(inference, "MAX_INFERENCE_BYTES", 1000)
    monkeypatch.setattr(models, "MAX_MODEL_BYTES", 1000)
    _, deployment = face.deployed()
    answers = [
        face.http.post(POSTS[0], json={"x": "x" * 1000}),
        face.infer(deployment, b"x" * 1001),
        upload(face, data=b"x" * 1000),
    ]
    for answer in answers:
        assert "over 1,000 bytes" in face.refused(answer, 413)
    face.post("workspaces/list")


def test_a_fault_of_ours_is_logged_and_answered_in_words(
    face: Face, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(type(face.engine.models), "all", lambda _self: 1 / 0)
    with caplog.at_level(logging.ERROR):
        answer = face.http.post(POSTS[0], json={})
    assert "failed at this request" in face.refused(answer, 500) and "zero" not in answer.text
    assert any(record.exc_info for record in caplog.records)


# Workspaces


def test_workspaces_are_those_of_the_run(face: Face) -> None:
    version = add_pipeline(face.engine, face.lab)
    found = face.post("workspaces/list")["workspaces"]
    assert [set(entry) for entry in found] == [
        {"id", "name", "created_at", "created_by", "archived", "models", "pipelines"}
    ]
    assert (found[0]["id"], found[0]["name"], found[0]["archived"]) == (face.lab.id, "lab", False)
    assert found[0]["pipelines"] == [version.pipeline_id] and len(found[0]["models"]) == 1
    assert datetime.fromisoformat(found[0]["created_at"]).utcoffset() == timedelta(0)


def test_creating_a_workspace_gives_one_that_the_run_may_use(face: Face) -> None:
    assert face.post("workspaces/create", workspace_name="lab") == {"workspace_id": face.lab.id}
    for name in ("hidden", "new"):
        told = face.post("workspaces/create", 403, workspace_name=name)["msg"]
        assert repr(name) in told and "'lab'" in told and "spec.workspaces" in told
    assert [found.name for found in face.engine.workspaces.all()] == ["hidden", "lab"]


def test_a_task_may_list_further_workspaces(face: Face) -> None:
    task = face.engine.tasks.get(face.run.task_id)
    spec = {**task.spec, "workspaces": ["hidden"]}
    face.engine.tasks.put(task.workspace_id, task.name, task.orchestration_id, spec, {})
    assert [found["name"] for found in face.post("workspaces/list")["workspaces"]] == ["hidden", "lab"]
    assert face.post("workspaces/create", workspace_name="hidden") == {"workspace_id": face.hidden.id}


# Connections


def test_a_connection_of_the_workspace_is_read_with_its_details(face: Face) -> None:
    face.engine.connections.put("store", "S3", {"host": "a", "n": [1]}, {"password": "x"}, ["lab", "hidden"])
    found = face.post("connections/get", name="store")
    assert set(found) == {"id", "name", "type", "created_at", "workspace_names", "details"}
    assert found["details"] == {"host": "a", "n": [1], "password": "x"}
    assert found["workspace_names"] == ["lab"]  # and no word of the other
    assert face.post("connections/get_by_id", id=found["id"]) == found
    listed = [{name: value for name, value in found.items() if name != "details"}]
    assert face.post("connections/list") == {"connections": listed}
    assert face.post("connections/list", workspace_id=face.lab.id) == {"connections": listed}


def test_a_connection_elsewhere_is_as_one_that_is_not_there(face: Face) -> None:
    face.engine.connections.put("store", "S3", {}, {"password": "x"}, ["hidden"])
    identity = face.engine.connections.named("store").id
    told = [face.post("connections/get", 404, name=name)["msg"].replace(name, "?") for name in ("store", "nobody")]
    assert told[0] == told[1] and "spec.workspaces" in told[0]
    face.post("connections/get_by_id", 404, id=identity)
    assert face.post("connections/list") == {"connections": []}
    face.post("connections/list", 404, workspace_id=face.hidden.id)


# Models


@pytest.mark.parametrize("as_file", [False, True])
def test_a_model_is_uploaded_with_its_metadata_as_a_field_or_a_file(face: Face, as_file: bool) -> None:
    answer = upload(face, as_file=as_file, conversion={"framework": "onnx", "requirements": []})
    assert answer.status_code == 200, answer.text
    identity = answer.json()["insert_models"]["returning"][0]["models"][0]["id"]
    stored = face.engine.models.newest(face.lab.id, "houses")
    assert (stored.id, stored.file_name, stored.size) == (identity, "house price.onnx", len(model_bytes()))
    found = face.post("models/get_version_by_id", model_version_id=identity)["model_version"]
    assert set(found) == {"model_version", "config"}
    version = found["model_version"]
    assert {"id": identity, "name": "houses", "model_id": "houses", "sha": stored.sha, "status": "ready"}.items() <= (
        version.items()
    )
    assert version["file_info"] == {
        "version": stored.version,
        "sha": stored.sha,
        "file_name": "house price.onnx",
        "size": len(model_bytes()),
    }
    configured = face.post("models/insert_model_config", model_version_id=identity)["model_config"]
    assert configured == found["config"] and configured["runtime"] == "onnx"
    assert upload(face).json() == answer.json()  # the same bytes are no new version


@pytest.mark.parametrize(
    ("metadata", "status", "words"),
    [
        ({"workspace_id": "1"}, 400, "'workspace_id'"),
        ({"workspace_id": True}, 400, "'workspace_id'"),
        ({"workspace_id": 10**6}, 404, "no workspace"),
        ({"conversion": [1]}, 400, "'conversion'"),
        ({"conversion": {"framework": 7}}, 400, "'framework'"),
        ({"name": ""}, 400, "'name'"),
        ({"name": "a\nb"}, 400, "'name'"),
    ],
)
def test_bad_metadata_is_refused(standing: Face, metadata: dict[str, Any], status: int, words: str) -> None:
    before = standing.engine.models.all()
    assert words in standing.refused(upload(standing, **metadata), status)
    assert standing.engine.models.all() == before


def test_an_upload_to_another_workspace_is_refused(face: Face) -> None:
    face.refused(upload(face, workspace_id=face.hidden.id), 404)


def test_an_upload_without_its_parts_is_refused(standing: Face) -> None:
    route = "/v1/api/models/upload"
    assert "metadata" in standing.refused(standing.http.post(route, files={"file": ("a", b"x")}), 400)
    text = json.dumps({"name": "m", "workspace_id": standing.lab.id})
    assert "file" in standing.refused(standing.http.post(route, files={"metadata": (None, text)}), 400)
    bad: Any = {"metadata": (None, "{"), "file": ("a", b"x")}
    assert "JSON" in standing.refused(standing.http.post(route, files=bad), 400)
    broken = {"Content-Type": "multipart/form-data; boundary=b"}
    standing.refused(standing.http.post(route, content=b"--b\r\nno header", headers=broken), 400)
    standing.refused(standing.http.post(route, content=b"x", headers={"Content-Type": "multipart/form-data"}), 400)


def test_a_model_elsewhere_is_not_there(face: Face) -> None:
    version = face.engine.models.upload(face.hidden.id, "m", "m.onnx", model_bytes(), {})
    for route in ("models/get_version_by_id", "models/insert_model_config"):
        face.post(route, 404, model_version_id=version.id)
        face.post(route, 404, model_version_id=10**6)
