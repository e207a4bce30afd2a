"""`/v1/api/connections/...`: a run reads the connections attached to its workspaces, a person makes them.

A person sees the connections of their workspaces, and those that they made; what is attached nowhere is nobody else's.
"""

from __future__ import annotations

from specrunner.core.errors import NotFound
from specrunner.core.values import Json, iso
from specrunner.engine.records import Connection
from specrunner.server.auth import Forbidden
from specrunner.server.calls import Call, name_of, post


def _visible(call: Call) -> list[Connection]:
    names = {found.name for found in call.caller.workspaces}
    everyone = call.engine.connections.all()
    if call.caller.user is None:
        return [found for found in everyone if names & set(found.workspaces)]
    return [
        found for found in everyone if call.caller.sees_all or names & set(found.workspaces) or _is_own(call, found)
    ]


def _is_own(call: Call, found: Connection) -> bool:
    """Whether the person who calls has made it, and nobody has attached it since."""
    user = call.caller.user
    if user is None or found.workspaces:
        return False
    return call.engine.remarks.of(_remark(found.id)).get("owner") == user.id


def _remark(identity: str) -> str:
    return f"connection:{identity}"


def _one(call: Call, name: str) -> Connection:
    for found in _visible(call):
        if found.name == name:
            return found
    raise _missing(call, repr(name))


def _with_id(call: Call, identity: str) -> Connection:
    for found in _visible(call):
        if found.id == identity:
            return found
    raise _missing(call, identity)


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
    return _with_details(call, _one(call, call.need("name", str)))


def _get_by_id(call: Call) -> Json:
    return _with_details(call, _with_id(call, call.need("id", str)))


def _create(call: Call) -> Json:
    owner = call.caller.person("make connections").id
    details = call.maybe("details", dict) or {}
    name, kind = name_of(call.body, "name"), name_of(call.body, "type")
    # Nobody says which of them are secrets, so all are: the logs of runs show none.
    with call.engine.transaction():
        made = call.engine.connections.create(name, kind, {}, details)
        call.engine.remarks.put(_remark(made.id), owner=owner)
    return {"id": made.id}


def _delete(call: Call) -> Json:
    call.caller.person("remove connections")
    found = _one(call, call.need("name", str))
    names = {workspace.name for workspace in call.caller.workspaces}
    if not call.caller.sees_all and not names >= set(found.workspaces):
        raise Forbidden(
            f"The connection {found.name!r} is attached to workspaces that you are not in.",
            remedy="Detach it from yours, or ask an admin to remove it.",
        )
    call.engine.connections.delete(found.name)
    return None


def _add_to_workspace(call: Call) -> Json:
    call.caller.person("attach connections")
    workspace = call.caller.workspace(call.need("workspace_id", int))
    found = _with_id(call, call.need("connection_id", str))
    call.engine.connections.attach(found.name, workspace.id)
    return {"id": found.id}


def _remove_from_workspace(call: Call) -> Json:
    call.caller.person("detach connections")
    workspace = call.caller.workspace(call.need("workspace_id", int))
    call.engine.connections.detach(_with_id(call, call.need("connection_id", str)).name, workspace.id)
    return None


def _list(call: Call) -> Json:
    workspace_id = call.maybe("workspace_id", int)
    names, found = {one.name for one in call.caller.workspaces}, _visible(call)
    if workspace_id is not None:
        here = call.caller.workspace(workspace_id).name
        found = [one for one in found if here in one.workspaces]
    return {"connections": [_json(one, names) for one in found]}


def _missing(call: Call, asked: str) -> NotFound:
    if call.caller.user is not None:
        return NotFound(f"There is no connection {asked}.")
    workspaces = ", ".join(found.name for found in call.caller.workspaces)
    return NotFound(
        f"There is no connection {asked} here.",
        detail=f"A run sees the connections attached to its workspaces: {workspaces}.",
        remedy="Attach it with `spec.workspaces` of the connection.",
    )


ROUTES = [
    post("/v1/api/connections/get", _get, audited="details"),
    post("/v1/api/connections/get_by_id", _get_by_id, audited="details"),
    post("/v1/api/connections/list", _list),
    post("/v1/api/connections/create", _create, audited="apply"),
    post("/v1/api/connections/delete", _delete, 204, audited="apply"),
    post("/v1/api/connections/add_to_workspace", _add_to_workspace, audited="apply"),
    post("/v1/api/connections/remove_from_workspace", _remove_from_workspace, 204, audited="apply"),
]
