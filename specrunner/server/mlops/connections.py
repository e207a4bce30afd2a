"""`/v1/api/connections/...`: a run reads the connections attached to its workspaces."""

from __future__ import annotations

from specrunner.core.errors import NotFound
from specrunner.core.values import Json, iso
from specrunner.engine.records import Connection
from specrunner.server.calls import Call, post


def _visible(call: Call) -> list[Connection]:
    names = {found.name for found in call.caller.workspaces}
    return [found for found in call.engine.connections.all() if names & set(found.workspaces)]


def _json(found: Connection, visible_in: set[str]) -> dict[str, Json]:
    return {
        "id": found.id,
        "name": found.name,
        "type": found.type,
        "created_at": iso(found.created_at),
        "workspace_names": [name for name in found.workspaces if name in visible_in],
    }


def _with_details(call: Call, found: Connection) -> Json:
    names = {workspace.name for workspace in call.caller.workspaces}
    return _json(found, names) | {"details": call.engine.connections.details(found.name)}


def _get(call: Call) -> Json:
    name = call.need("name", str)
    for found in _visible(call):
        if found.name == name:
            return _with_details(call, found)
    raise _missing(call, repr(name))


def _get_by_id(call: Call) -> Json:
    identity = call.need("id", str)
    for found in _visible(call):
        if found.id == identity:
            return _with_details(call, found)
    raise _missing(call, identity)


def _list(call: Call) -> Json:
    workspace_id = call.maybe("workspace_id", int)
    names = {found.name for found in call.caller.workspaces}
    if workspace_id is not None:
        names = {call.caller.workspace(workspace_id).name}
    return {"connections": [_json(found, names) for found in _visible(call) if names & set(found.workspaces)]}


def _missing(call: Call, asked: str) -> NotFound:
    workspaces = ", ".join(found.name for found in call.caller.workspaces)
    return NotFound(
        f"There is no connection {asked} here.",
        detail=f"A run sees the connections attached to its workspaces: {workspaces}.",
        remedy="Attach it with `spec.workspaces` of the connection.",
    )


ROUTES = [
    post("/v1/api/connections/get", _get),
    post("/v1/api/connections/get_by_id", _get_by_id),
    post("/v1/api/connections/list", _list),
]
