"""`/v1/api/models/...`: upload a version, read it, configure it."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from specrunner.core.errors import BadInput, NotFound
from specrunner.core.values import Json, iso
from specrunner.engine.records import ModelVersion
from specrunner.server.calls import Call, authenticated, field_of, guarded, limited, name_of, parse_object, post
from specrunner.server.mlops import conversion

MAX_MODEL_BYTES = 4 * 2**30


async def _upload(request: Request) -> Response:
    engine, caller = await authenticated(request)
    # Two files: some clients send the metadata as one.
    async with limited(request, MAX_MODEL_BYTES).form(max_files=2, max_part_size=2**20) as form:
        file = form.get("file")
        metadata = await _metadata(form.get("metadata"))
        if not isinstance(file, UploadFile):
            raise BadInput("The upload has no part `file`.")
        workspace = caller.workspace(field_of(metadata, "workspace_id", int))
        name = name_of({"name": file.filename, **metadata}, "name")
        file_name = file.filename or name
        config = conversion.config_of(engine, metadata, file_name)
        version = await run_in_threadpool(engine.models.upload, workspace.id, name, file_name, file.file, config)
        conversion.begun(engine, version)
    return JSONResponse({"insert_models": {"returning": [{"models": [{"id": version.id}]}]}})


async def _metadata(part: UploadFile | str | None) -> dict[str, Json]:
    """The part `metadata`, with or without a file name."""
    if part is None:
        raise BadInput("The upload has no part `metadata`.")
    return parse_object(part.encode() if isinstance(part, str) else await part.read())


def _version(call: Call, field: str) -> ModelVersion:
    found = call.engine.models.version(call.need(field, int))
    if not call.caller.may_use(found.workspace_id):
        raise NotFound(f"There is no model {found.id}.")
    return found


def _version_json(found: ModelVersion) -> dict[str, Json]:
    return {
        "id": found.id,
        "models_pk_id": found.model_id,
        "model_id": found.name,
        "name": found.name,
        "model_version": found.version,
        "sha": found.sha,
        "file_name": found.file_name,
        "file_info": {
            "version": found.version,
            "sha": found.sha,
            "file_name": found.file_name,
            "size": found.size,
        },
        "workspace_id": found.workspace_id,
        "visibility": "private",
        **conversion.state_json(found),
        "created_at": iso(found.created_at),
        "updated_at": iso(found.created_at),
    }


def _config_json(found: ModelVersion) -> dict[str, Json]:
    return {
        "id": found.id,
        "model_version_id": found.id,
        "runtime": "onnx" if found.config.get("framework", "onnx") == "onnx" else "flight",
        "tensor_fields": None,
        "filter_threshold": None,
    }


def _get_version_by_id(call: Call) -> Json:
    found = conversion.begun(call.engine, _version(call, "model_version_id"))
    return {"model_version": {"model_version": _version_json(found), "config": _config_json(found)}}


def _insert_model_config(call: Call) -> Json:
    found = _version(call, "model_version_id")
    schemas = conversion.schemas_of(call.body)
    return {"model_config": _config_json(call.engine.models.declare(found, schemas) if schemas else found)}


def _upload_logs(call: Call) -> Json:
    found = _version(call, "model_version_id")
    return {"logs": call.engine.loading.logs(found, call.maybe("lines", int))}


ROUTES = [
    Route("/v1/api/models/upload", guarded(_upload), methods=["POST"]),
    Route("/v1/api/models/upload_and_convert", guarded(_upload), methods=["POST"]),
    post("/v1/api/models/get_upload_logs", _upload_logs),
    post("/v1/api/models/get_version_by_id", _get_version_by_id),
    post("/v1/api/models/insert_model_config", _insert_model_config),
]
