"""People as the clients ask for them: `/v1/api/users/...` and the log-in server's own list."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import replace

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from specrunner.core.errors import BadInput, NotFound
from specrunner.core.values import Json
from specrunner.engine.engine import Engine
from specrunner.engine.records import User
from specrunner.server.access import address_of
from specrunner.server.auth import Caller, Forbidden
from specrunner.server.calls import (
    MAX_JSON_BYTES,
    Call,
    authenticated,
    door_of,
    field_of,
    guarded,
    parse_object,
    post,
    read_body,
    write_down,
)


def user_json(found: User) -> dict[str, Json]:
    """A user as the clients parse it."""
    created = found.created_at.timestamp() if found.created_at else 0.0
    return {
        "id": found.id,
        "username": found.email,
        "email": found.email,
        "enabled": found.enabled,
        "createdTimestamp": int(created * 1000),
    }


def _everybody(engine: Engine) -> list[User]:
    return engine.users.all() or [engine.users.local()]


def _query(call: Call) -> Json:
    call.caller.person("see who else there is")
    wanted = call.maybe("user_ids", list)
    found = [user for user in _everybody(call.engine) if wanted is None or user.id in wanted]
    return {"users": {user.id: user_json(user) for user in found}}


def _invite(call: Call) -> Json:
    _admin(call.caller)
    password = call.maybe("password", str) or secrets.token_urlsafe(24)
    return user_json(call.engine.users.add(call.need("email", str), password))


def _admin(caller: Caller) -> User:
    user = caller.person("change who may log in")
    if not user.admin:
        raise Forbidden("Only an admin changes who may log in.", remedy="`specrunner user add` does it on the server.")
    return user


async def _list(request: Request) -> Response:
    engine, caller = await authenticated(request)
    caller.person("see who else there is")
    email = request.query_params.get("email")
    everybody = await run_in_threadpool(_everybody, engine)
    return JSONResponse([user_json(user) for user in everybody if email in {None, user.email}])


async def _get(request: Request) -> Response:
    engine, caller = await authenticated(request)
    caller.person("see who else there is")
    found = await run_in_threadpool(_known, engine, request.path_params["user_id"], door_of(request).stands_open)
    return JSONResponse(user_json(found))


def _known(engine: Engine, user_id: str, is_open: Callable[[], bool]) -> User:
    """A user. Where nobody need log in, clients make up their own ids: whoever shows one is this machine's user."""
    try:
        return engine.users.get(user_id)
    except NotFound:
        if not is_open():
            raise
        return replace(engine.users.local(), id=user_id)


async def _put(request: Request) -> Response:
    engine, caller = await authenticated(request)
    enabled = field_of(parse_object(await read_body(request, MAX_JSON_BYTES)), "enabled", bool)
    user_id, action = request.path_params["user_id"], "user enable" if enabled else "user disable"
    await run_in_threadpool(_enable, engine, caller, user_id, enabled)
    await run_in_threadpool(write_down, engine, caller, action, user_id, address_of(request))
    return Response(status_code=204)


def _enable(engine: Engine, caller: Caller, user_id: str, enabled: bool) -> None:
    who = _admin(caller)
    if who.id == user_id:
        raise BadInput("Nobody may disable their own user.", remedy="Ask another admin.")
    engine.users.enable(engine.users.get(user_id), enabled)


_USERS = "/auth/admin/realms/{realm}/users"
ROUTES = [
    post("/v1/api/users/query", _query),
    post("/v1/api/users/invite", _invite, audited="user add"),
    Route(_USERS, guarded(_list)),
    Route(_USERS + "/{user_id}", guarded(_get)),
    Route(_USERS + "/{user_id}", guarded(_put), methods=["PUT"]),
]
