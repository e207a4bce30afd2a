"""`/v1/api/workspaces/...`."""

from __future__ import annotations

from specrunner.core.errors import BadInput
from specrunner.core.values import Json, iso
from specrunner.engine.engine import Engine
from specrunner.engine.records import Workspace
from specrunner.server.auth import Caller, Forbidden
from specrunner.server.calls import Call, name_of, post

OWNER, COLLABORATOR = "OWNER", "COLLABORATOR"


def workspace_json(engine: Engine, found: Workspace) -> dict[str, Json]:
    """A workspace as the clients parse it."""
    models = {model.model_id for model in engine.models.all() if model.workspace_id == found.id}
    return {
        "id": found.id,
        "name": found.name,
        "created_at": iso(found.created_at),
        "created_by": maker_of(engine, found),
        "archived": False,
        "models": sorted(models),
        "pipelines": sorted(pipeline.id for pipeline in engine.pipelines.all(found.id)),
    }


def short_workspace_json(found: Workspace) -> dict[str, Json]:
    """A workspace as it stands inside other answers."""
    return {"id": found.id, "name": found.name, "archived": False, "created_at": iso(found.created_at)}


def maker_of(engine: Engine, found: Workspace) -> str | None:
    """The id of the user who made it; None where the specs did."""
    maker = engine.remarks.of(f"workspace:{found.id}").get("created_by")
    return str(maker) if maker else None


def make_workspace(engine: Engine, name: str, caller: Caller) -> Workspace:
    """A new workspace of the person who calls. Raises Conflict where the name is taken, Forbidden for a run."""
    user = caller.person("make workspaces")
    if caller.is_limited:
        raise Forbidden("This token is limited to workspaces, and makes none.", remedy="Use one without that limit.")
    if "/" in name:
        raise BadInput(f"A workspace can't be called {name!r}: there may be no slash in its name.")
    with engine.transaction():
        made = engine.workspaces.create(name)
        engine.users.join(made.id, user.id, OWNER)
        engine.remarks.put(f"workspace:{made.id}", created_by=user.id)
    return made


def _list(call: Call) -> Json:
    return {"workspaces": [workspace_json(call.engine, found) for found in call.caller.workspaces]}


def _create(call: Call) -> Json:
    name = name_of(call.body, "workspace_name")
    if call.caller.user is not None:
        return {"workspace_id": make_workspace(call.engine, name, call.caller).id}
    for found in call.caller.workspaces:
        if found.name == name:  # a name it may use: "create" gives it, so that tutorials run twice
            return {"workspace_id": found.id}
    allowed = ", ".join(repr(found.name) for found in call.caller.workspaces)
    raise Forbidden(
        f"This run may not use a workspace {name!r}.",
        detail=f"It may use {allowed}.",
        remedy=f"Declare the task in `metadata.workspace: {name}`, or add the name to its `spec.workspaces`.",
    )


def _add_user(call: Call) -> Json:
    call.caller.person("let others into workspaces")
    workspace = call.caller.workspace(call.need("workspace_id", int))
    role = call.maybe("user_type", str) or COLLABORATOR
    user = call.engine.users.get(call.need("user_id", str))
    call.engine.users.join(workspace.id, user.id, OWNER if role.upper() == OWNER else COLLABORATOR)
    return {}


ROUTES = [
    post("/v1/api/workspaces/list", _list),
    post("/v1/api/workspaces/create", _create, audited="apply"),
    post("/v1/api/workspaces/add_user", _add_user, audited="apply"),
]
