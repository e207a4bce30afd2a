"""`/v2/...`: the Open Inference Protocol, version 2, over the same deployments and data plane as the platform's API.

A model of the protocol is a pipeline here. Where several workspaces of a caller have a pipeline of one name,
`?workspace=NAME` says which is meant. A version is the UUID of the pipeline's version in force.
"""

from __future__ import annotations

from functools import partial

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from specrunner import __version__
from specrunner.core.errors import Conflict, NotFound
from specrunner.engine.engine import Engine
from specrunner.engine.records import Deployment
from specrunner.server.calls import door_of, guarded, read_body
from specrunner.server.door import Door
from specrunner.server.inference import MAX_INFERENCE_BYTES, quickly
from specrunner.server.remembered import Remembered

Named = tuple[Deployment, str]


async def _live(_request: Request) -> Response:
    return JSONResponse({"live": True})


async def _ready(_request: Request) -> Response:
    return JSONResponse({"ready": True})


async def _server(_request: Request) -> Response:
    return JSONResponse({"name": "specrunner", "version": __version__, "extensions": ["binary_tensor_data"]})


async def _model(request: Request) -> Response:
    return await run_in_threadpool(_described, request, _who(request))


async def _model_ready(request: Request) -> Response:
    return await run_in_threadpool(_is_ready, request, _who(request))


async def _infer(request: Request) -> Response:
    who = _who(request)
    body = await read_body(request, MAX_INFERENCE_BYTES)
    known: Named | None = request.app.state.named_deployments.known(who, *_asked(request))
    return await quickly(request, body, known[0] if known else None, known, partial(_answer, who, request, body))


def _who(request: Request) -> str:
    return door_of(request).signed(request)


def _described(request: Request, who: str) -> Response:
    from specrunner.engine import tables

    engine: Engine = request.app.state.engine
    deployment, version = _named(request, who)
    plane = engine.planes.plane(deployment)
    described = {
        "name": deployment.pipeline,
        "versions": [version],
        "platform": "specrunner_pipeline",
        "inputs": tables.open_metadata(plane.inputs),
        "outputs": tables.open_metadata(plane.outputs),
    }
    return JSONResponse(described)


def _is_ready(request: Request, who: str) -> Response:
    engine: Engine = request.app.state.engine
    deployment, _ = _named(request, who)
    engine.planes.plane(deployment)
    return JSONResponse({"name": deployment.pipeline, "ready": True})


def _answer(who: str, request: Request, body: bytes, known: Named | None) -> Response:
    from specrunner.engine import tables

    engine: Engine = request.app.state.engine
    deployment, version = known or _named(request, who)
    asked = tables.read_open_request(body, request.headers.get(tables.BINARY_HEADER))
    result = engine.planes.infer(deployment, asked.table)
    answer = tables.write_open_answer(result, asked, deployment.pipeline, version)
    if answer.json_length is None:
        return Response(answer.body, media_type="application/json")
    headers = {tables.BINARY_HEADER: str(answer.json_length)}
    return Response(answer.body, headers=headers, media_type="application/octet-stream")


def _named(request: Request, who: str) -> Named:
    """The deployment that a path names, and its version in force. Raises as `_find` does."""
    found: Named = request.app.state.named_deployments(who, *_asked(request))
    return found


def _asked(request: Request) -> tuple[str, str | None, str | None]:
    path = request.path_params
    return path["pipeline"], request.query_params.get("workspace"), path.get("version")


def named_deployments(engine: Engine, door: Door) -> Remembered[str | None, Named]:
    """By caller, pipeline, workspace and version, what they may infer on now; raises as `_find` does."""
    return Remembered(engine.generation, lambda *asked: _find(engine, door, *asked))


def _find(engine: Engine, door: Door, who: str, name: str, workspace: str | None, version: str | None) -> Named:
    """Raises NotAuthorised, NotFound, Conflict where several have the name, Unavailable for what is not deployed."""
    caller = door.living(who)
    places = [place.id for place in caller.workspaces if workspace in {None, place.name}]
    found = [pipeline for pipeline, place in engine.pipelines.called(name) if place in places]
    if len(found) > 1:
        raise Conflict(
            f"Several workspaces have a pipeline {name!r}.", remedy="Say which is meant: `?workspace=NAME` in the URL."
        )
    deployment = engine.deployments.of_pipeline(found[0]) if found else None
    if deployment is None:
        raise NotFound(f"There is no deployed pipeline {name!r}.", remedy="Deploy it first.")
    usable = engine.deployments.usable(deployment.id, caller.holder)
    return usable, _in_force(engine, usable, version)


def _in_force(engine: Engine, deployment: Deployment, asked: str | None) -> str:
    version = engine.pipelines.version(deployment.version_id).version
    if asked not in {None, version}:
        raise NotFound(
            f"The version {asked!r} of {deployment.pipeline!r} is not deployed.",
            detail=f"In force is {version}.",
            remedy="Leave the version out of the URL, or deploy that one.",
        )
    return version


_MODEL = "/v2/models/{pipeline}"
_VERSION = f"{_MODEL}/versions/{{version}}"
ROUTES = [
    Route("/v2", _server),
    Route("/v2/health/live", _live),
    Route("/v2/health/ready", _ready),
    *[Route(base, guarded(_model), methods=["GET"]) for base in (_MODEL, _VERSION)],
    *[Route(f"{base}/ready", guarded(_model_ready), methods=["GET"]) for base in (_MODEL, _VERSION)],
    *[Route(f"{base}/infer", guarded(_infer), methods=["POST"]) for base in (_MODEL, _VERSION)],
]
