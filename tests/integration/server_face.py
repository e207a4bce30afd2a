"""The HTTP face on loopback, as a run in the workspace `lab` calls it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa

from specrunner.engine.engine import Engine
from specrunner.engine.records import PipelineVersion, Run, Workspace
from specrunner.engine.tables import Media
from specrunner.server.host import LoopbackApi
from tests.integration.engine_samples import add_pipeline, add_task, engine_on, model_bytes

ERROR_KEYS = {"code", "msg", "status", "error", "source"}
ARROW = Media.ARROW_FILE


@dataclass
class Face:
    """The application as a run in the workspace `lab` calls it; `hidden` is a workspace that it may not see."""

    engine: Engine
    http: httpx.Client
    anybody: httpx.Client
    run: Run
    lab: Workspace
    hidden: Workspace

    def post(self, route: str, status: int = 200, **body: Any) -> Any:
        """The JSON answer to `POST /v1/api/<route>`, which has this status and, if it is an error, the one shape."""
        answer = self.http.post(f"/v1/api/{route}", json=body)
        assert answer.status_code == status, answer.text
        found = answer.json()
        if status >= 400:
            check_error(found, status)
        return found

    def refused(self, answer: Any, *statuses: int) -> str:
        assert answer.status_code in statuses, answer.text
        check_error(answer.json(), answer.status_code)
        return str(answer.json()["msg"])

    def infer(self, deployment: int, content: bytes, media: str = ARROW, name: str = "prices", **extra: Any) -> Any:
        headers = {"Content-Type": media, **extra.pop("headers", {})}
        return self.http.post(
            f"/v1/api/pipelines/infer/{name}-{deployment}/{name}", content=content, headers=headers, **extra
        )

    def deployed(self, holder: str = "") -> tuple[PipelineVersion, int]:
        """A deployed pipeline `prices` of `lab`."""
        version = add_pipeline(self.engine, self.lab)
        holder = holder or self.engine.holder_of_run(self.run.id)
        return version, self.engine.planes.deploy(version.pipeline_id, version.id, holder).id


def check_error(body: Any, status: int) -> None:
    assert set(body) == ERROR_KEYS and body["code"] == status
    assert body["msg"] == body["error"] and "Traceback" not in body["msg"] and body["msg"].strip()


@contextmanager
def opened(folder: Path) -> Iterator[Face]:
    with engine_on(folder) as engine:
        hidden = engine.workspaces.ensure("hidden")
        run = engine.runs.submit(add_task(engine, ""))
        api = LoopbackApi(engine)
        token = {"Authorization": f"Bearer {engine.runs.token(run.id)}"}
        try:
            url = api.address()
            with (
                httpx.Client(base_url=url, headers=token, trust_env=False, timeout=30) as http,
                httpx.Client(base_url=url, trust_env=False, timeout=30) as anybody,
            ):
                yield Face(engine, http, anybody, run, engine.workspaces.named("lab"), hidden)
        finally:
            api.close()


def arrow_of(content: bytes) -> pa.Table:
    return pa.ipc.open_file(pa.py_buffer(content)).read_all()


def upload(face: Face, data: bytes = b"", *, as_file: bool = False, **metadata: Any) -> Any:
    text = json.dumps({"name": "houses", "workspace_id": face.lab.id, **metadata})
    part = ("metadata.json", text, "application/json") if as_file else (None, text, "application/json")
    files = {"metadata": part, "file": ("house price.onnx", data or model_bytes(), "application/octet-stream")}
    return face.http.post("/v1/api/models/upload", files=files)
