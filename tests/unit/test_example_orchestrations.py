"""The two programs of the example do what they say, as processes, with the real SDK and the real model.

Only the platform is a stand-in: a small HTTP server that answers the five routes which the programs use.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import onnxruntime as ort
import pyarrow as pa
import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
ROOT = CHECKOUT / "examples" / "specs" / "house-price"
CODE = ROOT / "orchestrations"
ARGUMENTS = {"workspace": "house-price", "pipeline": "house-price", "connection": "houses"}


def infer(content: bytes) -> bytes:
    """What the deployed pipeline answers to an Arrow file."""
    session = ort.InferenceSession(ROOT / "models" / "house_price.onnx", providers=["CPUExecutionProvider"])
    tensor = pa.ipc.open_file(content).read_all()["tensor"].combine_chunks()
    rows = np.asarray(tensor.flatten()).reshape(len(tensor), 18)
    (prices,) = session.run(["variable"], {"float_input": rows})
    table = pa.table({"in.tensor": tensor, "out.variable": pa.array(prices.tolist(), pa.list_(pa.float32()))})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue().to_pybytes())


class Platform(BaseHTTPRequestHandler):
    """One workspace, one connection and one deployed pipeline; it also serves the example's `data/`."""

    data_file = "houses-1k.arrow"

    def do_GET(self) -> None:
        path = ROOT / "data" / self.path.strip("/")
        self.reply(path.read_bytes() if path.is_file() else None)

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        route = urlsplit(self.path).path.removeprefix("/v1/api/")
        if route == "pipelines/infer/house-price-5/house-price":
            self.reply(infer(content))
        else:
            answer = self.answer(route, json.loads(content))
            self.reply(None if answer is None else json.dumps(answer).encode())

    def answer(self, route: str, asked: dict[str, Any]) -> dict[str, Any] | None:
        workspace = {"id": 3, "name": "house-price", "archived": False, "created_at": "2024-05-01T10:00:00+00:00"}
        if route == "workspaces/list":
            return {"workspaces": [workspace]}
        if route == "connections/get" and asked == {"name": "houses"}:
            details = {"host": f"http://{self.headers['Host']}/{self.data_file}"}
            return {"id": "c", "name": "houses", "type": "HTTPFILE", "details": details}
        if route == "pipelines/list_pipelines":
            return {"pipelines": [self.pipeline(workspace)]}
        return None

    def pipeline(self, workspace: dict[str, Any]) -> dict[str, Any]:
        times = {"created_at": workspace["created_at"], "updated_at": workspace["created_at"]}
        return {
            "pipeline": {"id": 4, "name": "house-price", **times},
            "plateau_topic": "topic",
            "workspace": workspace,
            "deployment": {"id": 5, "deploy_id": "house-price", "deployed": True},
            "pipeline_version": None,
            "pipeline_versions": [],
        }

    def reply(self, content: bytes | None) -> None:
        self.send_response(404 if content is None else 200)
        self.send_header("Content-Length", str(len(content or b"")))
        self.end_headers()
        self.wfile.write(content or b"")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 -- the name is the base class's
        """Write nothing to the terminal."""


@pytest.fixture
def platform() -> Iterator[str]:
    """The address of a stand-in for the platform."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Platform) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def run(folder: str, platform: str, work: Path) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    """Start a program as a run of a task would be, in another folder than its own; its end and its result."""
    arguments, results = work / "arguments.json", work / "results.json"
    arguments.write_text(json.dumps(ARGUMENTS))
    environment = {
        "PATH": os.environ["PATH"],
        "NO_PROXY": "127.0.0.1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": os.pathsep.join([str(CHECKOUT), str(CHECKOUT / "specrunner" / "sdk" / "alias")]),
        "SPECRUNNER_URL": platform,
        "SPECRUNNER_ARGUMENTS": str(arguments),
        "SPECRUNNER_RESULTS": str(results),
    }
    command = [sys.executable, str(CODE / folder / "main.py")]
    ended = subprocess.run(command, env=environment, cwd=work, capture_output=True, text=True, timeout=60, check=False)
    return ended, json.loads(results.read_text()) if results.exists() else {}


def test_the_remote_program_prices_what_it_downloads(platform: str, tmp_path: Path) -> None:
    ended, result = run("remote_inference", platform, tmp_path)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert result["rows"] == 1_000
    assert result["min"] < result["mean"] < result["max"]
    assert len(result["first"]) == 5
    assert "Pipeline house-price priced 1,000 houses." in ended.stdout
    numbers = (result["mean"], result["min"], result["max"], *result["first"])
    assert all(f"{value:,.2f}" in ended.stdout for value in numbers)


def test_the_remote_program_fails_where_the_table_is_missing(
    platform: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Platform, "data_file", "no-such-table.arrow")
    ended, result = run("remote_inference", platform, tmp_path)
    assert ended.returncode == 1
    assert "HTTPError: 404" in ended.stderr.splitlines()[-1]
    assert result == {}


def test_the_bundled_program_finds_its_data_from_any_folder(platform: str, tmp_path: Path) -> None:
    ended, _ = run("bundled_data", platform, tmp_path)
    assert (ended.returncode, ended.stderr) == (0, "")
    first, cheapest, dearest = ended.stdout.splitlines()
    assert first == "Pipeline house-price priced 20 houses."
    low, high = (float(line.split(":")[1].replace(",", "")) for line in (cheapest, dearest))
    assert 100_000 < low < high < 3_000_000


@pytest.mark.parametrize("folder", ["remote_inference", "bundled_data"])
def test_the_requirements_add_nothing_to_the_base_set(folder: str) -> None:
    lines = (CODE / folder / "requirements.txt").read_text().splitlines()
    assert lines
    assert all(line.startswith("#") for line in lines)
