"""`/v1/api/pipelines/infer/<deployment>/<pipeline>`: tables in, tables out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from specrunner.core.errors import BadInput, NotFound
from specrunner.engine.engine import Engine
from specrunner.server.auth import Caller
from specrunner.server.calls import authenticated, guarded, read_body
from specrunner.server.mlops.pipelines import visible_deployment

if TYPE_CHECKING:
    from specrunner.engine.tables import Media

MAX_INFERENCE_BYTES = 1 * 2**30

_CUSTOM = "format=wallaroo"


async def _infer(request: Request) -> Response:
    engine, caller = await authenticated(request)
    body = await read_body(request, MAX_INFERENCE_BYTES)
    content_type = request.headers.get("content-type", "")
    if _CUSTOM in content_type:
        raise BadInput(
            "This pipeline takes tables, not custom JSON.",
            detail="Custom JSON (a dict in, a list of dicts out) is for pipelines of Python models.",
            remedy="Send a pandas.DataFrame or a pyarrow.Table.",
        )
    return await run_in_threadpool(_answer, engine, caller, request, body)


def _answer(engine: Engine, caller: Caller, request: Request, body: bytes) -> Response:
    from specrunner.engine import tables

    named = visible_deployment(engine, caller, request.path_params["deployment"])
    if named.pipeline != request.path_params["pipeline"]:
        raise NotFound(f"The deployment {named.name!r} is not of a pipeline {request.path_params['pipeline']!r}.")
    deployment = engine.deployments.usable(named.id, caller.holder)
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


def _wanted(request: Request) -> Media:
    """What to answer in: what is accepted if it carries tables, else what was sent."""
    from specrunner.engine import tables

    for header in ("accept", "content-type"):
        value = request.headers.get(header, "*/*")
        if value and "*" not in value:
            return tables.media_of_header(value)
    return tables.Media.PANDAS_RECORDS


ROUTES = [Route("/v1/api/pipelines/infer/{deployment}/{pipeline}", guarded(_infer), methods=["POST"])]
