"""The platform's face by hand: the requests of tutorial 003 as `curl` sends them, and every call of our own client."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.engine_samples import bundle, until
from tests.integration.mlops_face import Platform, platform_on
from tests.sdk.environments import ROOT, path_of
from tests.sdk.samples import files
from tests.sdk.versions import OURS

RUN = {"run_id", "status", "created_at"}
ORCHESTRATION = {"id", "workspace_id", "sha", "name", "file_name", "task_id", "owner_id", "status"}
TASK = {
    "name",
    "id",
    "image",
    "workspace_id",
    "status",
    "input_data",
    "killed",
    "created_at",
    "updated_at",
    "last_runs",
}


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    with platform_on(tmp_path / "state") as found:
        yield found


def curl(url: str, *words: str, status: int = 200) -> Any:
    """What a request answers, which has this status."""
    program = shutil.which("curl")
    if program is None:
        pytest.skip("there is no curl on this machine")
    line = [program, "--silent", "--show-error", "--noproxy", "*", "--write-out", "\n%{http_code}", *words, url]
    done = subprocess.run(line, capture_output=True, text=True, check=True)
    body, _, code = done.stdout.rpartition("\n")
    assert int(code) == status, done.stdout
    return json.loads(body)


def sent(url: str, body: dict[str, Any], status: int = 200) -> Any:
    return curl(url, "--header", "Content-Type: application/json", "--data", json.dumps(body), status=status)


def test_the_requests_of_the_api_tutorial(platform: Platform, tmp_path: Path) -> None:
    api = f"{platform.url}/v1/api"
    (tmp_path / "code.zip").write_bytes(bundle("print('hello')"))
    workspace = platform.workspace()
    metadata = json.dumps({"workspace_id": workspace, "name": "apiorchestrationsample"})
    parts = [
        "--form", f"file=@{tmp_path}/code.zip;type=application/octet-stream",
        "--form", f"metadata={metadata};type=application/json",
    ]  # fmt: skip
    made = curl(f"{api}/orchestration/upload", *parts, status=202)["id"]
    (listed,) = sent(f"{api}/orchestration/list", {"workspace_id": workspace})
    assert listed["id"] == made and set(listed) >= ORCHESTRATION
    until(lambda: sent(f"{api}/orchestration/get_by_id", {"id": made})["status"] == "ready", "the packaging")
    order = {"workspace_id": workspace, "orch_id": made, "json": {}}
    once = sent(f"{api}/task/run_once", {**order, "name": "api run once task"}, 201)["id"]
    until(lambda: sent(f"{api}/task/get_by_id", {"id": once})["status"] == "started", "the start")
    platform.ended(once)
    found = sent(f"{api}/task/get_by_id", {"id": once})
    assert set(found) >= TASK and found["name"] == "api run once task" and set(found["last_runs"][0]) >= RUN
    scheduled = sent(f"{api}/task/run_scheduled", {**order, "name": "s", "schedule": "*/5 * * * *"}, 201)["id"]
    assert sent(f"{api}/task/get_by_id", {"id": scheduled})["schedule"] == "*/5 * * * *"
    killed = sent(f"{api}/task/kill", {"id": scheduled}, 202)
    assert (killed["id"], killed["status"]) == (scheduled, "pending_kill")


def test_every_call_of_our_client_under_its_public_name(platform: Platform, tmp_path: Path) -> None:
    files(tmp_path / "files")
    environment = {"PATH": os.defpath, "HOME": str(tmp_path), "PYTHONPATH": path_of(OURS)}
    words = [sys.executable, "-m", "tests.sdk.every_call", platform.url, str(tmp_path / "files")]
    done = subprocess.run(words, env=environment, cwd=ROOT, capture_output=True, text=True, check=True)
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"call"')]
    assert len(lines) > 70 and not [line for line in lines if line["wrong"]]
