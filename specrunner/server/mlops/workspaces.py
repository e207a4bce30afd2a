"""`/v1/api/workspaces/...`."""

from __future__ import annotations

from specrunner.core.errors import SpecrunnerError
from specrunner.core.values import Json, iso
from specrunner.engine.engine import Engine
from specrunner.engine.records import Workspace
from specrunner.server.calls import Call, post


class Forbidden(SpecrunnerError):
    """The token is valid, and may not do this."""

    http_status = 403


def workspace_json(engine: Engine, found: Workspace) -> dict[str, Json]:
    """A workspace as the clients parse it."""
    models = {model.model_id for model in engine.models.all() if model.workspace_id == found.id}
    return {
        "id": found.id,
        "name": found.name,
        "created_at": iso(found.created_at),
        "created_by": None,
        "archived": False,
        "models": sorted(models),
        "pipelines": sorted(pipeline.id for pipeline in engine.pipelines.all(found.id)),
    }


def short_workspace_json(found: Workspace) -> dict[str, Json]:
    """A workspace as it stands inside other answers."""
    return {"id": found.id, "name": found.name, "archived": False, "created_at": iso(found.created_at)}


def _list(call: Call) -> Json:
    return {"workspaces": [workspace_json(call.engine, found) for found in call.caller.workspaces]}


def _create(call: Call) -> Json:
    name = call.need("workspace_name", str)
    for found in call.caller.workspaces:
        if found.name == name:  # a name it may use: "create" gives it, so that tutorials run twice
            return {"workspace_id": found.id}
    allowed = ", ".join(repr(found.name) for found in call.caller.workspaces)
    raise Forbidden(
        f"This run may not use a workspace {name!r}.",
        detail=f"It may use {allowed}.",
        remedy=f"Declare the task in `metadata.workspace: {name}`, or add the name to its `spec.workspaces`.",
    )


ROUTES = [post("/v1/api/workspaces/list", _list), post("/v1/api/workspaces/create", _create)]
