"""`/v1/api/orchestration/...`: an upload answers at once, and is packaged in the background."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from specrunner.core.errors import BadInput, NotFound
from specrunner.core.values import Json, iso
from specrunner.engine.engine import Engine
from specrunner.engine.records import Orchestration
from specrunner.server.access import address_of
from specrunner.server.auth import Caller
from specrunner.server.calls import Call, authenticated, field_of, guarded, limited, name_of, post, write_down
from specrunner.server.mlops.models import read_metadata
from specrunner.server.mlops.tasks import task_json
from specrunner.server.mlops.workspaces import short_workspace_json

MAX_BUNDLE_BYTES = 2**30
_NAMELESS = "_"  # what clients call bytes that they were given no file name for
_NO_NAME = "-"


async def _upload(request: Request) -> Response:
    engine, caller = await authenticated(request)
    caller.person("upload orchestrations")
    # Two files: some clients send the metadata as one.
    async with limited(request, MAX_BUNDLE_BYTES).form(max_files=2, max_part_size=2**20) as form:
        file = form.get("file")
        metadata = await read_metadata(form.get("metadata"))
        if not isinstance(file, UploadFile):
            raise BadInput("The upload has no part `file`.")
        workspace = caller.workspace(field_of(metadata, "workspace_id", int))
        shown = _file_name(file.filename)
        name = shown if metadata.get("name") is None else name_of(metadata, "name")
        found = await run_in_threadpool(_stored, engine, caller, (workspace.id, name, shown), file)
    subject = f"orchestration {name} {found.sha}"
    await run_in_threadpool(write_down, engine, caller, "upload", subject, address_of(request))
    request.app.state.background.package(found.id)
    return JSONResponse({"id": found.id}, 202)


def _file_name(told: str | None) -> str:
    name = (told or _NAMELESS).replace("\\", "/").rpartition("/")[2]
    return _NO_NAME if name in {"", _NAMELESS} else name_of({"file name": name}, "file name")


def _stored(engine: Engine, caller: Caller, names: tuple[int, str, str], file: UploadFile) -> Orchestration:
    # From one file on disk to another: it is never whole in memory.
    sha, size = engine.keep_stream(file.file)
    found = engine.orchestrations.add(*names, sha, again=True)
    owner = caller.user.id if caller.user else None
    engine.remarks.put(f"orchestration:{found.id}", owner=owner, size=size)
    return found


def orchestration_json(engine: Engine, found: Orchestration) -> dict[str, Json]:
    """An orchestration as the clients parse it; `error_summary` says why one can't be run."""
    said = engine.remarks.of(f"orchestration:{found.id}")
    return {
        "id": found.id,
        "name": found.name,
        "file_name": found.file_name,
        "file_size": said.get("size") or 0,
        "image_path": None,
        "sha": found.sha,
        "status": str(found.status),
        "error_summary": found.error or None,
        "task_id": found.id,
        "owner_id": str(said.get("owner") or ""),
        "workspace_id": found.workspace_id,
        "created_at": iso(found.created_at),
        "updated_at": iso(found.updated_at),
    }


def usable_orchestration(engine: Engine, caller: Caller, identity: str) -> Orchestration:
    """One in a workspace of the caller. Raises NotFound."""
    found = engine.orchestrations.get(identity)
    if not caller.may_use(found.workspace_id):
        raise NotFound(f"There is no orchestration {identity!r}.")
    return found


def _get_by_id(call: Call) -> Json:
    return orchestration_json(call.engine, usable_orchestration(call.engine, call.caller, call.need("id", str)))


def _list(call: Call) -> Json:
    workspace = call.caller.workspace(call.need("workspace_id", int))
    found = call.engine.orchestrations.all(workspace.id)
    return [orchestration_json(call.engine, one) for one in reversed(found)]


def _list_all(call: Call) -> Json:
    wanted = call.maybe("workspace_ids", list) or []
    workspaces = {one.id: one for one in call.caller.workspaces if not wanted or one.id in wanted}
    tasks = call.engine.tasks.all()
    found: list[Json] = []
    for one in call.engine.orchestrations.all():
        if one.workspace_id in workspaces:
            theirs = [task_json(call.engine, task, call.agent) for task in tasks if task.orchestration_id == one.id]
            workspace = short_workspace_json(workspaces[one.workspace_id])
            found.append(
                {"orchestration": orchestration_json(call.engine, one), "tasks": theirs, "workspace": workspace}
            )
    return {"orchestrations": found}


ROUTES = [
    Route("/v1/api/orchestration/upload", guarded(_upload), methods=["POST"]),
    post("/v1/api/orchestration/get_by_id", _get_by_id),
    post("/v1/api/orchestration/list", _list),
    post("/v1/api/orchestration/list_all", _list_all),
]
