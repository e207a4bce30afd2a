"""The nouns and verbs of the SDK against a real HTTP server."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

import specrunner.sdk
from specrunner import sdk
from specrunner.sdk.tables import arrow_file
from tests.integration.sdk_platform import Platform, serving

ROWS = [[4.0, 2.5], [3.0, 1.75]]
SDK = Path(specrunner.sdk.__file__).parent

# Verbatim from the tutorial "Pipeline Orchestration Comprehensive", its sample orchestrator.
TUTORIAL = """\
import wallaroo
from wallaroo.object import EntityNotFoundError
import pandas as pd
import pyarrow as pa
import requests

wl = wallaroo.Client()

# Setting variables for later steps

workspace_name = 'orchestrationworkspace'
pipeline_name = 'orchestrationpipeline'
connection_name = "houseprice_arrow_table"

# helper methods to retrieve workspaces and pipelines

def get_workspace(name):
    workspace = None
    for ws in wl.list_workspaces():
        if ws.name() == name:
            workspace= ws
    if(workspace == None):
        workspace = wl.create_workspace(name)
    return workspace

def get_pipeline(name):
    try:
        pipeline = wl.pipelines_by_name(name)[0]
    except EntityNotFoundError:
        pipeline = wl.build_pipeline(name)
    return pipeline

print(f"Getting the workspace {workspace_name}")
workspace = get_workspace(workspace_name)
wl.set_current_workspace(workspace)

print(f"Getting the pipeline {pipeline_name}")
pipeline = get_pipeline(pipeline_name)
pipeline.deploy()
# Get the connection - assuming it will be the only one

inference_source_connection = wl.get_connection(name=connection_name)

print(f"Getting arrow table file")
# Retrieve the file
# set accept as apache arrow table
headers = {
    'Accept': 'application/vnd.apache.arrow.file'
}

response = requests.get(
                    inference_source_connection.details()['host'], 
                    headers=headers
                )

# Arrow table is retrieved 
with pa.ipc.open_file(response.content) as reader:
    arrow_table = reader.read_all()

print("Inference time.  Displaying results after.")
# Perform the inference
result = pipeline.infer(arrow_table)
print(result)

