"""The pipelines of a server: versions, deployments as a person, and their logs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from specrunner.core.errors import BadInput
from specrunner.core.keys import Key
from specrunner.targets.server.http import Asked, Connection, Sent
from specrunner.targets.serving import LogRows, PipelineView, Span, VersionView
from specrunner.targets.wire import records as wire
from specrunner.targets.wire.mirror import meant_key

_FORMATS: Final = {".arrow": "arrow", ".parquet": "parquet", ".csv": "csv"}


def pipelines(http: Connection) -> Sequence[PipelineView]:
    """All that our token sees, by key."""
    return [_view(one) for one in http.ask(Sent("GET", "/pipelines"), wire.ToldPipelines).pipelines]


def deploy(http: Connection, key: Key, version: str | None) -> PipelineView:
    """Hold a version as a user of that server."""
    return _view(http.ask(Sent("POST", "/pipelines/deploy", wire.SentDeploy(str(key), version)), wire.ToldPipeline))


def undeploy(http: Connection, key: Key, *, force: bool) -> PipelineView:
    """Give back the hold of that server's users, with `force` also that of the specs."""
    return _view(http.ask(Sent("POST", "/pipelines/undeploy", wire.SentUndeploy(str(key), force)), wire.ToldPipeline))


def logged(http: Connection, key: Key, limit: int | None, span: Span) -> LogRows:
    """A page of the log."""
    from specrunner.engine import tables

    query = _span(key, span) | ({} if limit is None else {"limit": limit})
    rows = tables.decode(http.fetch(Sent("GET", "/pipelines/log", query=query)).content, tables.Media.ARROW_FILE)
    more = (rows.schema.metadata or {}).get(b"more", b"").decode()
    return LogRows(rows.replace_schema_metadata(None), more)


def export(http: Connection, key: Key, path: Path, span: Span) -> int:
    """The log, or a span of it, as a file that is there whole or not at all."""
    if path.suffix not in _FORMATS:
        raise BadInput(f"{path.name} is no file to export to.", remedy=f"Name one that ends in {', '.join(_FORMATS)}.")
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("xb") as file:
            query = _span(key, span) | {"format": _FORMATS[path.suffix]}
            headers = http.download(Sent("GET", "/pipelines/export", query=query), file)
        part.replace(path)
    except OSError as problem:
        raise BadInput(f"{path} can't be written", f"{problem.strerror}.", "Name another file.") from problem
    finally:
        part.unlink(missing_ok=True)
    return int(headers.get("x-rows", "0"))


def _span(key: Key, span: Span) -> dict[str, Asked]:
    found: dict[str, Asked] = {"pipeline": key}
    times = {"start": span.start, "end": span.end}
    return found | {name: moment for name, moment in times.items() if moment is not None}


def _view(told: wire.ToldPipeline) -> PipelineView:
    versions = tuple(VersionView(one.version, one.created, tuple(one.steps), one.in_force) for one in told.versions)
    return PipelineView(meant_key(told.key), versions, told.holders, told.given_back, told.logged)
