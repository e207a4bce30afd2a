"""`/v1/api/models/...`: which models there are, how their versions are configured, and the older upload."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from specrunner.core.errors import BadInput, NotFound
from specrunner.core.values import Json, iso
from specrunner.engine.engine import Engine
from specrunner.engine.records import ModelVersion, Workspace
from specrunner.server.access import address_of
from specrunner.server.auth import Caller
from specrunner.server.bodies import spooled_body
from specrunner.server.calls import Call, authenticated, field_of, guarded, name_of, post, write_down
from specrunner.server.mlops import conversion, models
from specrunner.server.mlops.workspaces import short_workspace_json

SETTINGS = (
    "tensor_fields",
    "filter_threshold",
    "input_schema",
    "output_schema",
    "batch_config",
    "dynamic_batching_config",
    "continuous_batching_config",
)


def config_json(engine: Engine, found: ModelVersion) -> dict[str, Json]:
    """How a version is to be served, as the clients said; its id is that of the version, which has one of these."""
    said = engine.remarks.of(f"model:{found.id}").get("config")
    told = dict(said) if isinstance(said, dict) else {}
    config: dict[str, Json] = {name: told.get(name) for name in SETTINGS}
    return {"id": found.id, "model_version_id": found.id, "runtime": runtime_of(found), **config}


def runtime_of(found: ModelVersion) -> str:
    """The client's word for what runs a model."""
    framework = str(found.config.get("framework", "onnx"))
    return framework if framework in {"onnx", "tensorflow"} else "flight"


def configure(engine: Engine, found: ModelVersion, said: dict[str, Json]) -> dict[str, Json]:
    """Remember how a version is to be served; what is not said stays."""
    before = engine.remarks.of(f"model:{found.id}").get("config")
    new = {name: said[name] for name in SETTINGS if said.get(name) is not None}
    if schemas := conversion.schemas_of(said):
        engine.models.declare(found, schemas)
    engine.remarks.put(f"model:{found.id}", config={**(before if isinstance(before, dict) else {}), **new})
    return config_json(engine, found)


def usable_version(engine: Engine, caller: Caller, version_id: int) -> ModelVersion:
    """A version in a workspace of the caller. Raises NotFound."""
    found = engine.models.version(version_id)
    if not caller.may_use(found.workspace_id):
        raise NotFound(f"There is no model {version_id}.")
    return found


def _get_version(call: Call) -> Json:
    found = usable_version(call.engine, call.caller, call.need("model_version_id", int))
    conversion.begun(call.engine, found)
    return {"model_version": {"model_version": models.version_json(found), "config": config_json(call.engine, found)}}


def _insert_config(call: Call) -> Json:
    found = usable_version(call.engine, call.caller, call.need("model_version_id", int))
    return {"model_config": configure(call.engine, found, call.body)}


def _get_config(call: Call) -> Json:
    found = usable_version(call.engine, call.caller, call.need("model_id", int))
    return {"model_config": config_json(call.engine, found)}


def _list(call: Call) -> Json:
    workspace_id, name = call.maybe("workspace_id", int), call.maybe("workspace_name", str)
    wanted = {
        one.id: one for one in call.caller.workspaces if workspace_id in {None, one.id} and name in {None, one.name}
    }
    newest = [found for found in call.engine.models.all() if found.workspace_id in wanted]
    return {"models": [_item(call.engine, found, wanted[found.workspace_id]) for found in newest]}


def _item(engine: Engine, newest: ModelVersion, workspace: Workspace) -> dict[str, Json]:
    versions = engine.models.versions(newest.model_id)
    model = {**_model(newest), "created_at": iso(versions[-1].created_at), "updated_at": iso(newest.created_at)}
    return {
        **model,
        "model": {**model, "workspace_id": workspace.id},
        "model_versions": [
            {"model_version": models.version_json(one), "config": config_json(engine, one)} for one in versions
        ],
        "workspace": short_workspace_json(workspace),
    }


def _model(found: ModelVersion) -> dict[str, Json]:
    return {"id": found.model_id, "name": found.name, "owner_id": ""}


def _get(call: Call) -> Json:
    versions = call.engine.models.versions(call.need("id", int))
    if not versions or not call.caller.may_use(versions[0].workspace_id):
        raise NotFound(f"There is no model {call.body.get('id')}.")
    workspace = call.caller.workspace(versions[0].workspace_id)
    return {
        **_model(versions[0]),
        "created_at": iso(versions[-1].created_at),
        "updated_at": iso(versions[0].created_at),
        "models": [{**models.version_json(one), "owner_id": ""} for one in versions],
        "workspace": {"id": workspace.id, "name": workspace.name},
    }


def _upload_logs(call: Call) -> Json:
    found = usable_version(call.engine, call.caller, call.need("model_version_id", int))
    return {"logs": call.engine.loading.logs(found, call.maybe("lines", int))}


async def _upload_stream(request: Request) -> Response:
    """The file is the body; what it is stands in the query."""
    engine, caller = await authenticated(request)
    query = dict(request.query_params)
    workspace = caller.workspace(_number(query.get("workspace_id", "")))
    name = name_of(dict(query), "name")
    file_name = field_of(dict(query), "filename", str)
    async with spooled_body(request, models.MAX_MODEL_BYTES) as file:
        config = conversion.config_of(engine, {}, file_name)
        found = await run_in_threadpool(engine.models.upload, workspace.id, name, file_name, file, config)
    conversion.begun(engine, found)
    subject = f"model {name} {found.sha}"
    await run_in_threadpool(write_down, engine, caller, "upload", subject, address_of(request))
    return JSONResponse({"insert_models": {"returning": [{"models": [{"id": found.id}]}]}})


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 19):
        raise BadInput(f"workspace_id must be a number; {text[:50]!r} came.")
    return int(text)


ROUTES = [
    post("/v1/api/models/get_version_by_id", _get_version),
    post("/v1/api/models/insert_model_config", _insert_config),
    post("/v1/api/models/get_config_by_id", _get_config),
    post("/v1/api/models/list", _list),
    post("/v1/api/models/get", _get),
    post("/v1/api/models/get_upload_logs", _upload_logs),
    Route("/v1/api/models/upload_stream", guarded(_upload_stream), methods=["POST"]),
]
