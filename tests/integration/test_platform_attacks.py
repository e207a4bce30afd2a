"""What somebody who means harm sends to the platform's face: refused within limits, and the next is answered."""

from __future__ import annotations

import io
import json
import socket
import threading
import time
import urllib.parse
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.applications import Starlette

from specrunner.core.values import Secret
from specrunner.server import bodies, webhook
from specrunner.server.listening import Listener
from specrunner.server.mlops import graphql, models, orchestrations
from tests.integration.engine_samples import bundle, until
from tests.integration.mlops_face import Platform, platform_on

PROTOCOL = "/auth/realms/master/protocol/openid-connect"
BOUNDARY = "multipart/form-data; boundary=b"
# Every way in which bytes come, with what they say they are.
WAYS = {
    "/v1/api/workspaces/list": "application/json",
    "/v1/graphql": "application/json",
    "/v1/api/models/upload": BOUNDARY,
    "/v1/api/models/upload_stream?name=m&filename=m.onnx&workspace_id=1": "application/octet-stream",
    "/v1/api/orchestration/upload": BOUNDARY,
    "/v1/logs/topic/workspace-1-pipeline-p-inference/records": "application/json",
    f"{PROTOCOL}/token": "application/x-www-form-urlencoded",
    "/auth/realms/master/device": "application/x-www-form-urlencoded",
}


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with platform_on(tmp_path_factory.mktemp("attacked") / "state") as found:
        found.workspace()
        yield found


@pytest.fixture(autouse=True)
def alive(platform: Platform) -> Iterator[None]:
    """Whatever was sent: the next who asks is answered."""
    yield
    assert platform.post("workspaces/list")["workspaces"]


@pytest.mark.parametrize("path", WAYS)
def test_a_body_that_stops_coming_is_cut_off(platform: Platform, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "IDLE", 0.2)
    done = threading.Event()

    def dripping() -> Iterator[bytes]:
        yield b"--b\r\n" if WAYS[path] == BOUNDARY else b"{"
        done.wait(1)
        yield b"}"

    answer = platform.http.post(path, content=dripping(), headers={"Content-Type": WAYS[path]})
    done.set()
    assert answer.status_code == 408, answer.text


@pytest.mark.parametrize("path", WAYS)
def test_a_body_over_its_limit_is_refused(platform: Platform, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "MAX_MODEL_BYTES", 1000)
    monkeypatch.setattr(orchestrations, "MAX_BUNDLE_BYTES", 1000)
    monkeypatch.setattr(graphql, "MAX_QUERY_BYTES", 1000)
    content = b"x" * (17 * 2**20 if WAYS[path] == "application/json" else 2**17)
    answer = platform.http.post(path, content=content, headers={"Content-Type": WAYS[path]})
    assert answer.status_code == 413 and "over" in answer.json()["msg"], answer.text


def test_the_webhook_has_the_same_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    import httpx

    monkeypatch.setattr(bodies, "IDLE", 0.2)
    monkeypatch.setattr(webhook, "_LARGEST", 1000)
    called: list[int] = []
    listener = Listener("127.0.0.1", 0)
    listener.start(Starlette(routes=[webhook.webhook_route(Secret("s"), lambda: called.append(1))]))

    def dripping() -> Iterator[bytes]:
        yield b"{"
        time.sleep(0.6)
        yield b"}"

    try:
        url = f"http://127.0.0.1:{listener.port}{webhook.PATH}"
        assert httpx.post(url, content=dripping(), trust_env=False).status_code == 408
        assert httpx.post(url, content=b"x" * 1001, trust_env=False).status_code == 413
        assert httpx.post(url, content=b"{}", trust_env=False).status_code == 401
    finally:
        listener.close()
    assert not called


@pytest.mark.parametrize("path", ["/v1/api/models/upload", "/v1/api/orchestration/upload", f"{PROTOCOL}/token"])
def test_a_form_of_very_many_parts_is_refused(platform: Platform, path: str) -> None:
    for disposition in ('name="f{}"', 'name="f{0}"; filename="{0}"'):
        part = "--b\r\nContent-Disposition: form-data; " + disposition + "\r\n\r\nx\r\n"
        content = "".join(part.format(number) for number in range(3000)) + "--b--\r\n"
        answer = platform.http.post(path, content=content.encode(), headers={"Content-Type": BOUNDARY})
        assert 400 <= answer.status_code < 500, answer.text


