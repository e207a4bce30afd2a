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
from specrunner.server.access import address_of
from specrunner.server.calls import authenticated, field_of, guarded, limited, name_of, parse_object, write_down
from specrunner.server.mlops import conversion

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
        name = name_of({"name": file.filename, **metadata}, "name")
        file_name = file.filename or name
        config = conversion.config_of(engine, metadata, file_name)
        version = await run_in_threadpool(engine.models.upload, workspace.id, name, file_name, file.file, config)
        conversion.begun(engine, version)
    subject = f"model {name} {version.sha}"
    await run_in_threadpool(write_down, engine, caller, "upload", subject, address_of(request))
    return JSONResponse({"insert_models": {"returning": [{"models": [{"id": version.id}]}]}})


async def read_metadata(part: UploadFile | str | None) -> dict[str, Json]:
    """The part `metadata` of an upload, with or without a file name. Raises BadInput."""
    if part is None:
        raise BadInput("The upload has no part `metadata`.")
    return parse_object(part.encode() if isinstance(part, str) else await part.read())


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
        **conversion.state_json(found),
        "created_at": iso(found.created_at),
        "updated_at": iso(found.created_at),
    }


ROUTES = [
    Route("/v1/api/models/upload", guarded(_upload), methods=["POST"]),
    Route("/v1/api/models/upload_and_convert", guarded(_upload), methods=["POST"]),
]
