"""Specrunner's own API: what it refuses, what it repeats, and how it tells what goes on."""

from __future__ import annotations

import hashlib
import json
import socket
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case, GenerationMode

from specrunner.core.access import Scope
from specrunner.server import bodies, listening
from specrunner.server.api import objects
from specrunner.server.api.face import OPERATIONS
from specrunner.server.listening import Listener
from specrunner.targets.wire import events
from specrunner.targets.wire.codec import EVENTS
from tests.conftest import Soak
from tests.integration.engine_samples import FOREVER, add_task, bundle, until
from tests.integration.own_face import PREFIX, OwnFace, own_face

SHA = hashlib.sha256(b"").hexdigest()
TASK = "Task/lab/job-lab"


@pytest.fixture
def face(tmp_path: Path) -> Iterator[OwnFace]:
    with own_face(tmp_path / "state") as found:
        yield found


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnFace]:
    with own_face(tmp_path_factory.mktemp("standing") / "state") as found:
        yield found


# What is refused


@pytest.mark.parametrize(
    "sha", ["../../key", "..%2f..%2fkey", "/etc/passwd", "A" * 64, "0" * 63, f"{'0' * 64}\n", f"{'0' * 62}/.", ""]
)
def test_only_a_sha_names_bytes(standing: OwnFace, sha: str) -> None:
    for method in ("GET", "PUT"):
        answer = standing.ask(
            method, f"{PREFIX}/files", "apply", params={"sha": sha}, content=b"" if method == "PUT" else None
        )
        assert answer.status_code == 400 and "sha256" in answer.json()["summary"]


@pytest.mark.parametrize("path", ["../state.db", "..%2f..%2fstate.db", "%2e%2e/%2e%2e/key", "a%00b", "a%0d%0aX: y"])
def test_a_path_leads_nowhere_else(standing: OwnFace, path: str) -> None:
    for route in (f"{PREFIX}/runs/{path}", f"{PREFIX}/runs/{path}/log", f"{PREFIX}/{path}"):
        target = urllib.parse.urlsplit(str(standing.http.base_url))
        with socket.create_connection((target.hostname or "", target.port or 0), 20) as raw:
            head = f"GET {route} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {standing.tokens['admin']}\r\n"
            raw.sendall(f"{head}Connection: close\r\n\r\n".encode())
            answer = b"".join(iter(lambda: raw.recv(65536), b""))
        assert answer.split(b" ", 2)[1] in {b"400", b"404"}, answer
        assert b"SQLite format" not in answer


def test_a_file_name_ends_no_header(face: OwnFace) -> None:
    workspace = face.engine.workspaces.named("lab")
    name = 'a"\r\nSet-Cookie: x=y\r\n\r\n<b>.zip'
    version = face.engine.orchestrations.upload(workspace.id, "strange", name, bundle("print(1)"))
    face.engine.orchestrations.package(version.id)
    answer = face.ask("GET", f"{PREFIX}/stored", "read", params={"key": "Orchestration/lab/strange"})
    assert answer.status_code == 200 and "set-cookie" not in answer.headers
    assert urllib.parse.unquote(answer.headers["content-disposition"].rpartition("''")[2]) == name


def test_a_body_that_is_too_large_is_refused_before_it_is_read(
    standing: OwnFace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects, "MAX_FILE", 1000)
    for content in (b"x" * 1001, iter([b"x" * 600, b"x" * 600])):
        answer = standing.ask("PUT", f"{PREFIX}/files", "apply", params={"sha": SHA}, content=content)
        assert answer.status_code == 413 and "over 1,000 bytes" in answer.json()["summary"]


def test_a_body_that_stops_coming_is_cut_off(standing: OwnFace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "IDLE", 0.2)

    def dripping() -> Iterator[bytes]:
        yield b"{"
        time.sleep(1)
        yield b"}"

    for path in (f"{PREFIX}/fingerprint", "/v1/api/workspaces/list"):
        answer = standing.ask("POST", path, "admin", content=dripping())
        assert answer.status_code == 408, path


def test_the_platform_face_writes_down_who_did_what(face: OwnFace) -> None:
    workspace = face.engine.workspaces.named("lab")
    version = face.engine.orchestrations.named(workspace.id, "code-lab")[0]
    asked = {"name": "once", "orch_id": version.id, "workspace_id": workspace.id, "json": {}}
    assert face.ask("POST", "/v1/api/connections/get", "run", json={"name": "store-lab"}).status_code == 200
    task = face.ask("POST", "/v1/api/task/run_once", "run", json=asked)
    assert task.status_code == 201, task.text
    assert face.ask("POST", "/v1/api/task/kill", "run", json={"id": task.json()["id"]}).status_code == 202
    entries = face.engine.audit.latest(20)
    assert {("details", "store-lab"), ("run", "once"), ("kill", task.json()["id"])} <= {
        (entry.action, entry.subject) for entry in entries
    }
    assert all(entry.who not in {"", "nobody"} for entry in entries)


