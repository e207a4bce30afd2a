"""Models: versions known by the sha256 of their bytes; uploading the same bytes makes no new version.

A version of a framework that needs an environment is `pending_packaging → packaging → ready | error`; `loading` takes
it through that. Others are ready at once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, BinaryIO

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from specrunner.core.errors import Conflict, NotFound
from specrunner.core.lifecycle import MODEL_TRANSITIONS, ModelState, moved
from specrunner.core.values import Json, JsonObject, canonical, parse_iso
from specrunner.engine.context import Context, new_id
from specrunner.engine.definitions import PLAIN_MODEL, identities
from specrunner.engine.records import ModelVersion
from specrunner.engine.store import tables

_M = tables.models
_V = tables.model_versions
_SELECT = sa.select(_V, _M.c.name, _M.c.workspace_id).join(_M, _M.c.id == _V.c.model_id)


_NAMED = _SELECT.where(_M.c.workspace_id == sa.bindparam("in_workspace"), _M.c.name == sa.bindparam("this"))
_NEWEST = _NAMED.order_by(_V.c.id.desc()).limit(1)
_ONNX = "onnx"


class Models:
    """The service for models."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def upload(
        self, workspace_id: int, name: str, file_name: str, data: bytes | BinaryIO, config: JsonObject
    ) -> ModelVersion:
        """The version of these bytes and this configuration, made if it isn't the newest already.

        A stream is read to its end and never held whole in memory.
        """
        artifacts = self._context.artifacts
        sha, size = (artifacts.put(data), len(data)) if isinstance(data, bytes) else artifacts.put_stream(data)
        return self.add(workspace_id, name, file_name, sha, size, config)

    def add(
        self, workspace_id: int, name: str, file_name: str, sha: str, size: int, config: JsonObject
    ) -> ModelVersion:
        """As `upload`, of bytes that are in the store already."""
        with self._context.database.write() as connection:
            model_id = self._model(connection, workspace_id, name)
            newest = connection.execute(_newest(_V.c.model_id == model_id)).first()
            if newest is None or newest.sha != sha or canonical(newest.config) != canonical(config):
                row = {
                    "model_id": model_id,
                    "version": new_id(),
                    "sha": sha,
                    "size": size,
                    "file_name": file_name,
                    "config": dict(config),
                    "status": _first_state(config),
                    "error": "",
                    "lock": "",
                    "created_at": self._context.now(),
                }
                connection.execute(sa.insert(_V).values(row))
            return _record(connection.execute(_newest(_V.c.model_id == model_id)).one())

    def newest(self, workspace_id: int, name: str) -> ModelVersion:
        """The newest version of a model. Raises NotFound."""
        return self._one(_NEWEST, name, {"in_workspace": workspace_id, "this": name})

    def in_force(self, workspace_id: int, name: str) -> ModelVersion:
        """The newest version of a model that can be deployed; the newest one where none can. Raises NotFound."""
        newest = self.newest(workspace_id, name)
        if newest.status is ModelState.READY:
            return newest
        ready = (one for one in self.versions(newest.model_id) if one.status is ModelState.READY)
        return next(ready, newest)

    def version(self, version_id: int) -> ModelVersion:
        """One version by its id. Raises NotFound."""
        return self._one(_SELECT.where(_V.c.id == version_id), version_id)

    def by_uuid(self, version: str) -> ModelVersion:
        """One version by its UUID. Raises NotFound."""
        return self._one(_SELECT.where(_V.c.version == version), version)

    def versions(self, model_id: int) -> list[ModelVersion]:
        """Every version under one name, newest first; none where there is no such model."""
        with self._context.database.read() as connection:
            query = _SELECT.where(_V.c.model_id == model_id).order_by(_V.c.id.desc())
            return [_record(row) for row in connection.execute(query)]

    def all(self) -> list[ModelVersion]:
        """The newest version of every model."""
        newest = sa.select(sa.func.max(_V.c.id)).group_by(_V.c.model_id)
        with self._context.database.read() as connection:
            return [_record(row) for row in connection.execute(_SELECT.where(_V.c.id.in_(newest)).order_by(_V.c.id))]

    def all_in_force(self, newest: Iterable[ModelVersion]) -> dict[int, ModelVersion]:
        """By the ids of models, the versions in force of those whose newest version is not ready."""
        waiting = [model for model in newest if model.status is not ModelState.READY]
        return {model.model_id: self.in_force(model.workspace_id, model.name) for model in waiting}

    def locked(self) -> list[ModelVersion]:
        """Every version that has an environment of its own."""
        with self._context.database.read() as connection:
            return [_record(row) for row in connection.execute(_SELECT.where(_V.c.lock != "").order_by(_V.c.id))]

    def identities(self, of: Collection[str] | None = None) -> dict[str, str]:
        """By the UUID of a version (all, or some) what it is, for those that are more than their bytes."""
        query = sa.select(_V.c.version, _V.c.sha, _V.c.config)
        # The plain ones, mostly all, are not even read.
        query = query.where(_V.c.version.in_(of)) if of is not None else query.where(_V.c.config != PLAIN_MODEL)
        with self._context.database.read() as connection:
            return identities(map(tuple, connection.execute(query)))

    def move(self, version: ModelVersion, state: ModelState, **values: Json) -> ModelVersion:
        """Take a version to another state, with its `error` or `lock`. Raises IllegalTransition."""
        moved(MODEL_TRANSITIONS, version.status, state)
        with self._context.database.write() as connection:
            connection.execute(sa.update(_V).where(_V.c.id == version.id).values(status=state, **values))
            self._context.event(connection, f"model:{version.id}", state)
        return self.version(version.id)

    def declare(self, version: ModelVersion, schema: JsonObject) -> ModelVersion:
        """Remember `inputs` and `outputs` that were told after the upload."""
        with self._context.database.write() as connection:
            config = {**version.config, **schema}
            connection.execute(sa.update(_V).where(_V.c.id == version.id).values(config=config))
        return self.version(version.id)

    def delete(self, workspace_id: int, name: str, used_by: list[str]) -> None:
        """Remove a model with all its versions; one that isn't there is fine.

        Raises Conflict if `used_by` names pipelines whose current version has it as a step.
        """
        if used_by:
            steps = ", ".join(used_by)
            raise Conflict(f"The model {name!r} is a step of {steps}.", remedy="Take it out of them first.")
        with self._context.database.write() as connection:
            connection.execute(sa.delete(_M).where(_M.c.workspace_id == workspace_id, _M.c.name == name))

    def _one(self, query: sa.Select[Any], asked: object, values: dict[str, Any] | None = None) -> ModelVersion:
        with self._context.database.read() as connection:
            row = connection.execute(query, values).first()
        if row is None:
            raise NotFound(f"There is no model {asked!r}.")
        return _record(row)

    def _model(self, connection: Connection, workspace_id: int, name: str) -> int:
        known = sa.select(_M.c.id).where(_M.c.workspace_id == workspace_id, _M.c.name == name)
        found = connection.execute(known).scalar()
        if found is not None:
            return int(found)
        row = {"workspace_id": workspace_id, "name": name, "created_at": self._context.now()}
        return int(connection.execute(sa.insert(_M).values(row).returning(_M.c.id)).scalar_one())


def _newest(condition: sa.ColumnElement[bool]) -> sa.Select[Any]:
    return _SELECT.where(condition).order_by(_V.c.id.desc()).limit(1)


def _first_state(config: JsonObject) -> ModelState:
    return ModelState.READY if config.get("framework", _ONNX) == _ONNX else ModelState.PENDING_PACKAGING


def _record(row: Any) -> ModelVersion:
    return ModelVersion(
        id=row.id,
        model_id=row.model_id,
        workspace_id=row.workspace_id,
        name=row.name,
        version=row.version,
        sha=row.sha,
        size=row.size,
        file_name=row.file_name,
        config=row.config,
        created_at=parse_iso(row.created_at),
        status=ModelState(row.status),
        error=row.error,
        lock=row.lock,
    )
