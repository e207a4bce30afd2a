"""A small platform for the tests of the SDK: a real HTTP server that answers its routes from memory."""

from __future__ import annotations

import io
import json
import re
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pyarrow as pa

from specrunner.sdk.tables import arrow_file

ARROW = "application/vnd.apache.arrow.file"
CREATED = "2023-05-17T17:40:11.391198+00:00"


class Problem(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Platform:
    """The state, and one method per route. `seen` are the calls: (path, query, body, headers)."""

    def __init__(self) -> None:
        self.workspaces: list[dict[str, Any]] = []
        self.connections: dict[str, dict[str, Any]] = {}
        self.models: dict[int, dict[str, Any]] = {}
        self.pipelines: dict[int, dict[str, Any]] = {}
        self.reports: list[dict[str, Any]] = []
        self.log_pages: list[tuple[pa.Table, str, dict[str, int] | None]] = []
        self.seen: list[tuple[str, list[tuple[str, str]], Any, dict[str, str]]] = []
        self.files: dict[str, bytes] = {}
        self.connected = 0

    def bodies(self, route: str) -> list[Any]:
        """The bodies that were sent to `route`."""
        return [body for path, _, body, _ in self.seen if path.removeprefix("/v1/api/") == route]

    def answer(
        self, path: str, content: bytes, query: list[tuple[str, str]], headers: dict[str, str]
    ) -> tuple[int, bytes]:
        """Status and body for one request."""
        kind = headers.get("content-type", "")
        body = json.loads(content) if kind == "application/json" else content
        self.seen.append((path, query, body, headers))
        if path.startswith("/v1/api/pipelines/infer/"):
            return 200, self.infer(path, content, kind)
        if path.startswith("/v1/logs/topic/"):
            return 200, self.records(body)
        if path == "/v1/api/models/upload":
            return 200, json.dumps(self.upload(content, kind)).encode()
        method = getattr(self, path.removeprefix("/v1/api/").replace("/", "_"))
        made = method(body)
        return (204, b"") if made is None else (200, json.dumps(made).encode())

    def _v1_graphql(self, _: Any) -> Any:
        """The one query that there is: which workspace each user begins in; nobody has one."""
        return {"data": {"user_default_workspace": []}}

    def workspaces_list(self, _: Any) -> Any:
        return {"workspaces": self.workspaces}

    def workspaces_create(self, body: Any) -> Any:
        number = len(self.workspaces) + 1
        row = {"id": number, "name": body["workspace_name"], "created_at": CREATED, "created_by": "jane"}
        self.workspaces.append({**row, "archived": False, "models": [], "pipelines": []})
        return {"workspace_id": number}

    def connections_create(self, body: Any) -> Any:
        if body["name"] in self.connections:
            raise Problem(409, "exists")
        row = {**body, "id": str(uuid.uuid4()), "created_at": CREATED, "workspace_names": []}
        self.connections[body["name"]] = row
        return {"id": row["id"]}

    def connections_get(self, body: Any) -> Any:
        if body["name"] not in self.connections:
            raise Problem(404, "no such connection")
        return self.connections[body["name"]]

    def connections_get_by_id(self, body: Any) -> Any:
        return next(row for row in self.connections.values() if row["id"] == body["id"])

    def connections_list(self, body: Any) -> Any:
        names = {row["name"] for row in self.workspaces if row["id"] == body.get("workspace_id")}
        rows = [row for row in self.connections.values() if not body or names & set(row["workspace_names"])]
        return {"connections": [{**row, "details": None} for row in rows]}

    def connections_add_to_workspace(self, body: Any) -> Any:
        row = self.connections_get_by_id({"id": body["connection_id"]})
        row["workspace_names"].append(self.workspaces[body["workspace_id"] - 1]["name"])
        return {"id": row["id"]}

    def connections_remove_from_workspace(self, body: Any) -> None:
        self.connections_get_by_id({"id": body["connection_id"]})["workspace_names"].clear()

    def connections_delete(self, body: Any) -> None:
        del self.connections[body["name"]]

    def upload(self, content: bytes, kind: str) -> Any:
        boundary = kind.partition("boundary=")[2].encode()
        metadata, file = (part.partition(b"\r\n\r\n") for part in content.split(b"--" + boundary)[1:3])
        told = json.loads(metadata[2])
        if not file[2].removesuffix(b"\r\n"):
            raise Problem(400, "an empty file is no model")
        number = len(self.models) + 1
        name = re.search(rb'filename="([^"]*)"', file[0])
        assert name is not None
        info = {"version": str(uuid.uuid4()), "sha": "ab" * 32, "file_name": name[1].decode(), "size": len(file[2]) - 2}
        self.models[number] = {"id": number, "name": told["name"], "status": "ready", "file_info": info, "told": told}
        return {"insert_models": {"returning": [{"models": [{"id": number}]}]}}

    def models_get_version_by_id(self, body: Any) -> Any:
        return {"model_version": {"model_version": self.models[body["model_version_id"]], "config": {"id": 1}}}

    def models_insert_model_config(self, body: Any) -> Any:
        return {"model_config": {"id": 1, "runtime": "onnx", "model_version_id": body["model_version_id"]}}

    def pipelines_create(self, body: Any) -> Any:
        row = next((row for row in self.pipelines.values() if row["pipeline"]["name"] == body["pipeline_id"]), None)
        if row is None:
            row = self._new_pipeline(body)
        version = {"id": 100 + len(self.seen), "version": str(uuid.uuid4()), "definition": body["definition"]}
        row["pipeline_versions"].insert(0, {"id": version["id"], "version": version["version"]})
        row["pipeline_version"] = version if body["definition"] else row["pipeline_version"]
        return {
            "pipeline_pk_id": row["pipeline"]["id"],
            "pipeline_variant_pk_id": version["id"],
            "pipeline_variant_version": version["version"],
        }

    def _new_pipeline(self, body: Any) -> dict[str, Any]:
        number = len(self.pipelines) + 1
        created = CREATED.replace("11.391198", f"{10 + number}.0")
        row: dict[str, Any] = {
            "pipeline": {"id": number, "name": body["pipeline_id"], "created_at": created, "updated_at": CREATED},
            "plateau_topic": "t",
            "workspace": {"id": body["workspace_id"], "name": "w", "archived": False, "created_at": CREATED},
            "deployment": None,
            "pipeline_version": None,
            "pipeline_versions": [],
        }
        self.pipelines[number] = row
        return row

    def pipelines_list_pipelines(self, body: Any) -> Any:
        wanted = body["workspace_id"]
        rows = [row for row in self.pipelines.values() if wanted in {None, row["workspace"]["id"]}]
        return {"pipelines": rows}

    def pipelines_get_pipeline_by_name(self, body: Any) -> Any:
        for row in self.pipelines.values():
            if (row["pipeline"]["name"], row["workspace"]["id"]) == (body["pipeline_name"], body["workspace_id"]):
                return row
        raise Problem(404, "no such pipeline")

    def pipelines_deploy(self, body: Any) -> Any:
        for number, row in self.pipelines.items():
            if row["pipeline_version"] and row["pipeline_version"]["id"] == body["pipeline_version_pk_id"]:
                row["deployment"] = {"id": number, "deploy_id": body["deploy_id"], "deployed": True}
                return {"id": number}
        raise Problem(400, "this version has no steps")

    def pipelines_undeploy(self, body: Any) -> Any:
        self.pipelines[body["deployment_id"]]["deployment"]["deployed"] = False
        return {}

    def status_get_deployment(self, body: Any) -> Any:
        if self.reports:
            return self.reports.pop(0)
        self._deployed(body["name"])
        return {"status": "Running", "details": [], "engines": [], "engine_lbs": [], "sidekicks": []}

    def _deployed(self, name: str) -> None:
        for row in self.pipelines.values():
            found = row["deployment"]
            if found and found["deployed"] and f"{found['deploy_id']}-{found['id']}" == name:
                return
        raise Problem(404, f"{name} is not deployed")

    def infer(self, path: str, content: bytes, kind: str) -> bytes:
        self._deployed(unquote(path.split("/")[5]))
        if kind != ARROW:
            return json.dumps([{"echo": json.loads(content)}]).encode()
        table = pa.ipc.open_file(io.BytesIO(content)).read_all()
        rows = table.num_rows
        if "tensor" not in table.column_names:
            raise Problem(400, "expected a column tensor")
        columns = {
            "time": pa.array([1684345240126] * rows, pa.int64()),
            "in.tensor": table.column("tensor"),
            "out.variable": pa.array([[718013.75]] * rows, pa.list_(pa.float32())),
            "check_failures": pa.array([[]] * rows, pa.list_(pa.string())),
        }
        return bytes(arrow_file(pa.table(columns)))

    def plateau_get_topic_name(self, body: Any) -> Any:
        return {"topic_name": f"workspace-1-pipeline-{body['pipeline_pk_id']}-inference"}

    def records(self, body: Any) -> bytes:
        table, status, following = self.log_pages[body.get("page", 0)]
        told = json.dumps({"status": status, "next": following})
        return bytes(arrow_file(table.replace_schema_metadata({"status": told})))


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    platform: Platform


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.server.platform.connected += 1

    def do_GET(self) -> None:
        self._reply(200, self.server.platform.files[self.path])

    def do_POST(self) -> None:
        url = urlsplit(self.path)
        content = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {key.lower(): value for key, value in self.headers.items()}
        try:
            reply = self.server.platform.answer(url.path, content, parse_qsl(url.query), headers)
        except Problem as fault:
            told = {"code": fault.status, "msg": str(fault), "status": "Error", "error": str(fault), "source": "engine"}
            reply = (fault.status, json.dumps(told).encode())
        self._reply(*reply)

    def _reply(self, status: int, content: bytes) -> None:
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving(platform: Platform) -> Iterator[str]:
    """Serve `platform` on a free port and give the base URL."""
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.platform = platform
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join(10)