def test_a_body_that_drips_is_cut_off(standing: OwnFace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "IDLE", 0.3)

    def dripping() -> Iterator[bytes]:
        for _ in range(20):
            yield b" "
            time.sleep(0.05)

    answer = standing.ask("POST", f"{PREFIX}/fingerprint", "admin", content=dripping())
    assert answer.status_code == 408 and "bytes per second" in answer.json()["summary"]


def test_who_does_not_say_what_they_want_is_let_go(standing: OwnFace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "_HEADERS_WITHIN", 0.3)

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body"})

    listener = Listener("127.0.0.2", 0)  # not where runs are answered, so it is guarded
    listener.start(app)
    try:
        with socket.create_connection(("127.0.0.2", listener.port), 20) as slow:
            slow.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ")
            assert slow.recv(1000) == b""
        assert httpx.get(f"http://127.0.0.2:{listener.port}", trust_env=False).status_code == 200
    finally:
        listener.close()


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"X-Forwarded-For": "203.0.113.7"},
        {"Host": ""},
    ],
)
def test_an_open_server_answers_programs_of_this_machine_alone(tmp_path: Path, headers: dict[str, str]) -> None:
    with own_face(tmp_path / "state", is_open=True) as face:
        assert face.ask("GET", f"{PREFIX}/live").status_code == 200
        assert face.ask("GET", f"{PREFIX}/live", headers={"Origin": "http://localhost:8888"}).status_code == 200
        assert face.ask("GET", f"{PREFIX}/live", headers=headers).status_code == 403


def test_what_is_misspelt_is_told(standing: OwnFace) -> None:
    answer = standing.ask("POST", f"{PREFIX}/runs", "run", json={"task": TASK, "arguments": {}})
    assert answer.status_code == 400 and "arguments" in answer.json()["detail"]
    answer = standing.ask("GET", f"{PREFIX}/runs", "read", params={"tsak": "Task/lab/job-lab"})
    assert answer.status_code == 400 and "Known are: task, limit" in answer.json()["detail"]
    answer = standing.ask("GET", f"{PREFIX}/nothing", "read")
    assert answer.status_code == 404 and answer.json()["type"] == "NotFound"
    answer = standing.ask("DELETE", f"{PREFIX}/live", "read")
    assert answer.status_code == 405 and answer.headers["allow"]


# What is repeated


def test_a_run_that_is_asked_for_again_with_its_key_is_the_same_run(face: OwnFace) -> None:
    def ask(key: str, who: str = "run") -> str:
        headers = {"Idempotency-Key": key} if key else {}
        answer = face.ask("POST", f"{PREFIX}/runs", who, json={"task": TASK}, headers=headers)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["id"])

    first = ask("one")
    assert ask("one") == first
    assert len({first, ask("two"), ask(""), ask(""), ask("one", "apply")}) == 5


def test_a_backfill_that_is_asked_for_again_tells_the_same_runs(face: OwnFace) -> None:
    body = {"task": TASK, "begin": "2020-01-01T00:00:00Z", "end": "2022-01-01T00:00:00Z"}
    told = [
        face.ask("POST", f"{PREFIX}/schedule/backfill", "run", json=body, headers={"Idempotency-Key": key}).json()[
            "runs"
        ]
        for key in ("a", "a", "b")
    ]
    assert [len(runs) for runs in told] == [3, 3, 0]
    assert [run["id"] for run in told[0]] == [run["id"] for run in told[1]]


# What goes on


def test_a_log_is_followed_from_where_a_reader_was_cut_off(face: OwnFace) -> None:
    gate = face.engine.folder / "gate"
    code = (
        f"import os, time\nprint('one')\nwhile not os.path.exists({str(gate)!r}):\n    time.sleep(0.01)\nprint('two')"
    )
    task = add_task(face.engine, code, "slow")
    asked = str(task.key)
    run = face.ask("POST", f"{PREFIX}/runs", "run", json={"task": asked}).json()
    path = f"{PREFIX}/runs/{run['id']}/log"
    until(lambda: face.ask("GET", path, "read").json()["lines"], "its first line")
    page = face.ask("GET", path, "read").json()
    assert [line["text"] for line in page["lines"]] == ["one"]
    assert face.ask("GET", path, "read", params={"offset": page["offset"]}).json()["lines"] == []
    first = next(followed(face, path, ""))
    assert first.name == "lines" and b"one" in first.data
    gate.touch()
    rest = list(followed(face, path, first.id))
    assert [event.name for event in rest] == ["lines", "done"] and b"two" in rest[0].data and b"one" not in rest[0].data
    waited = face.ask("GET", f"{PREFIX}/runs/{run['id']}", "read", params={"wait": 20}).json()
    assert (waited["status"], waited["log_tail"]) == ("success", ["one", "two"])


