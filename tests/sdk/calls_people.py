"""Users, and the ways to log in."""

from __future__ import annotations

import contextlib
import io
import json
import os
import threading
from typing import Any

import wallaroo

from tests.sdk.drive import FOLDER, OLD, OURS, URL, S, call
from tests.sdk.tutorial import approve


@call("wl.list_users()")
def _() -> None:
    assert len(S.wl.list_users()) >= 1


@call("wl.get_user_by_email(email)")
def _() -> None:
    mine = S.wl.list_users()[0]
    assert S.wl.get_user_by_email(mine.email()).id() == mine.id()
    assert S.wl.get_user_by_email("nobody@example.com") is None


def _client(**environment: str) -> Any:
    os.environ.update(environment)
    kind = environment.pop("kind", None)
    try:
        return wallaroo.Client(api_endpoint=URL, **({"auth_type": kind} if kind else {}), **_auth_endpoint())
    finally:
        for name in environment:
            del os.environ[name]
        os.environ.pop("kind", None)


def _auth_endpoint() -> dict[str, Any]:
    return {"auth_endpoint": URL} if OLD else {}


@call("Client(auth_type=AuthType.NONE)")
def _() -> None:
    from wallaroo.auth import AuthType

    found = wallaroo.Client(api_endpoint=URL, auth_type=AuthType.NONE, **_auth_endpoint())
    assert found.get_current_workspace().name()


@call("Client(user_password)")
def _() -> None:
    cache = str(FOLDER / "cache")
    found = _client(kind="user_password", WALLAROO_USER="me@localhost", WALLAROO_PASSWORD="x", XDG_CACHE_HOME=cache)
    assert found.list_workspaces()


@call("Client(token), wl.auth.auth_header()")
def _() -> None:
    credentials = FOLDER / "token.json"
    credentials.write_text(json.dumps({"token": "anything", "user_email": "me@localhost", "user_id": "7"}), "utf-8")
    found = _client(kind="token", WALLAROO_SDK_CREDENTIALS=str(credentials))
    assert found.list_workspaces()
    assert OURS or found.auth.auth_header() == {"Authorization": "Bearer anything"}


@call("Client(sso)")
def _() -> None:
    printed = io.StringIO()
    threading.Thread(target=approve, args=(printed,), daemon=True).start()
    with contextlib.redirect_stdout(printed):
        found = _client(kind="sso", XDG_CACHE_HOME=str(FOLDER / "cache of sso"))
    assert found.list_workspaces()
    assert OURS or "Please log into the following URL" in printed.getvalue()
