"""Pipelines and their versions. Deploying them is `deployments`' business.

A definition is as the platform API writes it: `{"id": name, "steps": [{"ModelInference": {"models":
[{"name", "version", "sha"}]}}]}`. Every create of the API records a version; an equal definition is no change.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from specrunner.core.errors import BadInput, NotFound
from specrunner.core.values import JsonObject, digest, parse_iso
from specrunner.engine.context import Context, new_id
from specrunner.engine.records import Pipeline, PipelineVersion
from specrunner.engine.store import tables

_P = tables.pipelines
_V = tables.pipeline_versions


class Pipelines:
    """The service for pipelines."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def all(self, workspace_id: int | None = None) -> list[Pipeline]:
        """All pipelines, or those of a workspace, newest first."""
        condition = sa.true() if workspace_id is None else _P.c.workspace_id == workspace_id
        return self._select(condition)

    def named(self, workspace_id: int, name: str) -> Pipeline:
        """The pipeline of that name. Raises NotFound."""
        return self._one((_P.c.workspace_id == workspace_id) & (_P.c.name == name), name)

    def get(self, pipeline_id: int) -> Pipeline:
        """The pipeline of that id. Raises NotFound."""
        return self._one(_P.c.id == pipeline_id, pipeline_id)

    def version(self, version_id: int) -> PipelineVersion:
        """One version by its id. Raises NotFound."""
        return self._version(_V.c.id == version_id, version_id)

    def by_uuid(self, version: str) -> PipelineVersion:
        """One version by its UUID. Raises NotFound."""
        return self._version(_V.c.version == version, version)

    def add_version(self, workspace_id: int, name: str, definition: JsonObject) -> PipelineVersion:
        """Record a version, making the pipeline if it isn't there. Raises BadInput for a malformed definition."""
        model_names(definition)
        with self._context.database.write() as connection:
            pipeline_id = self._ensure(connection, workspace_id, name)
            row = {
                "pipeline_id": pipeline_id,
                "version": new_id(),
                "definition": dict(definition),
                "definition_hash": digest(definition),
                "created_at": self._context.now(),
            }
            return _version_record(connection.execute(sa.insert(_V).values(row).returning(_V)).one())

    def configure(self, workspace_id: int, name: str, settings: JsonObject) -> Pipeline:
        """Make the pipeline if it isn't there, and remember what its spec says beside the steps."""
        with self._context.database.write() as connection:
            pipeline_id = self._ensure(connection, workspace_id, name)
            connection.execute(sa.update(_P).where(_P.c.id == pipeline_id).values(settings=dict(settings)))
        return self.get(pipeline_id)

    def delete(self, workspace_id: int, name: str) -> None:
        """Remove a pipeline with its versions and its deployment; one that isn't there is fine."""
        with self._context.database.write() as connection:
            connection.execute(sa.delete(_P).where(_P.c.workspace_id == workspace_id, _P.c.name == name))

    def models_of(self, version: PipelineVersion) -> list[dict[str, Any]]:
        """The model of each step of a version: `name`, `version`, `sha`."""
        return step_models(version.definition)

    def using(self, workspace_id: int, model: str) -> list[str]:
        """The pipelines of a workspace whose current version has this model as a step."""
        found = [pipeline for pipeline in self.all(workspace_id) if pipeline.current]
        return [p.name for p in found if p.current and model in model_names(p.current.definition)]

    def _ensure(self, connection: Connection, workspace_id: int, name: str) -> int:
        known = sa.select(_P.c.id).where(_P.c.workspace_id == workspace_id, _P.c.name == name)
        found = connection.execute(known).scalar()
        now = self._context.now()
        if found is not None:
            connection.execute(sa.update(_P).where(_P.c.id == found).values(updated_at=now))
            return int(found)
        row = {"workspace_id": workspace_id, "name": name, "settings": {}, "created_at": now, "updated_at": now}
        return int(connection.execute(sa.insert(_P).values(row).returning(_P.c.id)).scalar_one())

    def _one(self, condition: sa.ColumnElement[bool], asked: object) -> Pipeline:
        found = self._select(condition)
        if not found:
            raise NotFound(f"There is no pipeline {asked!r}.")
        return found[0]

    def _version(self, condition: sa.ColumnElement[bool], asked: object) -> PipelineVersion:
        query: sa.Select[Any] = sa.select(_V).where(condition)
        with self._context.database.read() as connection:
            row = connection.execute(query).first()
        if row is None:
            raise NotFound(f"There is no pipeline version {asked!r}.")
        return _version_record(row)

    def _select(self, condition: sa.ColumnElement[bool]) -> list[Pipeline]:
        with self._context.database.read() as connection:
            rows = connection.execute(sa.select(_P).where(condition).order_by(_P.c.id.desc())).all()
            joined: sa.Select[Any] = sa.select(_V).join(_P, _P.c.id == _V.c.pipeline_id)
            query = joined.where(condition).order_by(_V.c.id.desc())
            versions: dict[int, list[PipelineVersion]] = {}
            for row in connection.execute(query):
                versions.setdefault(row.pipeline_id, []).append(_version_record(row))
        return [_record(row, tuple(versions.get(row.id, ()))) for row in rows]


def model_names(definition: JsonObject) -> list[str]:
    """The names of the models in a definition, in order of steps."""
    return [model["name"] for model in step_models(definition)]


def step_models(definition: JsonObject) -> list[dict[str, Any]]:
    """The model of each step: `name`, `version`, `sha`.

    Raises BadInput for a step that is no plain inference of one model; nothing else can be deployed.
    """
    found = []
    steps = definition.get("steps") or ()
    if not isinstance(steps, list | tuple):
        raise BadInput(f"The steps of a pipeline must be a list; {type(steps).__name__} came.")
    for step in steps:
        model = _only_model(step)
        if model is None:
            raise BadInput(
                f"The step {step!r} can't be deployed.",
                detail="Each step must be the inference of one model: {'ModelInference': {'models': [one]}}.",
                remedy="Split and shadow steps are not supported; use one pipeline per model.",
            )
        found.append(model)
    return found


def _only_model(step: object) -> dict[str, Any] | None:
    """The model of a step that is the inference of one, as far as anybody may send anything; None for others."""
    inference = step.get("ModelInference") if isinstance(step, dict) else None
    models = inference.get("models") if isinstance(inference, dict) else None
    model = models[0] if isinstance(models, list | tuple) and len(models) == 1 else None
    known = isinstance(model, dict) and all(isinstance(model.get(name), str) for name in ("name", "version"))
    return dict(model) if known and isinstance(model, dict) else None


def _record(row: Any, versions: tuple[PipelineVersion, ...]) -> Pipeline:
    created, updated = parse_iso(row.created_at), parse_iso(row.updated_at)
    return Pipeline(row.id, row.workspace_id, row.name, row.settings, created, updated, versions)


def _version_record(row: Any) -> PipelineVersion:
    return PipelineVersion(row.id, row.pipeline_id, row.version, row.definition, parse_iso(row.created_at))
