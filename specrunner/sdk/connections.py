"""Connections: named details (addresses, accounts, tokens) that runs read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from specrunner.sdk import display
from specrunner.sdk.entity import Entity, Listing
from specrunner.sdk.exceptions import ApiError
from specrunner.sdk.object import ConnectionNotFoundError
from specrunner.sdk.session import Session


class Connection(Entity):
    """One connection."""

    _can_be_absent = frozenset({"details"})

    def name(self) -> str:
        """The name, unique on the platform."""
        return str(self._get("name"))

    def connection_type(self) -> str:
        """The type, a word of the user's own."""
        return str(self._get("type"))

    def details(self) -> dict[str, Any]:
        """The details in clear. Raises ApiError (403) where this caller may not read them."""
        return dict(self._get("details") or {})

    def created_at(self) -> str:
        """When it was created, ISO 8601."""
        return str(self._get("created_at"))

    def workspace_names(self) -> list[str]:
        """The names of the workspaces that it is attached to."""
        return list(self._get("workspace_names"))

    def delete_connection(self) -> None:
        """Delete it from the platform and from all workspaces."""
        self._session.post("connections/delete", {"name": self.name()})

    def _fetched(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self._session.post("connections/get_by_id", {"id": self.id()})
        return found

    def __repr__(self) -> str:
        return f"Connection(name={self.name()!r}, type={self.connection_type()!r}, details={display.MASK})"

    def _repr_html_(self) -> str:
        return display.fields_table(
            {
                "Name": self.name(),
                "Connection Type": self.connection_type(),
                "Details": display.MASK,
                "Created At": self.created_at(),
            }
        )


class ConnectionList(Listing[Connection]):
    """Connections, shown as a table in notebooks."""

    _columns = ("name", "connection type", "details", "created at")
    _nothing = "(no connections)"

    def _row(self, one: Connection) -> Sequence[object]:
        return one.name(), one.connection_type(), display.MASK, one.created_at()


def create_connection(session: Session, name: str, kind: str, details: Mapping[str, Any] | None) -> Connection:
    """Create a connection. Raises ApiError, with status 409 where the name is taken."""
    body = {"name": name, "type": kind, "details": None if details is None else dict(details)}
    made = session.post("connections/create", body, repeatable=False)
    return Connection(session, {**made, "name": name, "type": kind})


def get_connection(session: Session, name: str) -> Connection:
    """The connection of that name. Raises ConnectionNotFoundError where there is none."""
    try:
        return Connection(session, session.post("connections/get", {"name": name}))
    except ApiError as fault:
        if fault.status == 404:
            raise ConnectionNotFoundError(name) from fault
        raise


def list_connections(session: Session, workspace_id: int | None = None) -> ConnectionList:
    """All connections, or those of one workspace; their details are asked for one by one when wanted."""
    body = {} if workspace_id is None else {"workspace_id": workspace_id}
    found = session.post("connections/list", body)["connections"]
    # A listing never shows details: a null there means that they were left out, not that there are none.
    known = [{key: value for key, value in item.items() if key != "details" or value is not None} for item in found]
    return ConnectionList(Connection(session, item) for item in known)
