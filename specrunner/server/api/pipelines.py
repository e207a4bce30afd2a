"""Pipelines as people look after them: what runs, who keeps it up, and what was asked and answered."""

from __future__ import annotations

import tempfile
from datetime import datetime
from pathlib import Path
from typing import Final

from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from specrunner.core.access import Identity, Scope
from specrunner.core.errors import BadInput
from specrunner.core.keys import Key, Kind
from specrunner.core.values import parse_iso
from specrunner.server.api.guarding import check_change, check_key
from specrunner.server.api.objects import BYTES
from specrunner.server.api.table import PREFIX, Call, Operation, Query, Service, asked_key
from specrunner.targets.serving import PipelineView, Span, VersionView
from specrunner.targets.wire.records import SentDeploy, SentUndeploy, ToldPipeline, ToldPipelines, ToldVersion

FORMATS: Final = ("arrow", "parquet", "csv")
_ARROW: Final = "application/vnd.apache.arrow.file"
_LONGEST: Final = 15  # digits of a number


def _told_version(version: VersionView) -> ToldVersion:
    return ToldVersion(version.version, version.created, tuple(map(dict, version.steps)), version.in_force)


def _told(view: PipelineView) -> ToldPipeline:
    versions = tuple(map(_told_version, view.versions))
    return ToldPipeline(str(view.key), versions, view.holders, view.given_back, view.logged)


def _list(call: Call) -> ToldPipelines:
    return ToldPipelines([_told(view) for view in call.target.pipelines() if call.identity.sees(view.key, {})])


def _deploy(call: Call) -> ToldPipeline:
    sent: SentDeploy = call.body
    key = asked_key(sent.pipeline, Kind.PIPELINE)
    check_key(call.identity, key)
    return _told(call.target.deploy(key, sent.version))


def _undeploy(call: Call) -> ToldPipeline:
    sent: SentUndeploy = call.body
    key = asked_key(sent.pipeline, Kind.PIPELINE)
    check_change(call.engine, call.identity, key)
    return _told(call.target.undeploy(key, force=sent.force))


async def _log(request: Request, service: Service, identity: Identity) -> Response:
    key, span = _asked(request, identity)
    limit = _limit(request.query_params.get("limit"))
    return Response(await run_in_threadpool(_page, service, key, limit, span), media_type=_ARROW)


def _page(service: Service, key: Key, limit: int | None, span: Span) -> bytes:
    from specrunner.engine import tables

    found = service.target.logged(key, limit, span)
    rows = found.rows.replace_schema_metadata({"more": found.more})
    return tables.encode(rows, tables.Media.ARROW_FILE)


async def _export(request: Request, service: Service, identity: Identity) -> Response:
    key, span = _asked(request, identity)
    suffix = request.query_params.get("format", FORMATS[0])
    if suffix not in FORMATS:
        raise BadInput(f"`format` is one of {', '.join(FORMATS)}; {suffix[:100]!r} came.")
    return await run_in_threadpool(_exported, service, key, suffix, span)


def _exported(service: Service, key: Key, suffix: str, span: Span) -> Response:
    """The file, made on the disk of the engine, as it may be larger than memory, and removed once it is sent."""
    folder = tempfile.TemporaryDirectory(prefix="export-", dir=service.engine.folder)
    try:
        path = Path(folder.name) / f"log.{suffix}"
        rows = service.target.export(key, path, span)
    except BaseException:
        folder.cleanup()
        raise
    headers = {"X-Rows": str(rows)}
    return FileResponse(path, headers=headers, media_type=BYTES, background=BackgroundTask(folder.cleanup))


def _asked(request: Request, identity: Identity) -> tuple[Key, Span]:
    query = request.query_params
    key = asked_key(query.get("pipeline", ""), Kind.PIPELINE)
    check_key(identity, key)
    return key, Span(_instant(query.get("start")), _instant(query.get("end")))


def _instant(text: str | None) -> datetime | None:
    try:
        return parse_iso(text) if text else None
    except ValueError as problem:
        raise BadInput(f"{(text or '')[:100]!r} is no instant such as 2026-01-31T12:00:00Z.") from problem


def _limit(text: str | None) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= _LONGEST and int(text) > 0):
        raise BadInput(f"`limit` is a whole number above 0; {text[:100]!r} came.")
    return int(text)


_PIPELINE: Final = Query("pipeline", Key, "The pipeline, as Pipeline/workspace/name.", required=True)
_SPAN: Final = (
    Query("start", datetime, "From this instant on."),
    Query("end", datetime, "Up to this instant, included."),
)

OPERATIONS = [
    Operation("GET", f"{PREFIX}/pipelines", Scope.READ, "Pipelines, their versions and holders", ToldPipelines, _list),
    Operation(
        "POST",
        f"{PREFIX}/pipelines/deploy",
        Scope.RUN,
        "Keep a pipeline up until it is undeployed, whatever specs and runs do",
        ToldPipeline,
        _deploy,
        body=SentDeploy,
        audited="deploy",
        subject=lambda call: call.body.pipeline,
    ),
    Operation(
        "POST",
        f"{PREFIX}/pipelines/undeploy",
        Scope.APPLY,
        "Give back the hold of users, with `force` also that of the specs",
        ToldPipeline,
        _undeploy,
        body=SentUndeploy,
        audited="undeploy",
        subject=lambda call: call.body.pipeline,
    ),
    Operation(
        "GET",
        f"{PREFIX}/pipelines/log",
        Scope.READ,
        "A page of an inference log, the newest row first, or with times the oldest; an Arrow file, "
        "whose metadata `more` says why there may be other rows",
        _ARROW,
        raw=_log,
        query=(_PIPELINE, Query("limit", int, "Rows at most; 100 without times."), *_SPAN),
    ),
    Operation(
        "GET",
        f"{PREFIX}/pipelines/export",
        Scope.READ,
        "An inference log, or a span of it, as a file; the header X-Rows counts its rows",
        BYTES,
        raw=_export,
        query=(_PIPELINE, Query("format", str, "arrow, parquet or csv.", default=FORMATS[0]), *_SPAN),
    ),
]
