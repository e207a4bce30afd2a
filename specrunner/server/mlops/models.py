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
        config = {"framework": _framework(metadata)}
        name = name_of({"name": file.filename, **metadata}, "name")
        version = await run_in_threadpool(
            engine.models.upload, workspace.id, name, file.filename or name, file.file, config
        )
    return JSONResponse({"insert_models": {"returning": [{"models": [{"id": version.id}]}]}})


async def _metadata(part: UploadFile | str | None) -> dict[str, Json]:
    """The part `metadata`, with or without a file name."""
    if part is None:
        raise BadInput("The upload has no part `metadata`.")
    return parse_object(part.encode() if isinstance(part, str) else await part.read())


def _framework(metadata: dict[str, Json]) -> str:
    conversion = metadata.get("conversion")
    if conversion is None:
        return "onnx"
    return field_of({"framework": "onnx", **field_of(metadata, "conversion", dict)}, "framework", str)


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
        "status": "ready",
        "created_at": iso(found.created_at),
        "updated_at": iso(found.created_at),
    }


def _config_json(found: ModelVersion) -> dict[str, Json]:
    return {
        "id": found.id,
        "model_version_id": found.id,
        "runtime": "onnx",
        "tensor_fields": None,
        "filter_threshold": None,
    }


def _get_version_by_id(call: Call) -> Json:
    found = _version(call, "model_version_id")
    return {"model_version": {"model_version": _version_json(found), "config": _config_json(found)}}


def _insert_model_config(call: Call) -> Json:
    return {"model_config": _config_json(_version(call, "model_version_id"))}


ROUTES = [
    Route("/v1/api/models/upload", guarded(_upload), methods=["POST"]),
    post("/v1/api/models/get_version_by_id", _get_version_by_id),
    post("/v1/api/models/insert_model_config", _insert_model_config),
]
