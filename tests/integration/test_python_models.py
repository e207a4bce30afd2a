"""Python models from the upload to the answer: states, errors, schemas and identity, through the engine and the SDK."""

from __future__ import annotations

import json
import pickle
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from specrunner.core.errors import BadInput, PackagingFailed
from specrunner.core.lifecycle import ModelState
from specrunner.core.resources import content_identity
from specrunner.core.values import JsonObject
from specrunner.engine.engine import Engine
from specrunner.engine.records import ModelVersion, Workspace
from specrunner.sdk import Client
from specrunner.sdk.exceptions import InferenceError, ModelUploadError
from specrunner.sdk.framework import Framework
from specrunner.sdk.pipelines import Pipeline
from specrunner.server.host import LoopbackApi
from tests.integration.engine_samples import add_task, engine_on, until
from tests.integration.model_samples import DOUBLE, zipped

BROKEN = "import nowhere_to_be_found\n"
RESULTS = {"framework": "python", "requirements": ["impossible"]}


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with engine_on(tmp_path / "state", LoopbackApi) as engine:
        yield engine


@pytest.fixture
def lab(engine: Engine) -> Workspace:
    return engine.workspaces.ensure("lab")


@pytest.fixture
def client(engine: Engine, lab: Workspace, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    run = engine.runs.submit(add_task(engine, ""))
    monkeypatch.setenv("SPECRUNNER_URL", engine.run_api().address())
    monkeypatch.setenv("SPECRUNNER_TOKEN", engine.runs.token(run.id))
    monkeypatch.setenv("SPECRUNNER_WORKSPACE_ID", str(lab.id))
    with Client() as client:
        yield client


def code(folder: Path, text: str, name: str = "m.zip") -> Path:
    return zipped(folder / name, {"model.py": text})


def upload(engine: Engine, lab: Workspace, path: Path, config: JsonObject) -> ModelVersion:
    return engine.models.upload(lab.id, "m", path.name, path.read_bytes(), config)


def pipeline_of(client: Client, model: Any, name: str = "p") -> Pipeline:
    pipeline = client.build_pipeline(name)
    pipeline.add_model_step(model)
    pipeline.deploy()
    return pipeline


def test_a_version_is_made_ready_once_with_its_requirements_locked(
    engine: Engine, lab: Workspace, tmp_path: Path
) -> None:
    version = upload(engine, lab, code(tmp_path, DOUBLE), {"framework": "python", "requirements": ["attrs==23.1"]})
    assert version.status is ModelState.PENDING_PACKAGING and version.lock == ""
    said: list[str] = []
    ready = engine.loading.prepare(version.id, said.append)
    assert ready.status is ModelState.READY and ready.lock == "attrs==23.1"
    assert said == ["resolving requirements", "building the environment"]
    assert engine.loading.prepare(version.id, said.append) == ready and len(said) == 2


def test_several_who_ask_at_once_prepare_it_once(engine: Engine, lab: Workspace, tmp_path: Path) -> None:
    version = upload(engine, lab, code(tmp_path, DOUBLE), {"framework": "python"})
    said: list[str] = []
    threads = [threading.Thread(target=engine.loading.prepare, args=(version.id, said.append)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(said) == 2


def test_requirements_that_can_not_be_had_leave_the_version_in_error_and_are_tried_again(
    engine: Engine, lab: Workspace, tmp_path: Path
) -> None:
    version = upload(engine, lab, code(tmp_path, DOUBLE), RESULTS)
    for _ in range(2):
        with pytest.raises(PackagingFailed):
            engine.loading.prepare(version.id)
        failed = engine.models.version(version.id)
        assert failed.status is ModelState.ERROR and "no version of impossible" in failed.error
        assert engine.loading.logs(failed) == failed.error.splitlines()


def test_other_requirements_or_another_schema_are_another_version_of_the_same_bytes(
    engine: Engine, lab: Workspace, tmp_path: Path
) -> None:
    path = code(tmp_path, DOUBLE)
    configs: list[JsonObject] = [
        {"framework": "python"},
        {"framework": "python", "requirements": ["attrs"]},
        {"framework": "python", "inputs": [{"name": "x", "type": "float64"}]},
        {"framework": "sklearn"},
    ]
    versions = [upload(engine, lab, path, config) for config in configs]
    assert len({version.version for version in versions}) == 4 and len({version.sha for version in versions}) == 1
    identities = engine.models.identities()
    assert len(set(identities.values())) == 4
    assert identities[versions[1].version] == content_identity(versions[1].sha, {"path": "x", **configs[1]})
    assert content_identity("abc", {"framework": "onnx", "path": "x", "sha": "abc"}) == "abc"


def test_a_model_is_uploaded_deployed_and_asked_by_code(client: Client, engine: Engine, tmp_path: Path) -> None:
    schema = pa.schema([("x", pa.float64())])
    model = client.upload_model("m", code(tmp_path, DOUBLE), Framework.PYTHON, input_schema=schema)
    assert model.status() == "ready"
    version = engine.models.version(model.id())
    assert version.config["inputs"] == [{"name": "x", "type": "float64", "shape": [None]}]

    pipeline = pipeline_of(client, model)
    found = pipeline.infer(pd.DataFrame({"x": [1.0, 2.5]}))
    assert found["out.y"].to_list() == [2.0, 5.0] and list(found)[:2] == ["time", "in.x"]
    assert pipeline.infer({"x": {"0": 4}}) == [{"y": [8]}]
    with pytest.raises(InferenceError, match="has an unknown column `z`"):
        pipeline.infer(pd.DataFrame({"x": [1.0], "z": [1.0]}))
    assert pipeline.infer(pa.table({"x": [7]}))["out.y"].to_pylist() == [14.0]
    pipeline.undeploy()


def test_a_file_without_a_framework_is_python_as_the_tutorials_have_it(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "one.pkl"
    script = "import json\ndef wallaroo_json(data):\n    return {'sum': sum(json.loads(data)['x'].values()) + model}\n"
    path.write_bytes(pickle.dumps({"model": 100, "script": script}))
    pipeline = pipeline_of(client, client.upload_model("one", path).configure(runtime="python"))
    question = tmp_path / "question.json"
    question.write_text(json.dumps({"x": {"0": 1, "1": 2}}))
    assert pipeline.infer_from_file(question, data_format="custom-json") == [{"sum": 103}]
    pipeline.undeploy()


def test_code_hears_of_a_model_that_does_not_load_when_it_uploads_it(
    client: Client, engine: Engine, tmp_path: Path
) -> None:
    with pytest.raises(ModelUploadError, match="can't be used") as error:
        client.upload_model("m", code(tmp_path, BROKEN), "python")
    assert "No module named 'nowhere_to_be_found'" in str(error.value)
    waited = client.upload_model("n", code(tmp_path, BROKEN), "python", convert_wait=False)
    until(lambda: waited.status() == "error", "the end of the conversion")
    assert "nowhere_to_be_found" in waited.error_summary()
    with pytest.raises(Exception, match="nowhere_to_be_found"):
        pipeline_of(client, waited)
    logs = engine.loading.logs(engine.models.version(waited.id()))
    assert any("nowhere_to_be_found" in line for line in logs)


@pytest.mark.parametrize("framework", ["tensorflow", "keras", "pytorch", "custom", "vllm"])
def test_frameworks_that_are_not_served_are_refused_by_name(client: Client, tmp_path: Path, framework: str) -> None:
    with pytest.raises(ModelUploadError, match=f"framework '{framework}'"):
        client.upload_model("m", code(tmp_path, DOUBLE), framework)


def test_what_a_models_code_does_is_an_answer_of_500_with_the_reason(client: Client, tmp_path: Path) -> None:
    text = "import os\ndef predict(frame):\n    if frame['x'].iloc[0] < 0: os._exit(6)\n    return 1 / 0\n"
    pipeline = pipeline_of(client, client.upload_model("m", code(tmp_path, text), "python"))
    for x, words in ((-1.0, "exit code 6"), (1.0, "ZeroDivisionError: division by zero")):
        with pytest.raises(InferenceError) as error:
            pipeline.infer(pd.DataFrame({"x": [x]}))
        assert error.value.status == 500 and words in str(error.value)
    pipeline.undeploy()


def test_a_pipeline_of_a_python_model_is_refused_where_it_does_not_load(
    engine: Engine, lab: Workspace, tmp_path: Path
) -> None:
    version = upload(engine, lab, code(tmp_path, BROKEN), {"framework": "python"})
    step = {"ModelInference": {"models": [{"name": "m", "version": version.version, "sha": version.sha}]}}
    made = engine.pipelines.add_version(lab.id, "p", {"id": "p", "steps": [step]})
    with pytest.raises(BadInput, match="No module named 'nowhere_to_be_found'"):
        engine.planes.deploy(made.pipeline_id, made.id, engine.user_holder)
    assert engine.deployments.of_pipeline(made.pipeline_id) is None
