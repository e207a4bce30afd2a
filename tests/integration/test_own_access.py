"""Who gets what from which route: a table over every route of the application. A route without an entry fails."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from starlette.routing import Route

from specrunner.core.access import Scope, included
from specrunner.server.access import Access
from specrunner.server.api.face import OPERATIONS
from specrunner.server.api.table import Operation
from specrunner.server.app import Own, build_app
from specrunner.server.news import News
from specrunner.targets.wire.codec import decode
from specrunner.targets.wire.faults import Fault
from tests.integration.own_face import HIDDEN, PREFIX, SENTINEL, OwnFace, own_face

REALM = "/auth/realms/{realm}"
# Routes that answer without a token, each with the reason.
NEEDS_NO_TOKEN: Mapping[str, str] = {
    "GET /healthz": "load balancers ask it; it says `ok`",
    "GET /readyz": "load balancers ask it; it says whether requests are taken",
    f"GET {PREFIX}/openapi.json": "the same on every server of a version",
    "GET /docs": "the same on every server of a version",
    "GET /v1/api/config": "clients ask it before they log in; it says which product answers",
    f"GET {REALM}": "where to log in: before anybody can have",
    f"GET {REALM}/.well-known/openid-configuration": "likewise",
    f"POST {REALM}/protocol/openid-connect/auth/device": "begins a log-in that somebody has to approve",
    f"POST {REALM}/protocol/openid-connect/token": "takes the password, or the code of such a log-in",
    f"GET {REALM}/device": "the page on which it is approved, with a password",
    f"POST {REALM}/device": "likewise",
    "GET /v2": "the protocol has it so; it says which product answers",
    "GET /v2/health/live": "the protocol has it so, for load balancers",
    "GET /v2/health/ready": "likewise",
}
BYTES = b"bytes of a model"
SHA = hashlib.sha256(BYTES).hexdigest()
HOLDER = {"who": "ann", "host": "h", "pid": 1, "since": "2026-01-01T00:00:00Z", "token": "t"}


def key(kind: str, name: str, workspace: str = "{w}") -> str:
    return f"{kind}/{workspace}/{name}" if workspace else f"{kind}/{name}"


TASK = key("Task", "job-{w}")
OWNER = {"project": "shop", "environment": "prod"}
CONNECTION = {
    "key": key("Connection", "made-{w}", ""),
    "spec": {"type": "HTTP", "workspaces": ["{w}"], "details": {"host": "a"}},
}
STEP = {"key": CONNECTION["key"], "action": "create", "reason": ""}
ORDER = {"resource": CONNECTION, "step": STEP, "owner": OWNER}
SPAN = {"begin": "2026-01-01T00:00:00Z", "end": "2026-01-01T00:00:00Z"}


@dataclass(frozen=True, slots=True)
class Sample:
    """A request that is answered with 200 to who may. Where it `names` what is in a workspace, others get nothing."""

    json: Any = None
    params: Mapping[str, Any] | None = None
    content: bytes | None = None
    headers: Mapping[str, str] | None = None
    names: bool = False
    statuses: frozenset[int] = frozenset({200})


TASK_ASKED = {"task": "Task/{w}/job-{w}"}
PIPELINE_ASKED = {"pipeline": "Pipeline/{w}/prices-{w}"}
SAMPLES: Mapping[str, Sample] = {
    "GET /metrics": Sample(),
    f"GET {PREFIX}/live": Sample(),
    f"PUT {PREFIX}/objects": Sample(ORDER, names=True),
    f"POST {PREFIX}/objects/delete": Sample(
        {"step": {**STEP, "action": "delete", "key": TASK}}, names=True, statuses=frozenset({200, 409})
    ),
    f"POST {PREFIX}/objects/restore": Sample(
        {
            "recorded": {"key": CONNECTION["key"], "owner": OWNER, "applied": CONNECTION["spec"]},
            "order": ORDER,
        },
        names=True,
    ),
    f"POST {PREFIX}/check": Sample({"resources": [CONNECTION]}),
    f"POST {PREFIX}/fingerprint": Sample({"value": "x"}),
    f"GET {PREFIX}/owners": Sample(params=OWNER),
    f"PUT {PREFIX}/owners": Sample(params=OWNER),
    f"GET {PREFIX}/files": Sample(params={"sha": SHA}),
    f"PUT {PREFIX}/files": Sample(params={"sha": SHA}, content=BYTES),
    f"GET {PREFIX}/stored": Sample(params={"key": "Model/{w}/houses-{w}"}, names=True),
    f"GET {PREFIX}/leases": Sample(),
    f"POST {PREFIX}/leases": Sample({"name": "shop/prod", "holder": HOLDER}),
    f"POST {PREFIX}/leases/renew": Sample({"name": "shop/prod", "token": "t"}),
    f"POST {PREFIX}/leases/release": Sample({"name": "shop/prod", "token": "t"}),
    f"GET {PREFIX}/host": Sample(),
    f"GET {PREFIX}/runs": Sample(),
    f"POST {PREFIX}/runs": Sample({"task": TASK}, names=True),
    f"GET {PREFIX}/runs/{{run_id}}": Sample(names=True),
    f"POST {PREFIX}/runs/{{run_id}}/attend": Sample(names=True),
    f"POST {PREFIX}/runs/{{run_id}}/kill": Sample(names=True),
    f"GET {PREFIX}/runs/{{run_id}}/log": Sample(names=True),
    f"GET {PREFIX}/schedule/next": Sample(params=TASK_ASKED, names=True),
    f"GET {PREFIX}/schedule/missed": Sample(params={**TASK_ASKED, **SPAN}, names=True),
    f"POST {PREFIX}/schedule/backfill": Sample({"task": TASK, **SPAN}, names=True),
    f"POST {PREFIX}/schedule/suspend": Sample({"task": TASK}, names=True),
    f"POST {PREFIX}/schedule/resume": Sample({"task": TASK}, names=True),
    f"GET {PREFIX}/service": Sample(params=TASK_ASKED, names=True),
    f"GET {PREFIX}/connections": Sample(),
    f"GET {PREFIX}/connections/details": Sample(
        params={"name": "store-{w}"}, names=True, statuses=frozenset({200, 403})
    ),
    f"POST {PREFIX}/infer": Sample(
        params=PIPELINE_ASKED,
        content=b"[]",
        headers={"Content-Type": "application/json"},
        names=True,
        statuses=frozenset({404}),  # it is not deployed
    ),
    f"POST {PREFIX}/infer/json": Sample(
        {"x": [1]},
        params=PIPELINE_ASKED,
        names=True,
        statuses=frozenset({404}),  # it is not deployed
    ),
    f"GET {PREFIX}/pipelines": Sample(),
    f"POST {PREFIX}/pipelines/deploy": Sample(PIPELINE_ASKED, names=True),
    f"POST {PREFIX}/pipelines/undeploy": Sample({**PIPELINE_ASKED, "force": True}, names=True),
    f"GET {PREFIX}/pipelines/log": Sample(params=PIPELINE_ASKED, names=True),
    f"GET {PREFIX}/pipelines/export": Sample(params=PIPELINE_ASKED, names=True),
    f"GET {PREFIX}/whoami": Sample(),
    f"GET {PREFIX}/tokens": Sample(),
    f"POST {PREFIX}/tokens": Sample({"name": "another", "scopes": ["read"]}, statuses=frozenset({200, 409})),
    f"POST {PREFIX}/tokens/revoke": Sample({"token": "revoked"}),
    f"GET {PREFIX}/audit": Sample(),
}


@pytest.fixture(scope="module")
def face(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnFace]:
    with own_face(tmp_path_factory.mktemp("own") / "state") as found:
        yield found


def name_of(operation: Operation) -> str:
    return f"{operation.method} {operation.path}"


def asked(face: OwnFace, name: str, who: str, workspace: str = "lab") -> Any:
    """Send the sample of a route, about what is in a workspace."""
    sample = SAMPLES[name]
    method, _, path = name.partition(" ")
    run = face.run if workspace == "lab" else face.hidden_run
    more: dict[str, Any] = {"headers": dict(sample.headers or {})}
    if sample.json is not None:
        more["json"] = json.loads(json.dumps(sample.json).replace("{w}", workspace))
    if sample.params is not None:
        more["params"] = {name: value.replace("{w}", workspace) for name, value in sample.params.items()}
    if sample.content is not None:
        more["content"] = sample.content
    return face.ask(method, path.replace("{run_id}", run.id), who, **more)


def every_route(face: OwnFace) -> list[tuple[str, str]]:
    app = build_app(face.engine, Own(Access(face.engine), News(face.engine), lambda _run: None))
    found = [route for route in app.routes if isinstance(route, Route)]
    assert len(found) == len(app.routes), "every route is looked at"
    return [(method, route.path) for route in found for method in sorted((route.methods or set()) - {"HEAD"})]


OWN = [operation for operation in OPERATIONS if operation.scope is not None]


def test_every_route_of_ours_has_its_sample() -> None:
    assert {name_of(operation) for operation in OWN} == set(SAMPLES)
    assert {name_of(operation) for operation in OPERATIONS if operation.scope is None} <= set(NEEDS_NO_TOKEN)


def test_without_a_valid_token_no_route_tells_anything(face: OwnFace) -> None:
    time.sleep(0.06)  # until the token that expires has
    for method, path in every_route(face):
        if f"{method} {path}" in NEEDS_NO_TOKEN:
            continue
        target = path.replace("{run_id}", face.run.id)
        for who in ("", "expired", "revoked"):
            face.forgive()
            answer = face.ask(method, target, who, json={} if method in {"POST", "PUT"} else None)
            assert answer.status_code == 401, (method, path, who, answer.text)
            assert HIDDEN not in answer.text and "lab" not in answer.text and SENTINEL not in answer.text


def test_a_route_that_needs_no_token_tells_nothing_of_what_is_here(face: OwnFace) -> None:
    for name in NEEDS_NO_TOKEN:
        method, _, path = name.partition(" ")
        answer = face.ask(method, path.replace("{realm}", "master"))
        assert answer.status_code in {200, 400}, (name, answer.text)
        assert not any(word in answer.text for word in (HIDDEN, "job-lab", "store-lab", SENTINEL))


@pytest.mark.parametrize("operation", OWN, ids=name_of)
def test_a_token_does_what_its_scope_says_and_nothing_else(face: OwnFace, operation: Operation) -> None:
    assert operation.scope is not None
    sample = SAMPLES[name_of(operation)]
    for scope in Scope:
        answer = asked(face, name_of(operation), str(scope))
        if operation.scope in included([scope]):
            assert answer.status_code in sample.statuses, answer.text
        else:
            assert answer.status_code == 403, (scope, answer.text)
            assert operation.scope in decode(answer.content, Fault).summary


@pytest.mark.parametrize("operation", OWN, ids=name_of)
@pytest.mark.parametrize("who", ["limited", "elsewhere", "a run"])
def test_another_workspace_is_not_there(face: OwnFace, operation: Operation, who: str) -> None:
    answer = asked(face, name_of(operation), who, HIDDEN)
    assert SENTINEL not in answer.text
    if SAMPLES[name_of(operation)].names:
        assert answer.status_code in {403, 404}, answer.text
        fault = decode(answer.content, Fault)
        there = asked(face, name_of(operation), who, f"{HIDDEN}-not").json()
        if who != "limited" or answer.status_code == 404:  # what is there is told as what is not
            assert fault.type == there["type"]
    else:
        assert HIDDEN not in answer.text


def test_a_limited_token_does_in_its_workspace_what_its_scope_says(face: OwnFace) -> None:
    for operation in OWN:
        if operation.scope is not None and operation.scope in included([Scope.APPLY]):
            answer = asked(face, name_of(operation), "limited")
            assert answer.status_code in SAMPLES[name_of(operation)].statuses, (name_of(operation), answer.text)


@pytest.mark.parametrize(
    ("spec", "kind"),
    [
        ({"type": "HTTP", "workspaces": ["lab", HIDDEN]}, "Connection"),
        ({"type": "HTTP", "workspaces": []}, "Connection"),
        ({"orchestration": "code-lab", "orchestrationSha": SHA, "workspaces": [HIDDEN]}, "Task"),
    ],
)
def test_a_limited_token_makes_nothing_that_reaches_further(face: OwnFace, spec: dict[str, Any], kind: str) -> None:
    named = key(kind, "reaching", "lab" if kind == "Task" else "")
    order = {"resource": {"key": named, "spec": spec}, "step": {**STEP, "key": named}, "owner": OWNER}
    answer = face.ask("PUT", f"{PREFIX}/objects", "limited", json=order)
    assert answer.status_code == 403, answer.text
    renamed = {**order, "step": {**STEP, "key": named, "renamed_from": key("Task", "job", HIDDEN)}}
    assert face.ask("PUT", f"{PREFIX}/objects", "limited", json=renamed).status_code in {403, 404}


def test_details_are_for_runs_and_for_who_may_start_them_and_are_written_down(face: OwnFace) -> None:
    path, asking = f"{PREFIX}/connections/details", {"params": {"name": "store-lab"}}
    for who, status in {"read": 403, "plan": 403, "run": 200, "apply": 200, "limited": 200, "elsewhere": 404}.items():
        answer = face.ask("GET", path, who, **asking)
        assert answer.status_code == status, (who, answer.text)
        assert (f"{SENTINEL}-lab" in answer.text) is (status == 200)
    entries = face.ask("GET", f"{PREFIX}/audit", "admin").json()["entries"]
    written = {(one["who"], one["outcome"]) for one in entries if one["action"] == "details"}
    assert {("token limited", "done"), ("token read", "failed: Forbidden"), ("token run", "done")} <= written
    assert face.ask("GET", path, "a run", **asking).status_code == 200
    assert SENTINEL not in json.dumps(entries)


def test_no_listing_and_no_error_shows_details(face: OwnFace) -> None:
    for operation in OWN:
        if not operation.path.endswith("/details"):
            assert SENTINEL not in asked(face, name_of(operation), "admin").text
    assert SENTINEL not in face.ask("GET", "/metrics", "read").text


def test_the_token_of_a_lease_is_shown_to_who_could_break_it_only(face: OwnFace) -> None:
    asked(face, f"POST {PREFIX}/leases", "apply")
    shown = {who: face.ask("GET", f"{PREFIX}/leases", who).json()["leases"] for who in ("read", "apply")}
    assert [one["holder"]["token"] for one in shown["read"]] == [""]
    assert [one["holder"]["token"] for one in shown["apply"]] == ["t"]


def test_who_guesses_is_made_to_wait_and_who_knows_is_not(face: OwnFace) -> None:
    face.forgive()
    path = f"{PREFIX}/whoami"
    assert face.ask("GET", path, "read").status_code == 200
    guessed = [face.http.get(path, headers={"Authorization": f"Bearer spr_{n:08x}_x"}) for n in range(12)]
    assert [answer.status_code for answer in guessed] == [401] * 10 + [429] * 2
    assert 0 < int(guessed[-1].headers["retry-after"]) <= 60
    assert face.ask("GET", path, "read").status_code == 200  # it was let in before
    late = face.engine.tokens.create("late", [Scope.READ])[1]
    # Nobody can guess a token: one that is right is let in, whatever else came from there.
    assert face.http.get(path, headers={"Authorization": f"Bearer {late.reveal()}"}).status_code == 200
    refused = [one for one in face.engine.audit.latest(50) if (one.action, one.outcome) == ("login", "refused")]
    assert len(refused) >= 10