def followed(face: OwnFace, path: str, last: str) -> Iterator[events.Event]:
    headers = {"Authorization": f"Bearer {face.tokens['read']}", "Accept": EVENTS}
    if last:
        headers["Last-Event-ID"] = last
    with face.http.stream("GET", path, params={"follow": "true"}, headers=headers) as answer:
        assert answer.headers["content-type"].startswith(EVENTS)
        yield from events.read(answer.iter_lines())


def test_what_takes_long_tells_what_goes_on(face: OwnFace) -> None:
    data = bundle("print('new')", "nothing")
    sha = hashlib.sha256(data).hexdigest()
    face.ask("PUT", f"{PREFIX}/files", "apply", params={"sha": sha}, content=data)
    key = "Orchestration/lab/new"
    payload = {"sha": sha, "size": len(data), "file_name": "new.zip"}
    resource = {"key": key, "spec": {"source": "new", "sha": sha}, "payload": payload}
    step = {"key": key, "action": "create", "reason": ""}
    order = {
        "resource": resource,
        "step": step,
        "owner": {"project": "p", "environment": "e"},
    }
    answer = face.ask("PUT", f"{PREFIX}/objects", "apply", json=order, headers={"Accept": EVENTS})
    names = [event.name for event in events.read(answer.text.splitlines())]
    assert names[-1] == "done" and "note" in names
    again = face.ask("PUT", f"{PREFIX}/objects", "apply", json={**order, "step": {**step, "action": "update"}})
    assert again.json() == {"done": True}


def test_stopping_the_server_lets_those_go_who_wait(face: OwnFace) -> None:
    task = add_task(face.engine, FOREVER, "endless")
    asked = str(task.key)
    run = face.ask("POST", f"{PREFIX}/runs", "run", json={"task": asked}).json()
    following = followed(face, f"{PREFIX}/runs/{run['id']}/log", "")
    assert next(following).name == "lines"
    began = time.monotonic()
    face.api.close()
    assert list(following) == []
    assert time.monotonic() - began < 4


def test_figures_are_for_prometheus(standing: OwnFace) -> None:
    standing.ask("GET", "/healthz")
    text = standing.ask("GET", "/metrics", "read").text
    values = {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in text.splitlines() if line[:1] != "#"}
    assert values['specrunner_tasks{kind="schedule"}'] == 2
    assert values['specrunner_runs{status="pending"}'] >= 1
    assert values['specrunner_http_requests_total{method="GET",status="200"}'] >= 1
    described = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")}
    assert {name.partition("{")[0] for name in values} == described


def test_health_tells_what_a_load_balancer_asks(standing: OwnFace) -> None:
    assert standing.ask("GET", "/healthz").json() == {"status": "ok"}
    assert standing.ask("GET", "/readyz").json() == {"status": "ready"}


# The description


def test_what_is_described_is_what_is_served(standing: OwnFace) -> None:
    document = standing.ask("GET", f"{PREFIX}/openapi.json").json()
    described = {(method.upper(), path) for path, found in document["paths"].items() for method in found}
    assert described == {(operation.method, operation.path) for operation in OPERATIONS}
    page = standing.ask("GET", "/docs")
    assert all(operation.path in page.text for operation in OPERATIONS)
    assert "default-src 'none'" in page.headers["content-security-policy"] and "<script" not in page.text


def test_answers_are_as_they_are_described(standing: OwnFace) -> None:
    document = standing.ask("GET", f"{PREFIX}/openapi.json").json()
    schema = schemathesis.openapi.from_dict(document)
    for path in ("live", "runs", "leases", "connections", "tokens", "audit", "whoami", "host"):
        answer = standing.ask("GET", f"{PREFIX}/{path}", "admin")
        assert answer.status_code == 200
        schema[f"{PREFIX}/{path}"]["GET"].validate_response(answer)


def test_nothing_that_is_sent_makes_the_server_fail(standing: OwnFace, soak: Soak) -> None:
    document = standing.ask("GET", f"{PREFIX}/openapi.json").json()
    schema = schemathesis.openapi.from_dict(document)
    url, headers = str(standing.http.base_url), {"Authorization": f"Bearer {standing.tokens['admin']}"}
    tried = 0
    for found in schema.get_all_operations():
        operation: Any = found.ok()  # type: ignore[union-attr]

        @settings(
            max_examples=50 if soak.is_full else 5,
            deadline=None,
            database=None,
            derandomize=not soak.is_full,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy() | operation.as_strategy(generation_mode=GenerationMode.NEGATIVE))
        def send(case: Case[Any]) -> None:
            nonlocal tried
            tried += 1
            answer = case.call(base_url=url, headers=headers)
            assert answer.status_code < 500, (case.method, case.path, case.query, case.body, answer.text)

        send()
    assert tried >= 5 * 20


def test_a_limited_scope_is_what_a_token_was_given(standing: OwnFace) -> None:
    told = standing.ask("GET", f"{PREFIX}/whoami", "limited").json()
    assert told["workspaces"] == ["lab"] and set(told["scopes"]) == {str(scope) for scope in Scope} - {"admin"}
    assert json.dumps(told).find("spr_") == -1
