"""The pipelines of the embedded engine: versions, deployments as a person, and their logs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from specrunner.core.errors import BadInput, NotFound
from specrunner.core.keys import Key, Kind
from specrunner.engine.records import Deployment, Pipeline, PipelineVersion
from specrunner.targets.serving import LogRows, PipelineView, Span, VersionView

if TYPE_CHECKING:
    from specrunner.engine.engine import Engine


def usable(engine: Engine, key: Key) -> Deployment:
    """The deployment on which this user may infer. Raises NotFound, Unavailable."""
    deployment = engine.deployments.of_pipeline(_named(engine, key).id)
    if deployment is None:
        raise NotFound(
            f"The pipeline {key.name!r} was never deployed.", remedy="Declare `deployed: true` in its spec and apply."
        )
    return engine.deployments.usable(deployment.id, engine.user_holder)


def pipelines(engine: Engine) -> Sequence[PipelineView]:
    """All of them, by key."""
    with engine.snapshot():
        names = {workspace.id: workspace.name for workspace in engine.workspaces.all()}
        found = engine.pipelines.all()
        deployments = {one.pipeline_id: one for one in engine.deployments.all()}
    views = [_view(engine, names[one.workspace_id], one, deployments.get(one.id)) for one in found]
    return sorted(views, key=lambda view: view.key)


def deploy(engine: Engine, key: Key, asked: str | None) -> PipelineView:
    """Hold a version as this user."""
    pipeline = _named(engine, key)
    version = pipeline.current if asked is None else _version(pipeline, asked)
    if version is None or not version.definition:
        raise BadInput(
            f"{key} has no steps to deploy.",
            remedy="Declare `steps` in its spec and apply." if asked is None else "Name a version that has steps.",
        )
    engine.planes.deploy(pipeline.id, version.id, engine.user_holder)
    return _one(engine, key)


def undeploy(engine: Engine, key: Key, *, force: bool) -> PipelineView:
    """Give back this user's hold, with `force` also that of the specs."""
    deployment = engine.deployments.of_pipeline(_named(engine, key).id)
    if deployment is not None:
        engine.planes.undeploy(deployment.id, engine.user_holder, force=force)
    return _one(engine, key)


def logged(engine: Engine, key: Key, limit: int | None, span: Span) -> LogRows:
    """A page of the log."""
    page = engine.planes.log(_named(engine, key).id).read(limit, span.start, span.end)
    return LogRows(page.table, "" if page.next is None else str(page.status))


def export(engine: Engine, key: Key, path: Path, span: Span) -> int:
    """The log, or a span of it, as a file."""
    return engine.planes.log(_named(engine, key).id).export(path, span.start, span.end)


def _named(engine: Engine, key: Key) -> Pipeline:
    return engine.pipelines.named(engine.workspaces.named(key.workspace).id, key.name)


def _one(engine: Engine, key: Key) -> PipelineView:
    pipeline = _named(engine, key)
    return _view(engine, key.workspace, pipeline, engine.deployments.of_pipeline(pipeline.id))


def _version(pipeline: Pipeline, asked: str) -> PipelineVersion:
    found = [version for version in pipeline.versions if version.version.startswith(asked)]
    if len(found) == 1:
        return found[0]
    words = "no version" if not found else f"{len(found)} versions"
    raise NotFound(
        f"{pipeline.name!r} has {words} {asked!r}.", remedy=f"See `specrunner pipeline versions {pipeline.name}`."
    )


def _view(engine: Engine, workspace: str, pipeline: Pipeline, deployment: Deployment | None) -> PipelineView:
    in_force = deployment.version_id if deployment is not None and deployment.holders else None
    return PipelineView(
        key=Key(Kind.PIPELINE, workspace, pipeline.name),
        versions=tuple(
            VersionView(
                version=one.version,
                created=one.created_at,
                steps=tuple(engine.pipelines.spec_steps(one)),
                in_force=one.id == in_force,
            )
            for one in pipeline.versions
        ),
        holders=deployment.holders if deployment is not None else (),
        given_back=deployment.given_back if deployment is not None else (),
        logged=engine.planes.log(pipeline.id).count(),
    )
