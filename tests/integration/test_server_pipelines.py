"""The HTTP face: pipelines, deployments, inference and logs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from specrunner.engine.records import PipelineVersion
from specrunner.engine.tables import Media, encode
from tests.integration.engine_samples import add_pipeline, model_bytes
from tests.integration.server_face import ARROW, Face, arrow_of, opened, upload
from tests.unit.serving_samples import WIDTH, rows_table


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


# Pipelines


def test_a_pipeline_is_created_found_and_listed(face: Face) -> None:
    empty = face.post("pipelines/create", pipeline_id="prices", workspace_id=face.lab.id, definition={})
    definition = add_pipeline(face.engine, face.lab, "other").definition
    made = face.post("pipelines/create", pipeline_id="prices", workspace_id=face.lab.id, definition=definition)
    assert set(made) == {"pipeline_pk_id", "pipeline_variant_pk_id", "pipeline_variant_version"}
    found = face.post("pipelines/get_pipeline_by_name", workspace_id=face.lab.id, pipeline_name="prices")
    assert found["pipeline"]["id"] == made["pipeline_pk_id"] == empty["pipeline_pk_id"]
    assert set(found["pipeline"]) == {"id", "name", "created_at", "updated_at"}
    assert found["deployment"] is None and found["workspace"]["name"] == "lab"
    versions = [entry["version"] for entry in found["pipeline_versions"]]
    assert versions == [made["pipeline_variant_version"], empty["pipeline_variant_version"]]
    listed = face.post("pipelines/list_pipelines", workspace_id=None, workspace_name=None)["pipelines"]
    assert [entry["pipeline"]["name"] for entry in listed] == ["other", "prices"] and listed[1] == found
    assert face.post("pipelines/list_pipelines", workspace_name="hidden") == {"pipelines": []}
    assert face.post("pipelines/get_version", version=made["pipeline_variant_version"]) == {
        "pipeline_id": "prices",
        "version": made["pipeline_variant_version"],
        "definition": definition,
    }
    topic = face.post("plateau/get_topic_name", pipeline_pk_id=made["pipeline_pk_id"])["topic_name"]
    assert topic == found["plateau_topic"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"pipeline_id": ""}, "'pipeline_id'"),
        ({"pipeline_id": "x" * 300}, "'pipeline_id'"),
        ({"pipeline_id": 7}, "'pipeline_id'"),
        ({"definition": []}, "'definition'"),
        ({"definition": {"steps": 7}}, "steps"),
        ({"definition": {"steps": [{"Average": {}}]}}, "Average"),
    ],
)
def test_a_pipeline_that_cannot_be_is_refused(standing: Face, body: dict[str, Any], words: str) -> None:
    before = standing.engine.pipelines.all()
    sent = {"pipeline_id": "new", "workspace_id": standing.lab.id, "definition": {}, **body}
    assert words in standing.post("pipelines/create", 400, **sent)["msg"]
    assert standing.engine.pipelines.all() == before


def test_a_pipeline_elsewhere_is_not_there(face: Face) -> None:
    version = add_pipeline(face.engine, face.hidden)
    deployment = face.engine.planes.deploy(version.pipeline_id, version.id, "spec")
    face.post("pipelines/create", 404, pipeline_id="p", workspace_id=face.hidden.id)
    face.post("pipelines/get_pipeline_by_name", 404, workspace_id=face.hidden.id, pipeline_name="prices")
    face.post("pipelines/get_pipeline_by_name", 404, workspace_id=face.lab.id, pipeline_name="prices")
    assert face.post("pipelines/list_pipelines") == {"pipelines": []}
    face.post("pipelines/get_version", 404, version=version.version)
    face.post("pipelines/deploy", 404, pipeline_version_pk_id=version.id)
    face.post("pipelines/undeploy", 404, deployment_id=deployment.id)
    face.post("status/get_deployment", 404, name=deployment.name)
    face.post("plateau/get_topic_name", 404, pipeline_pk_id=version.pipeline_id)
    face.refused(face.infer(deployment.id, encode(rows_table(1), ARROW)), 404)
    topic = f"workspace-{face.hidden.id}-pipeline-prices-inference"
    face.refused(face.http.post(TOPIC.format(topic), json={}), 404)
    face.engine.planes.undeploy(deployment.id, "spec")
    # Deployed or not, the words are those for one that never was.
    told = face.infer(deployment.id, b"").json()["msg"]
    assert told == f"There is no deployment '{deployment.name}'"


def test_a_model_elsewhere_is_not_deployed(face: Face) -> None:
    model = face.engine.models.upload(face.hidden.id, "m", "m.onnx", model_bytes(), {"framework": "onnx"})
    step = {"ModelInference": {"models": [{"name": "m", "version": model.version, "sha": model.sha}]}}
    for version in (model.version, "nobody"):
        step["ModelInference"]["models"][0]["version"] = version
        made = face.post(
            "pipelines/create", pipeline_id="p", workspace_id=face.lab.id, definition={"id": "p", "steps": [step]}
        )
        told = face.post("pipelines/deploy", 404, pipeline_version_pk_id=made["pipeline_variant_pk_id"])
        assert told["msg"] == f"There is no model '{version}'"


# Deployments


def test_a_pipeline_is_deployed_and_given_back(face: Face) -> None:
    version = add_pipeline(face.engine, face.lab)
    made = face.post("pipelines/deploy", deploy_id="prices", engine_config={}, pipeline_version_pk_id=version.id)
    name = f"prices-{made['id']}"
    status = face.post("status/get_deployment", name=name)
    assert status["status"] == "Running" and set(status) == {"status", "details", "engines", "engine_lbs", "sidekicks"}
    assert status["engines"][0]["pipeline_statuses"]["pipelines"][0]["version"] == version.version
    item = face.post("pipelines/get_pipeline_by_name", workspace_id=face.lab.id, pipeline_name="prices")
    assert item["deployment"] == {"id": made["id"], "deploy_id": "prices", "deployed": True}
    assert face.post("pipelines/deploy", pipeline_version_pk_id=version.id) == made
    for _ in range(2):
        assert face.post("pipelines/undeploy", deployment_id=made["id"]) == {}
    assert "not deployed" in face.post("status/get_deployment", 404, name=name)["msg"]
    face.refused(face.infer(made["id"], encode(rows_table(1), ARROW)), 404)
    item = face.post("pipelines/get_pipeline_by_name", workspace_id=face.lab.id, pipeline_name="prices")
    assert item["deployment"]["deployed"] is False


def test_what_the_spec_holds_stays_up_when_a_run_undeploys(face: Face) -> None:
    _, deployment = face.deployed("spec")
    content = encode(rows_table(1), ARROW)
    assert face.infer(deployment, content).status_code == 200
    face.post("pipelines/undeploy", deployment_id=deployment)
    assert "gave your deployment" in face.refused(face.infer(deployment, content), 404)
    assert face.engine.deployments.get(deployment).holders == ("spec",)


def test_a_broken_model_is_told_at_deploy(face: Face) -> None:
    identity = upload(face, data=b"no model").json()["insert_models"]["returning"][0]["models"][0]["id"]
    model = face.engine.models.version(identity)
    step = {"ModelInference": {"models": [{"name": "houses", "version": model.version, "sha": model.sha}]}}
    made = face.post(
        "pipelines/create", pipeline_id="p", workspace_id=face.lab.id, definition={"id": "p", "steps": [step]}
    )
    told = face.post("pipelines/deploy", 400, pipeline_version_pk_id=made["pipeline_variant_pk_id"])
    assert "house price.onnx is not a usable ONNX model" in told["msg"]
    assert face.engine.deployments.all() == []


def test_a_pipeline_without_steps_is_not_deployed(face: Face) -> None:
    made = face.post("pipelines/create", pipeline_id="p", workspace_id=face.lab.id, definition={})
    told = face.post("pipelines/deploy", 400, pipeline_version_pk_id=made["pipeline_variant_pk_id"])
    assert "no steps" in told["msg"] and "add_model_step" in told["msg"]
    face.post("pipelines/deploy", 404, pipeline_version_pk_id=10**6)


LONG = "prices-" + "9" * 5000


@pytest.mark.parametrize("name", ["", "prices", "prices-", "prices-x", "prices-999", "other-1", LONG, "prices-²"])
def test_a_deployment_that_is_not_there_is_not_found(standing: Face, name: str) -> None:
    standing.post("status/get_deployment", 404, name=name)
    if name:
        standing.refused(standing.http.post(f"/v1/api/pipelines/infer/{name}/prices", content=b""), 404)


def test_the_pipeline_in_the_address_must_be_the_deployments(face: Face) -> None:
    _, deployment = face.deployed()
    answer = face.http.post(f"/v1/api/pipelines/infer/prices-{deployment}/other", content=b"")
    assert "'other'" in face.refused(answer, 404)


# Inference


def test_arrow_in_arrow_out(face: Face) -> None:
    _, deployment = face.deployed()
    answer = face.infer(deployment, encode(rows_table(3), ARROW))
    assert (answer.status_code, answer.headers["content-type"]) == (200, ARROW)
    table = arrow_of(answer.content)
    assert table.column_names == ["time", "in.tensor", "out.variable", "check_failures"] and table.num_rows == 3
    expected = sum((column + 1) / 8 * column for column in range(WIDTH)) + 1
    assert table.column("out.variable").to_pylist()[0] == [expected]


def test_a_stream_of_arrow_is_read_as_well(face: Face) -> None:
    _, deployment = face.deployed()
    answer = face.infer(deployment, encode(rows_table(2), Media.ARROW_STREAM), Media.ARROW_STREAM)
    assert answer.status_code == 200, answer.text


def test_records_in_records_out(face: Face) -> None:
    _, deployment = face.deployed()
    content = json.dumps([{"tensor": [0.0] * WIDTH}, {"tensor": [1.0] * WIDTH}]).encode()
    answer = face.infer(deployment, content, "application/json; format=pandas-records", headers={"Accept": "*/*"})
    assert answer.status_code == 200, answer.text
    rows = answer.json()
    assert [row["out.variable"] for row in rows] == [[1.0], [1 + sum(range(1, WIDTH + 1)) / 8]]
    assert all(isinstance(row["time"], int) for row in rows)


def test_what_is_accepted_decides_the_answer(face: Face) -> None:
    _, deployment = face.deployed()
    content = json.dumps([{"tensor": [0.0] * WIDTH}]).encode()
    answer = face.infer(deployment, content, "application/json", headers={"Accept": ARROW})
    assert arrow_of(answer.content).num_rows == 1


def test_columns_are_chosen_by_the_query(face: Face) -> None:
    _, deployment = face.deployed()
    query = {"dataset[]": ["time", "out"], "dataset.exclude[]": "metadata", "dataset.separator": "/"}
    answer = face.infer(deployment, encode(rows_table(1), ARROW), params=query)
    assert arrow_of(answer.content).column_names == ["time", "out/variable"]
    refused = face.infer(deployment, encode(rows_table(1), ARROW), params={"dataset[]": "nothing"})
    assert "selects no column" in face.refused(refused, 400)


def test_truncated_arrow_is_refused_and_the_server_lives_on(face: Face) -> None:
    _, deployment = face.deployed()
    whole = encode(rows_table(50), ARROW)
    for size in (0, 1, 8, 100, len(whole) // 2, len(whole) - 1):
        face.refused(face.infer(deployment, whole[:size]), 400)
    damaged = bytearray(whole)
    damaged[100:400] = b"\xff" * 300
    face.refused(face.infer(deployment, bytes(damaged)), 400)
    assert face.infer(deployment, whole).status_code == 200


@pytest.mark.parametrize(
    ("content", "media", "words"),
    [
        (b"[{]", "application/json", ""),
        (b"[]", "application/json", ""),
        (b"7", "application/json", ""),
        (json.dumps([{"tensor": [1.0] * 3}]).encode(), "application/json", "18"),
        (json.dumps([{"tensor": ["a"] * WIDTH}]).encode(), "application/json", ""),
        (encode(rows_table(1, width=3), ARROW), ARROW, "18"),
        (b"x", "text/html", "text/html"),
        (b"{}", "application/json; format=wallaroo", "DataFrame"),
    ],
)
def test_bad_input_is_refused_in_words(standing: Face, content: bytes, media: str, words: str) -> None:
    deployment = standing.engine.deployments.all()[0]
    before = standing.engine.planes.log(deployment.pipeline_id).count()
    assert words in standing.refused(standing.infer(deployment.id, content, media), 400)
    assert standing.engine.planes.log(deployment.pipeline_id).count() == before


# Logs


TOPIC = "/v1/logs/topic/{}/records"


def records(face: Face, version: PipelineVersion, body: Any = None, **query: Any) -> tuple[pa.Table, Any]:
    topic = face.post("plateau/get_topic_name", pipeline_pk_id=version.pipeline_id)["topic_name"]
    answer = face.http.post(TOPIC.format(topic), json=body or {}, params=query)
    assert (answer.status_code, answer.headers["content-type"]) == (200, ARROW), answer.text
    table = arrow_of(answer.content)
    return table, json.loads(table.schema.metadata[b"status"])


def test_logs_are_there_as_soon_as_the_answer_is(face: Face) -> None:
    version, deployment = face.deployed()
    table, status = records(face, version, page_size=100, order="desc")
    assert table.num_rows == 0 and status == {"status": "All", "next": None}
    face.infer(deployment, encode(rows_table(3), ARROW))
    table, status = records(face, version, page_size=100, order="desc")
    assert table.num_rows == 3 and status == {"status": "All", "next": None}
    assert table.column_names == ["time", "in.tensor", "out.variable", "check_failures"]


def test_logs_come_page_by_page(face: Face) -> None:
    version, deployment = face.deployed()
    for _ in range(3):
        face.infer(deployment, encode(rows_table(2), ARROW))
    first, status = records(face, version, page_size=4, order="desc")
    assert first.num_rows == 4 and status["status"] == "RecordLimited"
    rest, status = records(face, version, status["next"], page_size=4, order="desc")
    assert rest.num_rows == 2 and status == {"status": "All", "next": None}


def test_logs_are_chosen_by_time(face: Face) -> None:
    version, deployment = face.deployed()
    face.infer(deployment, encode(rows_table(2), ARROW))
    now = datetime.now(UTC)
    near = {"time.start": (now - timedelta(hours=1)).isoformat(), "time.end": (now + timedelta(hours=1)).isoformat()}
    past = {"time.start": "2020-01-01T00:00:00Z", "time.end": "2020-01-02T00:00:00Z"}
    assert records(face, version, **near)[0].num_rows == 2
    assert records(face, version, **past)[0].num_rows == 0
    assert records(face, version, **{"dataset[]": ["time"]})[0].column_names == ["time"]


@pytest.mark.parametrize(
    ("query", "body"),
    [
        ({"page_size": "0"}, {}),
        ({"page_size": "-1"}, {}),
        ({"page_size": "x"}, {}),
        ({"page_size": "9" * 5000}, {}),
        ({"time.start": "yesterday"}, {}),
        ({"time.start": "2020-01-01T00:00:00"}, {}),
        ({"dataset[]": "nothing"}, {}),
        ({}, {"segment": "x"}),
    ],
)
def test_a_question_to_the_logs_that_makes_no_sense_is_refused(
    standing: Face, query: dict[str, str], body: dict[str, Any]
) -> None:
    deployment = standing.engine.deployments.all()[0]
    assert standing.infer(deployment.id, encode(rows_table(1), ARROW)).status_code == 200
    topic = standing.post("plateau/get_topic_name", pipeline_pk_id=deployment.pipeline_id)["topic_name"]
    standing.refused(standing.http.post(TOPIC.format(topic), json=body, params=query), 400)
