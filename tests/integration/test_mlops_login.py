"""Logging in to the platform's face, and who gets in without."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
import pytest
from starlette.routing import Route

from specrunner.core.access import Scope
from specrunner.core.errors import BadInput, Conflict
from specrunner.server.app import build_app
from specrunner.server.guesses import ALLOWED
from tests.integration.mlops_face import AGENT, Platform, platform_on

PROTOCOL = "/auth/realms/master/protocol/openid-connect"
DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
PASSWORD = "correct horse battery"


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    with platform_on(tmp_path / "state") as found:
        yield found


@pytest.fixture
def closed(platform: Platform) -> Platform:
    """With a user, so that nobody gets in without a log-in."""
    platform.engine.users.add("Jane@Example.com ", PASSWORD)
    platform.engine.users.add("admin@example.com", PASSWORD, admin=True)
    return platform


def token(platform: Platform, status: int = 200, **form: str) -> Any:
    answer = platform.http.post(f"{PROTOCOL}/token", data={"client_id": "sdk-client", **form})
    assert answer.status_code == status, answer.text
    return answer.json()


def by_password(
    platform: Platform, email: str = "jane@example.com", password: str = PASSWORD, status: int = 200
) -> Any:
    return token(platform, status, grant_type="password", username=email, password=password)


def as_(platform: Platform, access: str) -> httpx.Client:
    headers = {**AGENT, "Authorization": f"Bearer {access}"}
    return httpx.Client(base_url=platform.url, headers=headers, trust_env=False, timeout=30)


def status_of(platform: Platform, access: str) -> int:
    with as_(platform, access) as http:
        return http.post("/v1/api/workspaces/list", json={}).status_code


def test_without_users_this_machine_is_let_in_whatever_it_shows(platform: Platform) -> None:
    for header in (None, "Bearer definitely_an_access_token", "definitely_a_bearer_token_str", "no token"):
        headers = {} if header is None else {"Authorization": header}
        assert platform.http.post("/v1/api/workspaces/list", json={}, headers=headers).status_code == 200


def test_with_a_user_the_door_is_closed_at_once(closed: Platform) -> None:
    for header in (None, "Bearer definitely_an_access_token", "definitely_a_bearer_token_str"):
        headers = {} if header is None else {"Authorization": header}
        assert closed.http.post("/v1/api/workspaces/list", json={}, headers=headers).status_code == 401


def test_a_password_gives_a_token_that_says_who(closed: Platform) -> None:
    told = by_password(closed)
    claims = jwt.decode(told["access_token"], options={"verify_signature": False})
    jane = closed.engine.users.named("jane@example.com")
    assert (claims["sub"], claims["email"]) == (jane.id, "jane@example.com")
    assert isinstance(told["expires_in"], int) and isinstance(told["refresh_expires_in"], int)
    assert status_of(closed, told["access_token"]) == 200


def test_a_refresh_token_gives_another_and_opens_nothing_itself(closed: Platform) -> None:
    told = by_password(closed)
    again = token(closed, grant_type="refresh_token", refresh_token=told["refresh_token"])
    assert status_of(closed, again["access_token"]) == 200 and status_of(closed, told["refresh_token"]) == 401
    token(closed, 400, grant_type="refresh_token", refresh_token=told["access_token"])


def test_a_token_that_was_changed_or_signed_by_others_opens_nothing(closed: Platform) -> None:
    access = by_password(closed)["access_token"]
    head, body, signature = access.split(".")
    claims = jwt.decode(access, options={"verify_signature": False})
    unsigned = jwt.encode(claims, "", algorithm="none")
    foreign = jwt.encode(claims, "another key that is long enough for it", algorithm="HS256")
    for text in (f"{head}.{body}.{signature[::-1]}", f"{head}.{body}.", unsigned, foreign, "a.b.c"):
        assert status_of(closed, text) == 401, text


def test_a_disabled_or_removed_user_is_out_at_once(closed: Platform) -> None:
    access = by_password(closed)["access_token"]
    jane = closed.engine.users.named("jane@example.com")
    closed.engine.users.enable(jane, False)
    assert status_of(closed, access) == 401
    by_password(closed, status=401)
    closed.engine.users.remove(jane)
    assert status_of(closed, access) == 401


def test_guessing_passwords_is_stopped(closed: Platform) -> None:
    for _ in range(ALLOWED):
        by_password(closed, password="wrong", status=401)
    by_password(closed, "admin@example.com", status=429)
    told = [(entry.who, entry.action, entry.outcome) for entry in closed.engine.audit.latest(ALLOWED)]
    assert set(told) == {("nobody", "login", "refused")}


@pytest.mark.parametrize("email", ["jane@example.com", "nobody@example.com"])
def test_a_wrong_password_and_a_wrong_address_are_told_alike(closed: Platform, email: str) -> None:
    told = by_password(closed, email, "wrong", 401)
    assert told["error"] == "invalid_grant" and email not in told["error_description"]


def test_a_person_approves_a_device(closed: Platform) -> None:
    device = closed.http.post(f"{PROTOCOL}/auth/device", data={"client_id": "sdk-client"}).json()
    ask = {"grant_type": DEVICE, "device_code": device["device_code"]}
    assert token(closed, 400, **ask)["error"] == "authorization_pending"
    page = urlsplit(device["verification_uri_complete"])
    (code,) = parse_qs(page.query)["user_code"]
    shown = closed.http.get(f"{page.path}?{page.query}")
    assert code in shown.text and "password" in shown.text and shown.headers["x-frame-options"] == "DENY"
    form = {"user_code": code, "username": "jane@example.com"}
    assert closed.http.post(page.path, data={**form, "password": "wrong"}).status_code == 400
    assert token(closed, 400, **ask)["error"] == "authorization_pending"
    assert "logged in" in closed.http.post(page.path, data={**form, "password": PASSWORD}).text
    assert status_of(closed, token(closed, **ask)["access_token"]) == 200
    assert token(closed, 400, **ask)["error"] == "expired_token"  # once only


def test_the_page_shows_nothing_that_a_link_brings_as_code(closed: Platform) -> None:
    shown = closed.http.get("/auth/realms/master/device?user_code=<script>alert(1)</script>").text
    assert "<script" not in shown


def test_a_user_sees_the_workspaces_that_they_were_let_into(closed: Platform) -> None:
    engine = closed.engine
    mine, other = engine.workspaces.create("mine"), engine.workspaces.create("other")
    jane = engine.users.named("jane@example.com")
    engine.users.join(mine.id, jane.id, "OWNER")
    engine.connections.put("hidden", "S3", {}, {"password": "x"}, ["other"])
    with as_(closed, by_password(closed)["access_token"]) as http:
        listed = http.post("/v1/api/workspaces/list", json={}).json()["workspaces"]
        assert [found["name"] for found in listed] == ["mine"]
        assert http.post("/v1/api/connections/get", json={"name": "hidden"}).status_code == 404
        assert http.post("/v1/api/orchestration/list", json={"workspace_id": other.id}).status_code == 404
        assert http.post("/v1/api/users/invite", json={"email": "x@y.z"}).status_code == 403


def test_an_admin_invites_disables_and_enables(closed: Platform) -> None:
    with as_(closed, by_password(closed, "admin@example.com")["access_token"]) as http:
        made = http.post("/v1/api/users/invite", json={"email": "new@example.com", "password": PASSWORD}).json()
        path = f"/auth/admin/realms/master/users/{made['id']}"
        assert http.put(path, json={**http.get(path).json(), "enabled": False}).status_code == 204
        by_password(closed, "new@example.com", status=401)
        assert http.put(path, json={**made, "enabled": True}).status_code == 204
        by_password(closed, "new@example.com")
        workspace = http.post("/v1/api/workspaces/create", json={"workspace_name": "team"}).json()["workspace_id"]
        body = {"workspace_id": workspace, "user_id": made["id"], "user_type": "COLLABORATOR"}
        assert http.post("/v1/api/workspaces/add_user", json=body).status_code == 200
    with as_(closed, by_password(closed, "new@example.com")["access_token"]) as http:
        assert len(http.post("/v1/api/workspaces/list", json={}).json()["workspaces"]) == 1


def test_a_token_of_the_api_opens_this_face_if_it_may_run(closed: Platform) -> None:
    tokens = closed.engine.tokens
    (_, run), (_, read) = tokens.create("runs", [Scope.RUN]), tokens.create("looks", [Scope.READ])
    assert status_of(closed, run.reveal()) == 200 and status_of(closed, read.reveal()) == 403
    tokens.revoke("runs")
    assert status_of(closed, run.reveal()) == 401


# Asked before anybody has logged in, and telling nothing of what is here.
PUBLIC = (
    "/healthz",
    "/readyz",
    "/v1/api/config",
    "/auth/realms/",
    "/docs",
    "/openapi.json",
    "/v1/specrunner/openapi.json",
)


def test_no_other_route_tells_anything_to_who_has_not_logged_in(closed: Platform) -> None:
    routes = [route for route in build_app(closed.engine).routes if isinstance(route, Route)]
    asked = 0
    for route in routes:
        if route.path == "/v2" or route.path.startswith((*PUBLIC, "/v2/health/")):
            continue
        path = route.path.replace("{deployment}", "prices-1").replace("{pipeline}", "prices")
        for method in (route.methods or set()) - {"HEAD"}:
            answer = closed.http.request(method, path.replace("{", "").replace("}", ""), json={})
            assert answer.status_code == 401, (method, path, answer.text)
            asked += 1
    assert asked >= 50


def test_users_are_held_to_what_they_are(platform: Platform) -> None:
    users = platform.engine.users
    users.add("a@b.c", PASSWORD)
    with pytest.raises(Conflict):
        users.add("A@B.C", PASSWORD)
    for email, password in (("no address", PASSWORD), ("x@y.z", "short")):
        with pytest.raises(BadInput):
            users.add(email, password)
