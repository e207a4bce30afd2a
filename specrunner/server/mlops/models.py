"""`/v1/api/models/upload...`: a file becomes a version. What there is: `catalogue`."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from specrunner.core.errors import BadInput
from specrunner.core.values import Json, iso
from specrunner.engine.records import ModelVersion
from specrunner.server.calls import authenticated, field_of, guarded, limited, name_of, parse_object

MAX_MODEL_BYTES = 4 * 2**30


async def _upload(request: Request) -> Response:
    engine, caller = await authenticated(request)
    # Two files: some clients send the metadata as one.
    async with limited(request, MAX_MODEL_BYTES).form(max_files=2, max_part_size=2**20) as form:
        file = form.get("file")
        metadata = await read_metadata(form.get("metadata"))
        if not isinstance(file, UploadFile):
            raise BadInput("The upload has no part `file`.")
        workspace = caller.workspace(field_of(metadata, "workspace_id", int))
        config = {"framework": _framework(metadata)}
        name = name_of({"name": file.filename, **metadata}, "name")
        version = await run_in_threadpool(
            engine.models.upload, workspace.id, name, file.filename or name, file.file, config
        )
    return JSONResponse({"insert_models": {"returning": [{"models": [{"id": version.id}]}]}})


async def read_metadata(part: UploadFile | str | None) -> dict[str, Json]:
    """The part `metadata` of an upload, with or without a file name. Raises BadInput."""
    if part is None:
        raise BadInput("The upload has no part `metadata`.")
    return parse_object(part.encode() if isinstance(part, str) else await part.read())


def _framework(metadata: dict[str, Json]) -> str:
    conversion = metadata.get("conversion")
    if conversion is None:
        return "onnx"
    return field_of({"framework": "onnx", **field_of(metadata, "conversion", dict)}, "framework", str)


def framework_of_file(file_name: str) -> str:
    """The framework that a file's name tells, where the client does not."""
    return "python" if file_name.endswith((".py", ".pkl", ".zip")) else "onnx"


def version_json(found: ModelVersion) -> dict[str, Json]:
    """A version as the clients parse it, in both of their spellings."""
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
        "conversion": {"framework": str(found.config.get("framework", "onnx")), "arch": "x86", "accel": "none"},
        "error_summary": None,
        "status": "ready",
        "created_at": iso(found.created_at),
        "updated_at": iso(found.created_at),
    }


ROUTES = [
    Route("/v1/api/models/upload", guarded(_upload), methods=["POST"]),
    Route("/v1/api/models/upload_and_convert", guarded(_upload), methods=["POST"]),
]
