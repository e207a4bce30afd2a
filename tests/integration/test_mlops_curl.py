"""The guide for who comes from the platform: its requests, its notebook and specs; and every call of our own client."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from specrunner.cli.main import status_of
from specrunner.core.keys import Key, Kind
from specrunner.targets.local.target import LocalTarget
from specrunner.targets.wallaroo.capabilities import _METADATA, _SILENT
from tests.acceptance.spec_repo import CHECKOUT, PROJECT, SpecRepo
from tests.integration.engine_samples import bundle, model_bytes, until
from tests.integration.mlops_face import Platform, platform_on
from tests.sdk.environments import ROOT, path_of
from tests.sdk.samples import files
from tests.sdk.versions import OURS

GUIDE = CHECKOUT / "docs" / "coming-from-wallaroo.md"
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


@dataclass
class Terminal:
    """The lines of the guide, sent as a person does who copies them into a shell."""

    platform: Platform
    folder: Path
    variables: dict[str, str]

    def send(self, route: str, status: int) -> Any:
        """What the line for a route answers, which has this status."""
        (line,) = [one for one in curl_lines() if one.endswith(f'"$URL/v1/api/{route}"')]
        environ = {"PATH": os.environ["PATH"], "NO_PROXY": "*", "URL": self.platform.url, **self.variables}
        words = ["bash", "-euc", f"{line} --write-out '\\n%{{http_code}}'"]
        done = subprocess.run(words, env=environ, cwd=self.folder, capture_output=True, text=True, check=True)
        body, _, code = done.stdout.rpartition("\n")
        assert int(code) == status, done.stdout
        return json.loads(body)


def curl_lines() -> list[str]:
    """The requests of the guide, each as it stands there."""
    if shutil.which("curl") is None:
        pytest.skip("there is no curl on this machine")
    _, _, section = GUIDE.read_text("utf-8").partition("\n## By HTTP\n")
    found = re.search(r"```bash\n(.*?)```", section, re.DOTALL)
    assert found is not None
    return [one.strip() for one in found[1].split("\n\n")]


def test_the_requests_of_the_guide_are_answered_with_the_documented_fields(platform: Platform, tmp_path: Path) -> None:
    (tmp_path / "code.zip").write_bytes(bundle("print('hello')"))
    given = {"TOKEN": "", "WORKSPACE": str(platform.workspace()), "ORCHESTRATION": "", "TASK": ""}
    terminal = Terminal(platform, tmp_path, given)
    made = given["ORCHESTRATION"] = terminal.send("orchestration/upload", 202)["id"]
    (listed,) = terminal.send("orchestration/list", 200)
    assert listed["id"] == made and set(listed) >= ORCHESTRATION and listed["name"] == "apiorchestrationsample"
    assert listed["sha"] == hashlib.sha256((tmp_path / "code.zip").read_bytes()).hexdigest()
    until(lambda: terminal.send("orchestration/get_by_id", 200)["status"] == "ready", "the packaging")
    once = given["TASK"] = terminal.send("task/run_once", 201)["id"]
    until(lambda: terminal.send("task/get_by_id", 200)["status"] == "started", "the start")
    platform.ended(once)
    found = terminal.send("task/get_by_id", 200)
    assert set(found) >= TASK and found["name"] == "api run once task" and set(found["last_runs"][0]) >= RUN
    scheduled = given["TASK"] = terminal.send("task/run_scheduled", 201)["id"]
    assert terminal.send("task/get_by_id", 200)["schedule"] == "*/5 * * * *"
    for _ in range(2):
        killed = terminal.send("task/kill", 202)
        assert (killed["id"], killed["status"]) == (scheduled, "pending_kill")


def block(language: str) -> str:
    """The first block of the guide in this language."""
    found = re.search(rf"```{language}\nimport wallaroo\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)
    found = found or re.search(rf"```{language}\n(apiVersion: .*?)```", GUIDE.read_text("utf-8"), re.DOTALL)
    assert found is not None
    return f"import wallaroo\n{found[1]}" if language == "python" else found[1]


def test_the_notebook_and_the_specs_of_the_guide_make_the_same(platform: Platform, tmp_path: Path) -> None:
    main = "print('scored')\n"
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "house_price.onnx").write_bytes(model_bytes())
    (tmp_path / "score.zip").write_bytes(bundle(main))
    environment = {"PATH": os.defpath, "HOME": str(tmp_path), "PYTHONPATH": path_of(OURS)}
    environment["SPECRUNNER_URL"] = platform.url
    words = [sys.executable, "-c", block("python")]
    subprocess.run(words, env=environment, cwd=tmp_path, capture_output=True, text=True, check=True)
    (task,) = [one for one in platform.engine.tasks.all() if one.name == "score now"]
    assert platform.ended(task.id)["status"] == "success"
    repo = SpecRepo(tmp_path)
    repo.write("specrunner.yaml", PROJECT)
    repo.write("all.yaml", block("yaml"))
    repo.write("score/main.py", main)
    repo.write("score/requirements.txt", "")
    with redirect_stdout(StringIO()) as out:
        assert status_of(["-C", str(tmp_path), "plan", "--json"]) == 0
    planned = {step["key"] for step in json.loads(out.getvalue())["steps"]}
    live = set(LocalTarget(platform.engine).read())
    assert {Key.parse(key) for key in planned} <= live
    mine = {key for key in live if key.workspace == "lab" and key.kind is not Kind.WORKSPACE}
    assert {str(key) for key in mine} <= planned | {"Orchestration/lab/score"}


@pytest.mark.parametrize("kind", list(_SILENT))
def test_what_a_platform_has_no_words_for_stands_in_the_guide(kind: Kind) -> None:
    _, _, section = GUIDE.read_text("utf-8").partition("These fields have no words there.")
    told = "\n".join(line for line in section.splitlines() if line.startswith((f"| {kind} |", "| every kind |")))
    for path in [f"spec.{path}" for path in _SILENT[kind]] + [f"metadata.{name}" for name in _METADATA]:
        assert f"`{path}`" in told, path


def test_every_call_of_our_client_under_its_public_name(platform: Platform, tmp_path: Path) -> None:
    files(tmp_path / "files")
    environment = {"PATH": os.defpath, "HOME": str(tmp_path), "PYTHONPATH": path_of(OURS)}
    words = [sys.executable, "-m", "tests.sdk.every_call", platform.url, str(tmp_path / "files")]
    done = subprocess.run(words, env=environment, cwd=ROOT, capture_output=True, text=True, check=True)
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"call"')]
    assert len(lines) > 70 and not [line for line in lines if line["wrong"]]
