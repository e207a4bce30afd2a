"""`/v1/logs/topic/<topic>/records`: the inference log of a pipeline, page by page."""

from __future__ import annotations

import json
from datetime import datetime

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from specrunner.core.errors import BadInput, NotFound
from specrunner.core.values import Json, parse_iso
from specrunner.engine.engine import Engine
from specrunner.engine.records import Pipeline
from specrunner.server.auth import Caller
from specrunner.server.calls import MAX_JSON_BYTES, authenticated, guarded, parse_object, read_body
from specrunner.server.mlops.pipelines import topic_of
from specrunner.server.mlops.wire import as_clients_count

_MAX_DIGITS = 15  # of a number of rows


async def _records(request: Request) -> Response:
    engine, caller = await authenticated(request)
    after = parse_object(await read_body(request, MAX_JSON_BYTES))
    return await run_in_threadpool(_page, engine, caller, request, after)


def _page(engine: Engine, caller: Caller, request: Request, after: dict[str, Json]) -> Response:
    from specrunner.engine import tables

    query = request.query_params
    pipeline = _pipeline(engine, caller, request.path_params["topic"])
    page = engine.planes.log(pipeline.id).read(
        limit=_limit(query.get("page_size")),
        start=_instant(query.get("time.start")),
        end=_instant(query.get("time.end")),
        newest_first=True if query.get("order") == "desc" else None,
        after=after or None,
    )
    table = as_clients_count(page.table)
    if table.num_rows:
        table = tables.select_columns(
            table,
            query.getlist("dataset[]") or [tables.ALL_COLUMNS],
            query.getlist("dataset.exclude[]"),
            query.get("dataset.separator", "."),
        )
    status = json.dumps({"status": page.status, "next": page.next})
    table = table.replace_schema_metadata({"status": status})
    return Response(tables.encode(table, tables.Media.ARROW_FILE), media_type=tables.Media.ARROW_FILE)


def _pipeline(engine: Engine, caller: Caller, topic: str) -> Pipeline:
    for pipeline in engine.pipelines.all():
        if caller.may_use(pipeline.workspace_id) and topic_of(pipeline) == topic:
            return pipeline
    raise NotFound(f"There is no log {topic!r}.")


def _limit(text: str | None) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= _MAX_DIGITS and int(text) > 0):
        raise BadInput(f"page_size must be a whole number above 0; {text[:100]!r} came.")
    return int(text)


def _instant(text: str | None) -> datetime | None:
    try:
        return parse_iso(text) if text else None
    except ValueError as problem:
        raise BadInput(f"{text!r} is no instant such as 2026-01-31T12:00:00Z.") from problem


ROUTES = [Route("/v1/logs/topic/{topic}/records", guarded(_records), methods=["POST"])]
