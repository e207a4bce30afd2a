"""Using what is live: connections and inference."""

from __future__ import annotations

import json

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from specrunner.core.access import Identity, Scope
from specrunner.core.errors import BadInput, NotFound
from specrunner.core.keys import Key, Kind
from specrunner.engine.records import Connection
from specrunner.server.access import Forbidden
from specrunner.server.api.guarding import check_key
from specrunner.server.api.objects import BYTES
from specrunner.server.api.table import JSON, PREFIX, Call, Operation, Query, Service, asked_key
from specrunner.server.bodies import read_body
from specrunner.server.calls import parse_json
from specrunner.targets.wire.records import Connections, Details, ListedConnection

_MAX_ROWS = 2**30  # bytes
_MAX_JSON = 256 * 2**20


def _seen(call: Call) -> list[Connection]:
    found = call.engine.connections.all()
    return [one for one in found if call.identity.sees(_key(one), {"workspaces": one.workspaces})]


def _key(found: Connection) -> Key:
    return Key(Kind.CONNECTION, "", found.name)


def _list(call: Call) -> Connections:
    identity = call.identity
    return Connections(
        [
            ListedConnection(
                one.id, one.name, one.type, tuple(filter(identity.sees_workspace, one.workspaces)), one.created_at
            )
            for one in _seen(call)
        ]
    )


def _details(call: Call) -> Details:
    if not call.identity.reads_details:
        raise Forbidden(
            "The details of a connection are for runs, and for tokens with the scope run.",
            detail=f"{call.identity.who} has neither.",
        )
    name = call.query["name"]
    found = next((one for one in _seen(call) if one.name == name), None)
    if found is None:
        raise NotFound(f"There is no connection {name!r}.")
    return Details(found.name, found.type, call.engine.connections.details(found.name))


async def _infer(request: Request, service: Service, identity: Identity) -> Response:
    key = asked_key(request.query_params.get("pipeline", ""), Kind.PIPELINE)
    check_key(identity, key)
    body = await read_body(request, _MAX_ROWS)
    media = request.headers.get("content-type", "")
    if not media:
        raise BadInput("The request does not say what its body is.", remedy="Send a Content-Type.")
    data, answer_media = await run_in_threadpool(_inferred, service, key, body, media)
    return Response(data, media_type=answer_media)


def _inferred(service: Service, key: Key, body: bytes, media: str) -> tuple[bytes, str]:
    from specrunner.engine import tables

    result = service.target.infer_table(key, lambda: tables.decode(body, media))
    return tables.encode(result, tables.Media.ARROW_FILE), tables.Media.ARROW_FILE


async def _infer_json(request: Request, service: Service, identity: Identity) -> Response:
    key = asked_key(request.query_params.get("pipeline", ""), Kind.PIPELINE)
    check_key(identity, key)
    value = parse_json(await read_body(request, _MAX_JSON))
    answer = await run_in_threadpool(service.target.infer_json, key, value)
    return Response(json.dumps(answer), media_type=JSON)


OPERATIONS = [
    Operation("GET", f"{PREFIX}/connections", Scope.READ, "Connections, never with their details", Connections, _list),
    Operation(
        "GET",
        f"{PREFIX}/connections/details",
        Scope.READ,
        "All details of one connection, for runs and for who may start them; stands in the audit log",
        Details,
        _details,
        query=(Query("name", str, "The name of the connection.", required=True),),
        audited="details",
        subject=lambda call: call.query["name"],
    ),
    Operation(
        "POST",
        f"{PREFIX}/infer",
        Scope.RUN,
        "Infer on rows through a deployed pipeline: Arrow, JSON records, CSV or Parquet in, an Arrow file out",
        "application/vnd.apache.arrow.file",
        raw=_infer,
        body=BYTES,
        query=(Query("pipeline", Key, "The pipeline, as Pipeline/workspace/name.", required=True),),
        limit=_MAX_ROWS,
    ),
    Operation(
        "POST",
        f"{PREFIX}/infer/json",
        Scope.RUN,
        "Infer on custom JSON through a deployed pipeline of Python models: a value in, a list of objects out",
        JSON,
        raw=_infer_json,
        body=JSON,
        query=(Query("pipeline", Key, "The pipeline, as Pipeline/workspace/name.", required=True),),
        limit=_MAX_JSON,
    ),
]
