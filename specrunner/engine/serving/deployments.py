"""Deployments and who holds them.

A deployment is kept up by its holders: the spec (`deployed: true`), a user, each run that called `deploy`.
`undeploy` gives back the caller's own hold, and the caller then sees the deployment gone until it deploys
again; the pipeline stops when nobody holds it. So runs never collide, and a run that undeploys makes no drift.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from specrunner.core.errors import NotFound, Unavailable
from specrunner.engine.context import Context
from specrunner.engine.records import SPEC, Deployment
from specrunner.engine.store import tables

USER = "user"

_D = tables.deployments
_H = tables.holds
_P = tables.pipelines


def run_holder(run_id: str) -> str:
    """The holder's name of a run."""
    return f"run:{run_id}"


_SELECT = sa.select(_D, _P.c.name).join(_P, _P.c.id == _D.c.pipeline_id).order_by(_D.c.id)
_OF_PIPELINE = _SELECT.where(_D.c.pipeline_id == sa.bindparam("this"))


class Deployments:
    """The service for deployments; it keeps the rows, `planes` keeps what is loaded."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def all(self) -> list[Deployment]:
        """Every deployment, held or not."""
        return self._select(sa.true())

    def in_force(self, versions: list[int]) -> set[int]:
        """Those of these versions of pipelines that a held deployment has in force."""
        held = sa.select(_D.c.version_id).join(_H).where(_H.c.given_back.is_(False), _D.c.version_id.in_(versions))
        with self._context.database.read() as connection:
            return set(connection.execute(held).scalars()) if versions else set()

    def get(self, deployment_id: int) -> Deployment:
        """The deployment of that id. Raises NotFound."""
        return self._one(_D.c.id == deployment_id, deployment_id)

    def of_pipeline(self, pipeline_id: int) -> Deployment | None:
        """The deployment of a pipeline, or None where it was never deployed."""
        # Most pipelines have none: that is found out by one statement.
        with self._context.database.read() as connection:
            if connection.execute(_OF_PIPELINE, {"this": pipeline_id}).first() is None:
                return None
        found = self._select(_D.c.pipeline_id == pipeline_id)
        return found[0] if found else None

    def usable(self, deployment_id: int, caller: str) -> Deployment:
        """The deployment, if `caller` may use it now. Raises Unavailable (404) otherwise."""
        found = self.get(deployment_id)
        if not found.running_for(caller):
            raise Unavailable(
                f"The pipeline {found.pipeline!r} is not deployed.",
                detail="Nobody keeps it up." if not found.holders else "You gave your deployment of it back.",
                remedy="Deploy it first: `deployed: true` in its spec, or `pipeline.deploy()` in code.",
            )
        return found

    def deploy(self, pipeline_id: int, version_id: int, holder: str) -> Deployment:
        """Hold the pipeline's deployment and put this version in force; both may be so already."""
        with self._context.database.write() as connection:
            deployment_id = self._put(connection, pipeline_id, version_id)
            connection.execute(_holding(deployment_id, holder))
            self._hold(connection, deployment_id, holder, given_back=False)
            subject = f"deployment:{deployment_id}"
            self._context.event(connection, subject, "deployed", holder=holder, version=version_id)
        return self.get(deployment_id)

    def give_back(self, deployment_id: int, holder: str, *, force: bool = False) -> Deployment:
        """Give back a hold; one that isn't held is fine. The caller sees the deployment gone from now on.

        With `force` the hold of the specs goes too; those of runs stay.
        """
        with self._context.database.write() as connection:
            connection.execute(_holding(deployment_id, holder))
            if force:
                connection.execute(_holding(deployment_id, SPEC))
            if holder != SPEC:
                self._hold(connection, deployment_id, holder, given_back=True)
            self._context.event(connection, f"deployment:{deployment_id}", "given_back", holder=holder, force=force)
        return self.get(deployment_id)

    def forget(self, holder: str) -> None:
        """A holder is gone (a run has ended): all its holds end, and what it gave back is forgotten."""
        with self._context.database.write() as connection:
            connection.execute(sa.delete(_H).where(_H.c.holder == holder))

    def _hold(self, connection: Connection, deployment_id: int, holder: str, given_back: bool) -> None:
        row = {"deployment_id": deployment_id, "holder": holder, "since": self._context.now(), "given_back": given_back}
        connection.execute(sa.insert(_H).values(row))

    def _put(self, connection: Connection, pipeline_id: int, version_id: int) -> int:
        values = {"version_id": version_id, "updated_at": self._context.now()}
        found = connection.execute(sa.select(_D.c.id).where(_D.c.pipeline_id == pipeline_id)).scalar()
        if found is not None:
            connection.execute(sa.update(_D).where(_D.c.id == found).values(values))
            return int(found)
        insert = sa.insert(_D).values(pipeline_id=pipeline_id, **values).returning(_D.c.id)
        return int(connection.execute(insert).scalar_one())

    def _one(self, condition: sa.ColumnElement[bool], asked: object) -> Deployment:
        found = self._select(condition)
        if not found:
            raise NotFound(f"There is no deployment {asked!r}.")
        return found[0]

    def _select(self, condition: sa.ColumnElement[bool]) -> list[Deployment]:
        with self._context.database.read() as connection:
            rows = connection.execute(_SELECT.where(condition)).all()
            theirs = sa.select(_H).join(_D).where(condition).order_by(_H.c.holder)
            holds: dict[int, list[Any]] = {}
            for hold in connection.execute(theirs) if rows else ():
                holds.setdefault(hold.deployment_id, []).append(hold)
        return [_record(row, holds.get(row.id, [])) for row in rows]


def _holding(deployment_id: int, holder: str) -> sa.Delete:
    return sa.delete(_H).where(_H.c.deployment_id == deployment_id, _H.c.holder == holder)


def _record(row: Any, holds: list[Any]) -> Deployment:
    return Deployment(
        id=row.id,
        pipeline_id=row.pipeline_id,
        pipeline=row.name,
        version_id=row.version_id,
        holders=tuple(hold.holder for hold in holds if not hold.given_back),
        given_back=tuple(hold.holder for hold in holds if hold.given_back),
    )
