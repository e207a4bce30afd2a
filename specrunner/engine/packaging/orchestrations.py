"""Orchestrations: uploaded zips, packaged into environments; each upload of other bytes is a new version.

`pending_packaging → packaging → ready | error`. Versions share workspace and name; tasks name one version.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from filelock import FileLock

from specrunner.core.errors import Conflict, NotFound, PackagingFailed
from specrunner.core.lifecycle import ORCHESTRATION_TRANSITIONS, OrchestrationState, moved
from specrunner.core.values import parse_iso
from specrunner.engine.context import Context, new_id
from specrunner.engine.packaging import bundles
from specrunner.engine.ports import Environment, EnvironmentBuilder, Progress
from specrunner.engine.records import Orchestration
from specrunner.engine.store import tables

_T = tables.orchestrations
_NEWEST = (_T.c.created_at.desc(), _T.c.id.desc())


_SELECT = sa.select(_T).order_by(*_NEWEST)
_BY_ID = _SELECT.where(_T.c.id == sa.bindparam("this"))
_NAMED = _SELECT.where(_T.c.workspace_id == sa.bindparam("in_workspace"), _T.c.name == sa.bindparam("this"))


def _silent(_line: str) -> None:
    """Nobody waits for these words."""


class Orchestrations:
    """The service for orchestrations."""

    def __init__(self, context: Context, environments: EnvironmentBuilder) -> None:
        self._context = context
        self._environments = environments

    def all(self, workspace_id: int | None = None) -> list[Orchestration]:
        """Every version of every orchestration, or those of a workspace, newest first."""
        return self._select(_SELECT if workspace_id is None else _SELECT.where(_T.c.workspace_id == workspace_id))

    def get(self, orchestration_id: str) -> Orchestration:
        """One version by its id. Raises NotFound."""
        found = self._select(_BY_ID, {"this": orchestration_id})
        if not found:
            raise NotFound(f"There is no orchestration {orchestration_id!r}.")
        return found[0]

    def named(self, workspace_id: int, name: str) -> list[Orchestration]:
        """Every version under a name, newest first."""
        return self._select(_NAMED, {"in_workspace": workspace_id, "this": name})

    def newest(self, workspace_id: int, name: str) -> Orchestration | None:
        """The newest version under a name, whatever its state."""
        found = self.named(workspace_id, name)
        return found[0] if found else None

    def ready(self, workspace_id: int, name: str, sha: str) -> Orchestration:
        """The version with these bytes, ready to run. Raises NotFound."""
        for version in self.named(workspace_id, name):
            if version.sha == sha and version.status is OrchestrationState.READY:
                return version
        raise NotFound(f"The orchestration {name!r} has no version {sha[:6]}... that is ready to run.")

    def upload(self, workspace_id: int, name: str, file_name: str, data: bytes) -> Orchestration:
        """Take in a zip; the newest version if it has these bytes already, else a new one, pending packaging."""
        return self.add(workspace_id, name, file_name, self._context.artifacts.put(data))

    def add(self, workspace_id: int, name: str, file_name: str, sha: str, *, again: bool = False) -> Orchestration:
        """As `upload`, of bytes that are in the store already; `again` makes a new version whatever there is."""
        now = self._context.now()
        row = {
            "id": new_id(),
            "workspace_id": workspace_id,
            "name": name,
            "file_name": file_name,
            "sha": sha,
            "entry": "",
            "status": OrchestrationState.PENDING_PACKAGING,
            "error": "",
            "lock": "",
            "environment": "",
            "created_at": now,
            "updated_at": now,
        }
        with self._context.database.write() as connection:
            newest = connection.execute(_NAMED, {"in_workspace": workspace_id, "this": name}).first()
            same = newest is not None and newest.sha == sha and newest.status != OrchestrationState.ERROR
            if same and not again:
                return _record(newest)
            inserted = connection.execute(sa.insert(_T).values(row).returning(_T)).one()
            self._context.event(connection, f"orchestration:{row['id']}", OrchestrationState.PENDING_PACKAGING)
        return _record(inserted)

    def package(self, orchestration_id: str, progress: Progress = _silent) -> Orchestration:
        """Make a version ready to run; one that is already stays so, and one in `error` is tried again.

        Whoever asks while another packages it waits for that. Raises PackagingFailed, its detail the builder's
        last lines; the version is then in `error`.
        """
        locks = self._context.folder / "packaging"
        locks.mkdir(exist_ok=True)
        with FileLock(locks / f"{orchestration_id}.lock"):
            version = self.get(orchestration_id)
            return version if version.status is OrchestrationState.READY else self._package(version, progress)

    def _package(self, version: Orchestration, progress: Progress) -> Orchestration:
        if version.status is not OrchestrationState.PENDING_PACKAGING:  # it failed, or whoever packaged it died
            version = self._move(version, OrchestrationState.PENDING_PACKAGING, error="")
        version = self._move(version, OrchestrationState.PACKAGING)
        try:
            found = bundles.inspect(self._context.artifacts.path(version.sha))
            progress("resolving requirements")
            lock = self._environments.lock(found.requirements)
            progress("building the environment")
            environment = self._environments.ensure(lock)
        except PackagingFailed as problem:
            words = "\n".join(part for part in (problem.summary, problem.detail) if part)
            self._move(version, OrchestrationState.ERROR, error=words)
            raise
        values = {"entry": found.entry, "lock": lock, "environment": environment.digest}
        return self._move(version, OrchestrationState.READY, **values)

    def environment(self, version: Orchestration) -> Environment:
        """The environment of a version that is ready, built again if it was collected. Raises PackagingFailed."""
        return self._environments.ensure(version.lock)

    def delete(self, workspace_id: int, name: str) -> None:
        """Remove every version under a name; none is fine. Raises Conflict while tasks use one."""
        condition = (_T.c.workspace_id == workspace_id) & (_T.c.name == name)
        with self._context.database.write() as connection:
            users = sa.select(tables.tasks.c.name).join(_T, _T.c.id == tables.tasks.c.orchestration_id).where(condition)
            names = [repr(task) for (task,) in connection.execute(users)]
            if names:
                raise Conflict(f"The orchestration {name!r} is used by the task {', '.join(names)}.")
            connection.execute(sa.delete(_T).where(condition))

    def collect(self) -> None:
        """Remove versions that no task names and that are not the newest under their name."""
        newer = _T.alias()
        superseded = sa.exists().where(
            newer.c.workspace_id == _T.c.workspace_id,
            newer.c.name == _T.c.name,
            newer.c.created_at > _T.c.created_at,
            newer.c.status == OrchestrationState.READY,
        )
        named = sa.exists().where(tables.tasks.c.orchestration_id == _T.c.id)
        active = sa.exists().where(tables.runs.c.orchestration_id == _T.c.id, tables.runs.c.ended_at.is_(None))
        with self._context.database.write() as connection:
            connection.execute(sa.delete(_T).where(superseded, ~named, ~active))

    def _move(self, version: Orchestration, state: OrchestrationState, **values: str) -> Orchestration:
        moved(ORCHESTRATION_TRANSITIONS, version.status, state)
        change = {"status": state, "updated_at": self._context.now(), **values}
        with self._context.database.write() as connection:
            connection.execute(sa.update(_T).where(_T.c.id == version.id).values(change))
            self._context.event(connection, f"orchestration:{version.id}", state)
        return self.get(version.id)

    def _select(self, query: sa.Select[Any], values: dict[str, Any] | None = None) -> list[Orchestration]:
        with self._context.database.read() as connection:
            return [_record(row) for row in connection.execute(query, values)]


def _record(row: Any) -> Orchestration:
    return Orchestration(
        id=row.id,
        workspace_id=row.workspace_id,
        name=row.name,
        file_name=row.file_name,
        sha=row.sha,
        entry=row.entry,
        status=OrchestrationState(row.status),
        error=row.error,
        lock=row.lock,
        environment=row.environment,
        created_at=parse_iso(row.created_at),
        updated_at=parse_iso(row.updated_at),
    )
