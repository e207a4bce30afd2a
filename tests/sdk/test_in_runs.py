"""The platform's own client inside a run whose requirements ask for it."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import httpx
import pytest

from tests.integration.engine_samples import model_bytes
from tests.sdk.environments import NEW
from tests.sdk.serving import served

pytestmark = pytest.mark.xdist_group("in runs")
MAIN = """\
import wallaroo, pandas
wl = wallaroo.Client()
print("version", wallaroo.__version__)
print("arguments", wl.in_task(), wl.task_args())
print("workspace", [found.name() for found in wl.list_workspaces()], wl.get_current_workspace().name())
print("model", [found.name() for found in wl.list_models()])
"""


def test_it_finds_its_token_its_arguments_and_its_workspace(tmp_path: Path) -> None:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("main.py", MAIN)
        archive.writestr("requirements.txt", f"wallaroo=={NEW}\n")
    with served(tmp_path) as url, httpx.Client(base_url=url, timeout=60, trust_env=False) as http:

        def post(route: str, **body: object) -> dict[str, object]:
            answer = http.post(f"/v1/api/{route}", json=body)
            assert answer.is_success, answer.text
            found: dict[str, object] = answer.json()
            return found

        workspace = post("workspaces/create", workspace_name="lab")["workspace_id"]
        _upload(http, "models/upload", workspace, model_bytes(3), "houses.onnx")
        orchestration = _upload(http, "orchestration/upload", workspace, data.getvalue(), "code.zip")["id"]
        _until(lambda: str(post("orchestration/get_by_id", id=orchestration)["status"]) == "ready", 600)
        order = {"orch_id": orchestration, "workspace_id": workspace, "name": "job", "json": {"dogs": 3.9}}
        task = post("task/run_once", **order)["id"]
        _until(lambda: bool(_ended(http, task)), 120)
        lines = post("task/get_logs_for_run", id=_ended(http, task)[0]["run_id"])["logs"]
    assert isinstance(lines, list)
    said = [line.partition(" F ")[2] for line in lines]
    assert said == [
        f"version {NEW}",
        "arguments True {'dogs': 3.9}",
        "workspace ['lab'] lab",
        "model ['houses']",
    ]


def _upload(http: httpx.Client, route: str, workspace: object, data: bytes, name: str) -> dict[str, str]:
    metadata = f'{{"workspace_id": {workspace}, "name": "houses"}}'.encode()
    files = {"metadata": ("metadata", metadata), "file": (name, data)}
    answer = http.post(f"/v1/api/{route}", files=files)
    assert answer.is_success, answer.text
    found: dict[str, str] = answer.json()
    return found


def _ended(http: httpx.Client, task: object) -> list[dict[str, str]]:
    runs = http.post("/v1/api/task/list_task_runs", json={"task_id": task}).json()
    return [run for run in runs if run["status"] != "running"]


def _until(condition: object, seconds: float) -> None:
    import time

    limit = time.monotonic() + seconds
    assert callable(condition)
    while not condition():
        assert time.monotonic() < limit, f"it did not come within {seconds} s"
        time.sleep(0.3)
