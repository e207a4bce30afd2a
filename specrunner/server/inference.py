"""`/v1/api/pipelines/infer/<deployment>/<pipeline>`: tables in, tables out."""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from specrunner.core.errors import NotFound
from specrunner.engine.engine import Engine
from specrunner.engine.records import Deployment
from specrunner.server.calls import door_of, guarded, parse_json, read_body
from specrunner.server.door import Door
from specrunner.server.mlops.pipelines import visible_deployment
from specrunner.server.mlops.wire import as_clients_count, with_metadata
from specrunner.server.remembered import Remembered

if TYPE_CHECKING:
    from specrunner.engine.tables import Media

MAX_INFERENCE_BYTES = 256 * 2**20

_Known = TypeVar("_Known")

_CUSTOM = "format=wallaroo"
_SMALL = 256 * 2**10  # bytes of a request that is decoded in no time


async def _infer(request: Request) -> Response:
    # The signature is checked before the body is read; whether the caller lives, with the rest, in the one thread.
    who = door_of(request).signed(request)
    body = await read_body(request, MAX_INFERENCE_BYTES)
    if is_custom_json(request.headers.get("content-type", ""), body):
        return await run_in_threadpool(_answer_json, who, request, body)
    known: Deployment | None = request.app.state.usable_deployments.known(who, *_named(request))
    return await quickly(request, body, known, known, partial(_answer, who, request, body))


def is_custom_json(content_type: str, body: bytes) -> bool:
    """Whether the model is to get the value as it is: the newer clients say so, the older send an object as JSON."""
    plain = content_type.strip().lower() == "application/json"
    return _CUSTOM in content_type or (plain and body.lstrip()[:1] == b"{")


async def quickly(
    request: Request,
    body: bytes,
    deployment: Deployment | None,
    known: _Known | None,
    answer: Callable[[_Known | None], Response],
) -> Response:
    """The answer: made here and now where it takes no longer than handing it to another thread and back, else there.

    That is where the caller is known (`deployment`), the body is small, and the pipeline has answered at once of late.
    """
    engine: Engine = request.app.state.engine
    if deployment is not None and len(body) <= _SMALL and engine.planes.is_quick(deployment):
        return answer(known)
    return await run_in_threadpool(answer, None)  # what is known now may be old by then


def _named(request: Request) -> tuple[str, str]:
    return request.path_params["deployment"], request.path_params["pipeline"]


def _answer_json(who: str, request: Request, body: bytes) -> Response:
    """Custom JSON: a value in, a list of objects out, the model's own business in between."""
    deployment = request.app.state.usable_deployments(who, *_named(request))
    engine: Engine = request.app.state.engine
    return JSONResponse(engine.planes.infer_json(deployment, parse_json(body)))


def _answer(who: str, request: Request, body: bytes, known: Deployment | None) -> Response:
    from specrunner.engine import tables

    engine: Engine = request.app.state.engine
    deployment = known or request.app.state.usable_deployments(who, *_named(request))
    table = tables.decode(body, request.headers.get("content-type", ""))
    began = time.perf_counter()
    result = as_clients_count(engine.planes.infer(deployment, table))
    query = request.query_params
    wanted = query.getlist("dataset[]") or [tables.ALL_COLUMNS]
    if any(name.partition(".")[0] == "metadata" for name in wanted):
        version = engine.pipelines.version(deployment.version_id)
        last = engine.pipelines.models_of(version)[-1]
        result = with_metadata(result, (last.name, last.sha), version.version, time.perf_counter() - began)
    chosen = tables.select_columns(
        result,
        wanted,
        query.getlist("dataset.exclude[]"),
        query.get("dataset.separator", "."),
    )
    media = _wanted(request)
    return Response(tables.encode(chosen, media), media_type=media)


def usable_deployments(engine: Engine, door: Door) -> Remembered[str, Deployment]:
    """By caller, deployment's name and pipeline's name, what they may infer on now; raises as `_usable` does."""
    return Remembered(engine.generation, lambda who, name, pipeline: _usable(engine, door, who, name, pipeline))


def _usable(engine: Engine, door: Door, who: str, name: str, pipeline: str) -> Deployment:
    """Raises NotAuthorised for a caller that is gone, NotFound and Unavailable for what it can't use."""
    caller = door.living(who)
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


def _in_their_words(endpoint: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """The same endpoint; the clients of 2023, known by their HTTP library, take an error of an inference as a list."""

    async def wrapped(request: Request) -> Response:
        answer = await endpoint(request)
        if answer.status_code < 400 or not request.headers.get("user-agent", "").startswith("python-requests/"):
            return answer
        told = json.loads(bytes(answer.body))
        return JSONResponse([{**told, "error_type": "InferenceError"}], answer.status_code)

    return wrapped


_PATH = "/v1/api/pipelines/infer/{deployment}/{pipeline}"
ROUTES = [Route(_PATH, _in_their_words(guarded(_infer)), methods=["POST"])]
