"""Connections: where data lives and how to get at it. Details are encrypted at rest and never listed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection as Transaction

from specrunner.core.errors import Conflict, NotFound
from specrunner.core.values import Json, JsonObject, Secret, parse_iso
from specrunner.engine.context import Context, new_id
from specrunner.engine.records import Connection
from specrunner.engine.rekeying import check_in_force
from specrunner.engine.store import tables

_T = tables.connections
_A = tables.attachments
_W = tables.workspaces
_SHOWN = (_T.c.id, _T.c.name, _T.c.type, _T.c.created_at)  # all but the details


_HERE = _T.c.name == sa.bindparam("this")
_NAMED = sa.select(*_SHOWN).where(_HERE)
_DETAILS = sa.select(_T.c.details).where(_HERE)
_INSERT = sa.insert(_T)
_ALL_ATTACHED = sa.select(_A.c.connection_id, _W.c.name).join(_W, _W.c.id == _A.c.workspace_id).order_by(_W.c.name)
_ATTACHED = _ALL_ATTACHED.where(_A.c.connection_id == sa.bindparam("this"))
_DETACH = sa.delete(_A).where(_A.c.connection_id == sa.bindparam("this"))
_WANTED = sa.select(_W.c.id).where(_W.c.name.in_(sa.bindparam("names", expanding=True)))
_ATTACH = sa.insert(_A)


class Connections:
    """The service for connections. `open` are the details that files state, `secret` those they only refer to."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def all(self, workspace_id: int | None = None) -> list[Connection]:
        """All connections, or those attached to a workspace, oldest first."""
        query = sa.select(*_SHOWN).order_by(_T.c.created_at, _T.c.name)
        if workspace_id is not None:
            query = query.join(_A, _A.c.connection_id == _T.c.id).where(_A.c.workspace_id == workspace_id)
        with self._context.database.read() as transaction:
            attached = _attached(transaction)
            return [_record(row, attached.get(row.id, ())) for row in transaction.execute(query)]

    def named(self, name: str) -> Connection:
        """The connection of that name. Raises NotFound."""
        with self._context.database.read() as transaction:
            row = transaction.execute(_NAMED, {"this": name}).first()
            if row is None:
                raise NotFound(f"There is no connection {name!r}.")
            return _record(row, _attached(transaction, row.id).get(row.id, ()))

    def create(
        self, name: str, connection_type: str, details: JsonObject, secret: JsonObject | None = None
    ) -> Connection:
        """A new connection. Raises Conflict if the name is taken."""
        with self._context.database.write() as transaction:
            if transaction.execute(sa.select(_T.c.id).where(_T.c.name == name)).first():
                remedy = "Connection names are unique: choose another."
                raise Conflict(f"A connection {name!r} exists already.", remedy=remedy)
            self._write(transaction, name, connection_type, details, secret or {})
        return self.named(name)

    def put(
        self, name: str, connection_type: str, details: JsonObject, secret: JsonObject, workspaces: Iterable[str]
    ) -> None:
        """Create the connection or change it in place, attached to exactly these workspaces."""
        with self._context.database.write() as transaction:
            identity = self._write(transaction, name, connection_type, details, secret)
            transaction.execute(_DETACH, {"this": identity})
            wanted = transaction.execute(_WANTED, {"names": list(workspaces)}).scalars()
            pairs = [{"workspace_id": found, "connection_id": identity} for found in wanted]
            if pairs:
                transaction.execute(_ATTACH, pairs)

    def open_details(self, name: str) -> dict[str, Json]:
        """The details that are no secrets. Raises NotFound."""
        return dict(self._details(name)["open"])

    def secret_details(self, name: str) -> Secret:
        """The details that are secrets, as one secret mapping. Raises NotFound."""
        return Secret(self._details(name)["secret"])

    def details(self, name: str) -> dict[str, Json]:
        """Everything, secrets revealed: for code that may. Raises NotFound."""
        found = self._details(name)
        return {**found["open"], **found["secret"]}

    def all_open_details(self) -> dict[str, dict[str, Json]]:
        """The details that are no secrets, of every connection by name."""
        with self._context.database.read() as transaction:
            rows = transaction.execute(sa.select(_T.c.name, _T.c.details)).all()
        return {row.name: dict(self._context.vault.decrypt(row.details)["open"]) for row in rows}

    def attach(self, name: str, workspace_id: int) -> None:
        """Attach to a workspace; attaching twice is fine. Raises NotFound."""
        identity = self.named(name).id
        with self._context.database.write() as transaction:
            pair = {"workspace_id": workspace_id, "connection_id": identity}
            known = sa.select(_A).where(_A.c.workspace_id == workspace_id, _A.c.connection_id == identity)
            if not transaction.execute(known).first():
                transaction.execute(sa.insert(_A).values(pair))

    def detach(self, name: str, workspace_id: int) -> None:
        """Detach from a workspace; it stays otherwise. Raises NotFound."""
        identity = self.named(name).id
        with self._context.database.write() as transaction:
            transaction.execute(sa.delete(_A).where(_A.c.workspace_id == workspace_id, _A.c.connection_id == identity))

    def delete(self, name: str) -> None:
        """Remove it and detach it everywhere; one that isn't there is fine."""
        with self._context.database.write() as transaction:
            transaction.execute(sa.delete(_T).where(_T.c.name == name))

    def _details(self, name: str) -> dict[str, Any]:
        with self._context.database.read() as transaction:
            row = transaction.execute(_DETAILS, {"this": name}).first()
        if row is None:
            raise NotFound(f"There is no connection {name!r}.")
        found: dict[str, Any] = self._context.vault.decrypt(row.details)
        return found

    def _write(self, transaction: Transaction, name: str, kind: str, details: JsonObject, secret: JsonObject) -> str:
        check_in_force(transaction, self._context.vault)
        sealed = self._context.vault.encrypt({"open": dict(details), "secret": dict(secret)})
        row = transaction.execute(_NAMED, {"this": name}).first()
        if row is None:
            fresh = {"id": new_id(), "name": name, "type": kind, "details": sealed, "created_at": self._context.now()}
            transaction.execute(_INSERT, fresh)
            return str(fresh["id"])
        transaction.execute(sa.update(_T).where(_T.c.id == row.id).values(type=kind, details=sealed))
        return str(row.id)


def _attached(transaction: Transaction, identity: str | None = None) -> dict[str, tuple[str, ...]]:
    """The workspaces by the id of the connection that is attached to them: of one, or of all."""
    found: dict[str, tuple[str, ...]] = {}
    query = _ALL_ATTACHED if identity is None else _ATTACHED
    for connection_id, name in transaction.execute(query, {"this": identity}):
        found[connection_id] = (*found.get(connection_id, ()), name)
    return found


def _record(row: Any, workspaces: tuple[str, ...]) -> Connection:
    return Connection(row.id, row.name, row.type, parse_iso(row.created_at), workspaces)
