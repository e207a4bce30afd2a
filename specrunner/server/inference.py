"""`/v1/api/pipelines/infer/<deployment>/<pipeline>`: tables in, tables out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from specrunner.core.errors import NotFound
from specrunner.engine.engine import Engine
from specrunner.engine.records import Deployment
from specrunner.server.auth import living_caller, signed_run
from specrunner.server.calls import guarded, parse_json, read_body
from specrunner.server.mlops.pipelines import visible_deployment
from specrunner.server.remembered import Remembered

if TYPE_CHECKING:
    from specrunner.engine.tables import Media

MAX_INFERENCE_BYTES = 1 * 2**30

_CUSTOM = "format=wallaroo"


async def _infer(request: Request) -> Response:
    # The signature is checked before the body is read; whether the run lives, with the rest, in the one thread.
    run_id = signed_run(request.app.state.engine, request.headers.get("authorization", ""))
    body = await read_body(request, MAX_INFERENCE_BYTES)
    content_type = request.headers.get("content-type", "")
    answer = _answer_json if _CUSTOM in content_type else _answer
    return await run_in_threadpool(answer, run_id, request, body)


def _answer_json(run_id: str, request: Request, body: bytes) -> Response:
    """Custom JSON: a value in, a list of objects out, the model's own business in between."""
    path = request.path_params
    deployment = request.app.state.usable_deployments(run_id, path["deployment"], path["pipeline"])
    engine: Engine = request.app.state.engine
    return JSONResponse(engine.planes.infer_json(deployment, parse_json(body)))


def _answer(run_id: str, request: Request, body: bytes) -> Response:
    from specrunner.engine import tables

    engine: Engine = request.app.state.engine
    path = request.path_params
    deployment = request.app.state.usable_deployments(run_id, path["deployment"], path["pipeline"])
    table = tables.decode(body, request.headers.get("content-type", ""))
    result = engine.planes.infer(deployment, table)
    query = request.query_params
    chosen = tables.select_columns(
        result,
        query.getlist("dataset[]") or [tables.ALL_COLUMNS],
        query.getlist("dataset.exclude[]"),
        query.get("dataset.separator", "."),
    )
    media = _wanted(request)
    return Response(tables.encode(chosen, media), media_type=media)


def usable_deployments(engine: Engine) -> Remembered[str, Deployment]:
    """By run, deployment's name and pipeline's name, what the run may infer on now; raises as `_usable` does."""
    return Remembered(engine.generation, lambda run_id, name, pipeline: _usable(engine, run_id, name, pipeline))


def _usable(engine: Engine, run_id: str, name: str, pipeline: str) -> Deployment:
    """Raises NotAuthorised for a run that has ended, NotFound and Unavailable for what it can't use."""
    caller = living_caller(engine, run_id)
    named = visible_deployment(engine, caller, name)
    if named.pipeline != pipeline:
        raise NotFound(f"The deployment {named.name!r} is not of a pipeline {pipeline!r}.")
    return engine.deployments.usable(named.id, caller.holder)


def _wanted(request: Request) -> Media:
    """What to answer in: what is accepted if it carries tables, else what was sent."""
    from specrunner.engine import tables

    for header in ("accept", "content-type"):
        value = request.headers.get(header, "*/*")
        if value and "*" not in value:
            return tables.media_of_header(value)
    return tables.Media.PANDAS_RECORDS


ROUTES = [Route("/v1/api/pipelines/infer/{deployment}/{pipeline}", guarded(_infer), methods=["POST"])]