pipeline.undeploy()
"""  # noqa: W291


@pytest.fixture
def platform() -> Platform:
    return Platform()


@pytest.fixture
def url(platform: Platform) -> Iterator[str]:
    with serving(platform) as address:
        yield address


@pytest.fixture
def client(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[sdk.Client]:
    monkeypatch.setenv("SPECRUNNER_URL", url)
    monkeypatch.setenv("SPECRUNNER_TOKEN", "t0ken")
    monkeypatch.delenv("SPECRUNNER_WORKSPACE_ID", raising=False)
    with sdk.Client() as made:
        yield made


@pytest.fixture
def workspace(client: sdk.Client) -> sdk.Workspace:
    return client.set_current_workspace(client.create_workspace("orchestrationworkspace"))


@pytest.fixture
def model(client: sdk.Client, workspace: sdk.Workspace, tmp_path: Path) -> sdk.ModelVersion:
    path = tmp_path / "rf_model.onnx"
    path.write_bytes(b"model" * 200_000)
    return client.upload_model("house", path).configure()


@pytest.fixture
def pipeline(client: sdk.Client, model: sdk.ModelVersion) -> sdk.Pipeline:
    return client.build_pipeline("prices").add_model_step(model)


def test_the_token_is_sent_and_one_connection_is_kept(client: sdk.Client, platform: Platform) -> None:
    for _ in range(5):
        client.list_workspaces()
    assert platform.seen[0][3]["authorization"] == "Bearer t0ken"
    assert platform.connected == 1


def test_workspaces(client: sdk.Client, platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(sdk.EntityNotFoundError, match="one"):
        client.get_workspace("one")
    one = client.get_workspace("one", create_if_not_exist=True)
    assert client.get_workspace("one", create_if_not_exist=True).id() == one.id()
    assert client.get_current_workspace().name() == "one"
    two = client.create_workspace("two")
    assert [ws.name() for ws in client.list_workspaces()] == ["one", "two"]
    assert two.created_at().startswith("2023-05-17T")
    with pytest.raises(sdk.SdkError, match="no current workspace"):
        client.get_current_workspace()
    monkeypatch.setenv("SPECRUNNER_WORKSPACE_ID", "2")
    assert client.get_current_workspace().name() == "two"
    assert client.set_current_workspace(one) is one
    assert client.get_current_workspace().name() == "one"
    assert len(platform.bodies("workspaces/create")) == 2


def test_connections(client: sdk.Client, workspace: sdk.Workspace, platform: Platform) -> None:
    for kind in (sdk.RequiredAttributeMissing, sdk.EntityNotFoundError):
        with pytest.raises(kind):
            client.get_connection("houses")
    assert client.list_connections()._repr_html_() == "(no connections)"
    made = client.create_connection("houses", "HTTPFILE", {"host": "http://h", "token": "s3cret"})
    assert made.created_at() == "2023-05-17T17:40:11.391198+00:00"
    with pytest.raises(sdk.ApiError) as caught:
        client.create_connection("houses", "HTTPFILE", {})
    assert caught.value.status == 409
    workspace.add_connection("houses")
    (listed,) = workspace.list_connections()
    assert listed.workspace_names() == ["orchestrationworkspace"]
    assert not platform.bodies("connections/get_by_id")[1:]
    assert listed.details() == {"host": "http://h", "token": "s3cret"}
    shown = repr(listed) + listed._repr_html_() + workspace.list_connections()._repr_html_()
    assert "*****" in shown
    assert "s3cret" not in shown
    workspace.remove_connection("houses")
    assert workspace.list_connections() == []
    listed.delete_connection()
    assert client.list_connections() == []


def test_a_model_is_streamed_with_what_is_told_about_it(model: sdk.ModelVersion, platform: Platform) -> None:
    told = platform.models[model.id()]
    assert told["file_info"]["size"] == 1_000_000
    assert told["told"]["workspace_id"] == 1
    assert told["told"]["conversion"]["framework"] == "onnx"
    assert (model.name(), model.sha(), model.file_name()) == ("house", "ab" * 32, "rf_model.onnx")
    assert model.status() == "ready"
    assert model.version() == told["file_info"]["version"]
    assert "ababab...ababab" in model._repr_html_()
    model.configure("onnx", tensor_fields=["tensor"], input_schema=pa.schema([("a", pa.int64())]), unknown=1)
    sent = platform.bodies("models/insert_model_config")[-1]
    assert sent["tensor_fields"] == ["tensor"]
    assert set(sent) == {"model_version_id", "tensor_fields", "input_schema"}


def test_a_model_that_is_missing_or_refused_is_an_upload_error(
    client: sdk.Client, workspace: sdk.Workspace, tmp_path: Path
) -> None:
    with pytest.raises(sdk.ModelUploadError, match="no model file"):
        client.upload_model("house", tmp_path / "gone.onnx")
    (tmp_path / "empty.onnx").touch()
    with pytest.raises(sdk.ModelUploadError, match="an empty file is no model"):
        client.upload_model("house", tmp_path / "empty.onnx")


def test_the_life_of_a_pipeline(client: sdk.Client, pipeline: sdk.Pipeline, platform: Platform) -> None:
    assert pipeline.status() == {"status": "Pipeline prices is not deployed"}
    assert "<th>deployed</th> <td>(none)</td>" in pipeline._repr_html_()
    platform.reports = [{"status": "Starting"}]
    assert pipeline.deploy() is pipeline
    assert pipeline.status()["status"] == "Running"
    html = pipeline._repr_html_()
    assert "<th>deployed</th> <td>True</td>" in html
    assert "<th>steps</th> <td>house</td>" in html
    names = [version.name() for version in pipeline.versions()]
    assert len(names) == 2
    assert f"<th>versions</th> <td>{', '.join(names)}</td>" in html
    sent = platform.bodies("pipelines/create")[-1]
    (step,) = sent["definition"]["steps"]
    assert sent["definition"]["id"] == sent["pipeline_id"] == "prices"
    assert set(step["ModelInference"]["models"][0]) == {"name", "version", "sha"}
    assert pipeline.url().endswith("/v1/api/pipelines/infer/prices-1/prices")
    pipeline.undeploy()
    assert pipeline.status() == {"status": "Pipeline prices is not deployed"}
    assert "<th>deployed</th> <td>False</td>" in pipeline._repr_html_()
    assert pipeline.undeploy() is pipeline


def test_a_pipeline_got_by_name_deploys_the_steps_it_has(client: sdk.Client, pipeline: sdk.Pipeline) -> None:
    pipeline.deploy().undeploy()
    again = client.pipelines_by_name("prices")[0]
    assert again.steps() == pipeline.steps()
    assert again.deploy().status()["status"] == "Running"
    with pytest.raises(sdk.DeploymentError, match="no steps"):
        again.clear().deploy()


def test_pipelines_are_found_by_name_newest_first(client: sdk.Client, pipeline: sdk.Pipeline) -> None:
    with pytest.raises(sdk.EntityNotFoundError, match="other"):
        client.pipelines_by_name("other")
    with pytest.raises(sdk.EntityNotFoundError, match="other"):
        client.get_pipeline("other")
    client.build_pipeline("other")
    assert [one.name() for one in client.list_pipelines()] == ["other", "prices"]
    assert client.get_pipeline("other").id() == 2
    assert "<td>prices</td>" in client.list_pipelines()._repr_html_()
    elsewhere = client.create_workspace("elsewhere")
    client.set_current_workspace(elsewhere)
    assert elsewhere.pipelines() == []
    with pytest.raises(sdk.EntityNotFoundError):
        client.pipelines_by_name("prices")


def test_a_deployment_that_fails_says_why(pipeline: sdk.Pipeline, platform: Platform) -> None:
    platform.reports = [{"status": "Error", "details": ["cannot load the model"], "engines": [{"reason": "bad opset"}]}]
    with pytest.raises(sdk.WaitForDeployError) as caught:
        pipeline.deploy()
    assert "cannot load the model\nbad opset" in str(caught.value)
    assert caught.value.status is not None
    platform.reports = [{"status": "Starting", "details": ["pulling"]}] * 3
    with pytest.raises(sdk.WaitForDeployError, match="pulling"):
        pipeline.deploy(timeout=0)


def test_inference_gives_back_the_kind_that_it_got(pipeline: sdk.Pipeline, platform: Platform, tmp_path: Path) -> None:
    with pytest.raises(sdk.DeploymentError, match="not deployed"):
        pipeline.infer([1])
    pipeline.deploy()
    table = pipeline.infer(pa.table({"tensor": ROWS}), dataset=["time", "out"])
    assert table.column_names == ["time", "in.tensor", "out.variable", "check_failures"]
    assert table.schema.field("time").type == pa.timestamp("ms")
    path, query, _, headers = platform.seen[-1]
    assert path == "/v1/api/pipelines/infer/prices-1/prices"
    assert query == [
        ("dataset[]", "time"),
        ("dataset[]", "out"),
        ("dataset.exclude[]", "metadata"),
        ("dataset.separator", "."),
    ]
    assert headers["format"] == "arrow"
    frame = pipeline.infer(pd.DataFrame({"tensor": ROWS}))
    assert frame["in.tensor"].tolist() == ROWS
    assert frame["check_failures"].tolist() == [0, 0]
    assert pipeline.infer({"query": [1]}) == [{"echo": {"query": [1]}}]
    assert platform.seen[-1][3]["content-type"] == "application/json; format=wallaroo"
    assert platform.seen[-1][1] == []
    (tmp_path / "x.arrow").write_bytes(arrow_file(pa.table({"tensor": ROWS})))
    assert pipeline.infer_from_file(tmp_path / "x.arrow").equals(pipeline.infer(pa.table({"tensor": ROWS})))


def test_an_inference_that_is_refused_says_what_the_platform_said(pipeline: sdk.Pipeline) -> None:
    pipeline.deploy()
    with pytest.raises(sdk.InferenceError, match="expected a column tensor") as caught:
        pipeline.infer(pd.DataFrame({"wrong": [1]}))
    assert caught.value.status == 400
    pipeline.undeploy()
    with pytest.raises(sdk.InferenceError, match="deploy"):
        pipeline.infer([1])


def log_table(*times: int, extra: bool = False) -> pa.Table:
    columns = {"time": pa.array(times, pa.int64()), "out.variable": pa.array([[1.0]] * len(times))}
    more = {"metadata.elapsed": pa.array([1] * len(times))} if extra else {}
    return pa.table({**columns, **more})


def test_a_page_of_logs(pipeline: sdk.Pipeline, platform: Platform, capsys: pytest.CaptureFixture[str]) -> None:
    platform.log_pages = [(log_table(2000, 1000, extra=True), "ByteLimited", {"page": 1})]
    frame = pipeline.logs()
    assert list(frame.columns) == ["time", "out.variable"]
    assert str(frame["time"][0]) == "1970-01-01 00:00:02"
    warning = "Warning: Pipeline log size limit exceeded. Please request logs using export_logs\n"
    assert capsys.readouterr().err == warning
    path, query, body, headers = platform.seen[-1]
    assert path == "/v1/logs/topic/workspace-1-pipeline-1-inference/records"
    assert query == [("page_size", "100"), ("order", "desc"), ("dataset[]", "*"), ("dataset.separator", ".")]
    assert (body, headers["accept"]) == ({}, "application/vnd.apache.arrow.file")
    assert "metadata.elapsed" in pipeline.logs(dataset=["*", "metadata"], arrow=True).column_names


def test_logs_between_two_instants(pipeline: sdk.Pipeline, platform: Platform) -> None:
    platform.log_pages = [(log_table(), "All", None)]
    end = datetime(2023, 5, 17, 18, tzinfo=UTC)
    assert pipeline.logs(start_datetime=end - timedelta(hours=1), end_datetime=end).empty
    assert platform.seen[-1][1][:2] == [
        ("time.start", "2023-05-17T17:00:00+00:00"),
        ("time.end", "2023-05-17T18:00:00+00:00"),
    ]
    with pytest.raises(sdk.SdkError, match="one end"):
        pipeline.logs(start_datetime=end)


def test_an_export_follows_the_pages_and_begins_a_file_where_columns_change(
    pipeline: sdk.Pipeline, platform: Platform, tmp_path: Path
) -> None:
    other = log_table(3000).append_column("anomaly.count", pa.array([0]))
    platform.log_pages = [
        (log_table(1000, 2000), "ByteLimited", {"page": 1}),
        (other, "SchemaChange", {"page": 2}),
        (other, "All", None),
    ]
    first, second = pipeline.export_logs(tmp_path / "new", "p")
    assert [first.name, second.name] == ["p-1.json", "p-2.json"]
    assert [json.loads(line)["time"] for line in first.read_text(encoding="utf-8").splitlines()] == [1000, 2000]
    assert len(second.read_text(encoding="utf-8").splitlines()) == 2
    (only,) = pipeline.export_logs(tmp_path, "q", limit=1, arrow=True)
    assert pa.ipc.open_file(str(only)).read_all().num_rows == 1
    (cut,) = pipeline.export_logs(tmp_path, "r", data_size_limit="0.001 KiB")
    assert len(cut.read_text(encoding="utf-8").splitlines()) == 2


def test_the_tutorials_orchestration_runs_unmodified(
    client: sdk.Client, url: str, pipeline: sdk.Pipeline, platform: Platform, tmp_path: Path
) -> None:
    row = platform.pipelines[1]
    pipeline.deploy().undeploy()
    row["pipeline"]["name"] = "orchestrationpipeline"
    platform.files["/houses.arrow"] = bytes(arrow_file(pa.table({"tensor": ROWS})))
    client.create_connection("houseprice_arrow_table", "HTTPFILE", {"host": f"{url}/houses.arrow"})
    shutil.copytree(SDK, tmp_path / "specrunner/sdk")
    shutil.copytree(SDK / "alias/wallaroo", tmp_path / "wallaroo")
    (tmp_path / "specrunner/__init__.py").touch()
    (tmp_path / "main.py").write_text(TUTORIAL, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "main.py"],
        cwd=tmp_path,
        env={"PATH": os.defpath, "SPECRUNNER_URL": url, "WALLAROO_TASK_ID": "1", "NO_PROXY": "*"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "out.variable" in done.stdout
    assert row["deployment"]["deployed"] is False
