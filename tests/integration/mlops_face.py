"""The platform's face as somebody on this machine calls it, with a host that carries out what is ordered."""

from __future__ import annotations

import io
import json
import os
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from specrunner.engine.clock import SystemClock
from specrunner.engine.engine import Engine
from specrunner.reconcile.lease import this_process
from specrunner.server.host import LoopbackApi, Serving
from tests.integration.engine_samples import bundle, open_engine, until

AGENT = {"User-Agent": "tests/1"}  # one that knows all words


@dataclass
class Platform:
    """An engine and its open API. `http` sends no token."""

    engine: Engine
    http: httpx.Client
    url: str

    def post(self, route: str, status: int = 200, **body: Any) -> Any:
        """What `POST /v1/api/<route>` answers, with this status."""
        answer = self.http.post(f"/v1/api/{route}", json=body)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    def graphql(self, query: str, **variables: Any) -> Any:
        """The data of a query that is answered whole."""
        told = self.ask(query, **variables)
        assert "errors" not in told, told
        return told["data"]

    def ask(self, query: str, **variables: Any) -> Any:
        answer = self.http.post("/v1/graphql", json={"query": query, "variables": variables})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def workspace(self, name: str = "lab") -> int:
        return int(self.post("workspaces/create", workspace_name=name)["workspace_id"])

    def upload(self, workspace: int, data: bytes, name: str | None = "hello", *, as_file: bool = False) -> str:
        text = json.dumps({"workspace_id": workspace, "name": name})
        part = ("metadata" if as_file else None, text.encode(), "application/json")
        files = {"file": ("hello.zip", data, "application/octet-stream"), "metadata": part}
        answer = self.http.post("/v1/api/orchestration/upload", files=files)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def ready(self, workspace: int, code: str) -> str:
        """An orchestration that is ready."""
        found = self.upload(workspace, bundle(code))
        until(lambda: self.post("orchestration/get_by_id", id=found)["status"] == "ready", "the packaging")
        return found

    def once(self, orchestration: str, workspace: int, name: str | None = "job", **body: Any) -> str:
        sent = {"orch_id": orchestration, "workspace_id": workspace, "name": name, "json": {}, **body}
        return str(self.post("task/run_once", 201, **sent)["id"])

    def runs(self, task: str, **body: Any) -> list[dict[str, Any]]:
        answer = self.http.post("/v1/api/task/list_task_runs", json={"task_id": task, **body})
        assert answer.status_code == 200, answer.text
        return list(answer.json())

    def ended(self, task: str) -> dict[str, Any]:
        """The newest run of a task once it has ended."""
        until(lambda: [run for run in self.runs(task) if run["status"] != "running"], "the end")
        return self.runs(task)[0]


def zipped(**files: str) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, text in files.items():
            archive.writestr(name.replace("__", "/"), text)
    return target.getvalue()


@contextmanager
def platform_on(folder: Path) -> Iterator[Platform]:
    with open_engine(folder, _open_api) as engine:
        host = engine.host(4)
        ready = threading.Event()
        thread = threading.Thread(target=lambda: host.serve(this_process(SystemClock(), os.environ), ready.set))
        thread.start()
        try:
            assert ready.wait(20)
            url = engine.run_api().address()
            with httpx.Client(base_url=url, trust_env=False, timeout=30, headers=AGENT) as http:
                yield Platform(engine, http, url)
        finally:
            for run in engine.history.active():
                engine.runs.kill(run.id, grace=0.0)
            host.leave()
            thread.join()


def _open_api(engine: Engine) -> LoopbackApi:
    return LoopbackApi(engine, serving=Serving(lambda _run: engine.runs.ring(), lambda: True))