def bombs() -> dict[str, bytes]:
    """Archives that must not be unpacked, by what is wrong with them."""
    made: dict[str, bytes] = {}
    for name, entry in {
        "a-path-upwards": "../../outside.py",
        "an-absolute-path": "/tmp/outside.py",
        "a-windows-path": "..\\..\\outside.py",
    }.items():
        made[name] = _zipped({"main.py": b"", entry: b"x"})
    made["a-bomb"] = _zipped({"main.py": b"", "zeros": b"\0" * (300 * 2**20)})
    made["no-archive"] = b"PK\x03\x04 but no archive"
    link = zipfile.ZipInfo("main.py")
    link.external_attr = 0o120777 << 16
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr(link, "/etc/passwd")
    made["a-link"] = target.getvalue()
    return made


def _zipped(entries: dict[str, bytes]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            archive.writestr(zipfile.ZipInfo(name) if "\\" in name else name, data)
    return target.getvalue()


def test_an_archive_that_must_not_be_unpacked_ends_as_an_error_with_its_reason(platform: Platform) -> None:
    workspace = int(platform.post("workspaces/list")["workspaces"][0]["id"])
    uploaded = {name: platform.upload(workspace, data, name) for name, data in bombs().items()}
    for name, identity in uploaded.items():

        def told(identity: str = identity) -> Any:
            return platform.post("orchestration/get_by_id", id=identity)

        until(lambda told=told: told()["status"] == "error", name)  # type: ignore[misc]
        assert platform.engine.orchestrations.get(identity).error, name
    assert not list(platform.engine.folder.parent.rglob("outside.py"))


@pytest.mark.parametrize("name", ['a"\r\nSet-Cookie: x=y', "../../state.db", "a\0b", "x" * 5000, "\u202egpj.zip"])
def test_a_file_name_is_no_path_and_no_header(platform: Platform, name: str) -> None:
    workspace = int(platform.post("workspaces/list")["workspaces"][0]["id"])
    metadata = json.dumps({"workspace_id": workspace, "name": "named"})
    for route in ("models/upload", "orchestration/upload"):
        files: Any = {"metadata": (None, metadata, "application/json"), "file": (name, bundle("print(1)"))}
        answer = platform.http.post(f"/v1/api/{route}", files=files)
        assert answer.status_code in {200, 202, 400}, answer.text
        assert "set-cookie" not in answer.headers
    kept = [one.file_name for one in platform.engine.orchestrations.all()]
    assert not [one for one in kept if "/" in one or "\n" in one or "\0" in one]


@pytest.mark.parametrize("path", ["../state.db", "..%2f..%2fstate.db", "%2e%2e/%2e%2e/key", "a%00b", "a%0d%0aX: y"])
def test_a_path_leads_nowhere_else(platform: Platform, path: str) -> None:
    target = urllib.parse.urlsplit(platform.url)
    for method, route in (
        ("POST", f"/v1/logs/topic/{path}/records"),
        ("POST", f"/v1/api/pipelines/infer/{path}/{path}"),
        ("GET", f"/v2/models/{path}"),
        ("GET", f"/auth/admin/realms/master/users/{path}"),
        ("GET", f"/{path}"),
    ):
        with socket.create_connection((target.hostname or "", target.port or 0), 20) as raw:
            head = f"{method} {route} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            raw.sendall(head.encode())
            answer = b"".join(iter(lambda raw=raw: raw.recv(65536), b""))  # type: ignore[misc]
        # An unknown user of an open server is this machine's user, whatever id its client has made up.
        known = {b"400", b"404", b"405"} | ({b"200"} if "users/" in route else set())
        assert answer.split(b" ", 2)[1] in known, (route, answer)
        assert b"SQLite format" not in answer and b"\r\nX: y" not in answer


def test_devices_that_nobody_approves_do_not_pile_up(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    from specrunner.server.mlops import login

    monkeypatch.setattr(login, "_MOST", 3)
    answers = [platform.http.post(f"{PROTOCOL}/auth/device", data={"client_id": "x"}) for _ in range(5)]
    assert {answer.status_code for answer in answers[3:]} == {429}
