"""Pipelines and their versions. Deploying them is `deployments`' business.

A definition is as the platform API writes it, `{"id": name, "steps": [...]}`; `steps` reads it. Every create of
the API records a version; an equal definition is no change.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from specrunner.core.errors import NotFound
from specrunner.core.values import Json, JsonObject, canonical, digest, parse_iso
from specrunner.engine.context import Context, new_id
from specrunner.engine.definitions import models_of, spec_steps
from specrunner.engine.records import Pipeline, PipelineVersion
from specrunner.engine.serving.steps import ModelRef, NewestModel, read_steps, write_step
from specrunner.engine.store import tables
from specrunner.engine.store.columns import decoded, text_of

_P = tables.pipelines
_V = tables.pipeline_versions


_PIPELINES: sa.Select[Any] = sa.select(*(text_of(c) if c is _P.c.settings else c for c in _P.c))
_JSON = (_V.c.definition, _V.c.config)
_VERSIONS: sa.Select[Any] = sa.select(*(text_of(c) if any(c is one for one in _JSON) else c for c in _V.c))
_Queries = tuple[sa.Select[Any], sa.Select[Any]]


def _those(condition: sa.ColumnElement[bool]) -> _Queries:
    """The queries for pipelines and for their versions, each newest first."""
    versions = _VERSIONS.join(_P, _P.c.id == _V.c.pipeline_id).where(condition).order_by(_V.c.id.desc())
    return _PIPELINES.where(condition).order_by(_P.c.id.desc()), versions


_HERE = (_P.c.workspace_id == sa.bindparam("in_workspace")) & (_P.c.name == sa.bindparam("this"))
_NAMED = _those(_HERE)
_WITH_ID = _those(_P.c.id == sa.bindparam("this"))
_ID = sa.select(_P.c.id).where(_HERE)
_INSERT = sa.insert(_P).returning(_P.c.id)
_UPDATE = sa.update(_P).where(_P.c.id == sa.bindparam("this"))
_ADD = sa.insert(_V).returning(_V)


class Pipelines:
    """The service for pipelines."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def all(self, workspace_id: int | None = None) -> list[Pipeline]:
        """All pipelines, or those of a workspace, newest first."""
        return self._select(*_those(sa.true() if workspace_id is None else _P.c.workspace_id == workspace_id))

    def named(self, workspace_id: int, name: str) -> Pipeline:
        """The pipeline of that name. Raises NotFound."""
        return self._one(_NAMED, name, {"in_workspace": workspace_id, "this": name})

    def get(self, pipeline_id: int) -> Pipeline:
        """The pipeline of that id. Raises NotFound."""
        return self._one(_WITH_ID, pipeline_id, {"this": pipeline_id})

    def workspace_of(self, pipeline_id: int) -> int:
        """The workspace of a pipeline, without reading its versions, of which runs make many. Raises NotFound."""
        return int(self._of(pipeline_id, _P.c.workspace_id))

    def settings_of(self, pipeline_id: int) -> JsonObject:
        """What the spec of a pipeline says beside the steps, without reading its versions. Raises NotFound."""
        found: JsonObject = self._of(pipeline_id, _P.c.settings)
        return found

    def called(self, name: str) -> list[tuple[int, int]]:
        """Id and workspace of every pipeline of that name."""
        query = sa.select(_P.c.id, _P.c.workspace_id).where(_P.c.name == name).order_by(_P.c.id)
        with self._context.database.read() as connection:
            return [(row.id, row.workspace_id) for row in connection.execute(query)]

    def _of(self, pipeline_id: int, column: sa.Column[Any]) -> Any:
        with self._context.database.read() as connection:
            row = connection.execute(sa.select(column).where(_P.c.id == pipeline_id)).first()
        if row is None:
            raise NotFound(f"There is no pipeline {pipeline_id!r}.")
        return row[0]

    def version(self, version_id: int) -> PipelineVersion:
        """One version by its id. Raises NotFound."""
        return self._version(_V.c.id == version_id, version_id)

    def by_uuid(self, version: str) -> PipelineVersion:
        """One version by its UUID. Raises NotFound."""
        return self._version(_V.c.version == version, version)

    def add_version(self, workspace_id: int, name: str, definition: JsonObject) -> PipelineVersion:
        """Record a version, making the pipeline if it isn't there. Raises BadInput for a malformed definition.

        It is served as the pipeline's spec says now, whoever makes it.
        """
        read_steps(definition)
        with self._context.database.write() as connection:
            pipeline_id = self._ensure(connection, workspace_id, name)
            settings = connection.execute(sa.select(_P.c.settings).where(_P.c.id == pipeline_id)).scalar_one()
            row = {
                "pipeline_id": pipeline_id,
                "version": new_id(),
                "definition": dict(definition),
                "definition_hash": digest(definition),
                "created_at": self._context.now(),
                "config": served_config(settings),
            }
            added = connection.execute(_ADD, row).one()
        return _version_record(added, added.definition, added.config)

    def configure(self, workspace_id: int, name: str, settings: JsonObject) -> Pipeline:
        """Make the pipeline if it isn't there, and remember what its spec says beside the steps."""
        with self._context.database.write() as connection:
            pipeline_id = self._ensure(connection, workspace_id, name)
            connection.execute(_UPDATE, {"this": pipeline_id, "settings": dict(settings)})
        return self.get(pipeline_id)

    def delete(self, workspace_id: int, name: str) -> None:
        """Remove a pipeline with its versions and its deployment; one that isn't there is fine."""
        with self._context.database.write() as connection:
            connection.execute(sa.delete(_P).where(_P.c.workspace_id == workspace_id, _P.c.name == name))

    def models_of(self, version: PipelineVersion) -> list[ModelRef]:
        """Every model of a version, in order of steps, each once."""
        return models_of(version.definition)

    def spec_steps(self, version: PipelineVersion) -> list[dict[str, Json]]:
        """The steps of a version as a spec says them."""
        return spec_steps(version.definition)

    def put_steps(self, workspace_id: int, name: str, steps: Sequence[JsonObject], model: NewestModel) -> None:
        """Make a version of the steps of a spec, unless the one in force is that already.

        `model` tells the version in force of a model. Raises what it raises.
        """
        written = [part for step in steps for part in write_step(step, model)]
        definition, pipeline = {"id": name, "steps": written}, self.named(workspace_id, name)
        wanted = canonical([definition, served_config(pipeline.settings)])
        current = pipeline.current
        if current is None or canonical([current.definition, current.config]) != wanted:
            self.add_version(workspace_id, name, definition)

    def using(self, workspace_id: int, model: str) -> list[str]:
        """The pipelines of a workspace whose current version has this model as a step."""
        # Most pipelines do not mention it at all; those are not read.
        mention = sa.func.instr(sa.type_coerce(_V.c.definition, sa.String), json.dumps(model)) > 0
        mentioning = sa.select(_V.c.pipeline_id).join(_P).where(_P.c.workspace_id == workspace_id, mention)
        found = self._select(*_those(_P.c.id.in_(mentioning)))
        return [p.name for p in found if p.current and model in {used.name for used in self.models_of(p.current)}]

    def _ensure(self, connection: Connection, workspace_id: int, name: str) -> int:
        found = connection.execute(_ID, {"in_workspace": workspace_id, "this": name}).scalar()
        now = self._context.now()
        if found is not None:
            connection.execute(_UPDATE, {"this": found, "updated_at": now})
            return int(found)
        row = {"workspace_id": workspace_id, "name": name, "settings": {}, "created_at": now, "updated_at": now}
        return int(connection.execute(_INSERT, row).scalar_one())

    def _one(self, queries: _Queries, asked: object, values: dict[str, Any]) -> Pipeline:
        found = self._select(*queries, values)
        if not found:
            raise NotFound(f"There is no pipeline {asked!r}.")
        return found[0]

    def _version(self, condition: sa.ColumnElement[bool], asked: object) -> PipelineVersion:
        query: sa.Select[Any] = sa.select(_V).where(condition)
        with self._context.database.read() as connection:
            row = connection.execute(query).first()
        if row is None:
            raise NotFound(f"There is no pipeline version {asked!r}.")
        return _version_record(row, row.definition, row.config)

    def _select(
        self, pipelines: sa.Select[Any], theirs: sa.Select[Any], values: dict[str, Any] | None = None
    ) -> list[Pipeline]:
        with self._context.database.read() as connection:
            rows = connection.execute(pipelines, values).all()
            found = connection.execute(theirs, values).all() if rows else []
        versions: dict[int, list[PipelineVersion]] = {}
        definitions = decoded([row.definition for row in found])
        configs = decoded([row.config for row in found])
        for row, definition, config in zip(found, definitions, configs, strict=True):
            versions.setdefault(row.pipeline_id, []).append(_version_record(row, definition, config))
        settings = decoded([row.settings for row in rows])
        return [_record(*parts, tuple(versions.get(parts[0].id, ()))) for parts in zip(rows, settings, strict=True)]


def served_config(settings: JsonObject) -> dict[str, Json]:
    """The part of a spec that a version is served with: what changes it is a new version."""
    return {name: settings[name] for name in ("resources", "validations") if settings.get(name)}


def _record(row: Any, settings: JsonObject, versions: tuple[PipelineVersion, ...]) -> Pipeline:
    created, updated = parse_iso(row.created_at), parse_iso(row.updated_at)
    return Pipeline(row.id, row.workspace_id, row.name, settings, created, updated, versions)


def _version_record(row: Any, definition: JsonObject, config: JsonObject) -> PipelineVersion:
    return PipelineVersion(row.id, row.pipeline_id, row.version, definition, parse_iso(row.created_at), config)
