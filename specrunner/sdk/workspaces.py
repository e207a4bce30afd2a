"""Workspaces: who may use what together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from specrunner.sdk import connections, display, pipelines
from specrunner.sdk.entity import Listing
from specrunner.sdk.exceptions import ApiError, SdkError
from specrunner.sdk.object import EntityNotFoundError, RequiredAttributeMissing
from specrunner.sdk.session import Session

if TYPE_CHECKING:
    from specrunner.sdk.catalogue import ModelList
    from specrunner.sdk.connections import ConnectionList
    from specrunner.sdk.users import User


class Workspace:
    """One workspace. `data` is what the platform told: `id` must be there, the rest is asked for when wanted."""

    def __init__(self, session: Session, data: Mapping[str, Any]) -> None:
        if "id" not in data:
            raise RequiredAttributeMissing("Workspace", "id")
        self._session = session
        self._data = dict(data)

    def id(self) -> int:
        """The platform's number for it."""
        return int(self._data["id"])

    def name(self) -> str:
        """The name, unique on the platform."""
        return str(self._get("name"))

    def created_at(self) -> str:
        """When it was created, ISO 8601."""
        return str(self._get("created_at"))

    def created_by(self) -> str:
        """The id of the user who created it."""
        return str(self._get("created_by"))

    def archived(self) -> bool:
        """Whether it was put away."""
        return bool(self._get("archived"))

    def models(self) -> ModelList:
        """The models in it."""
        from specrunner.sdk import catalogue  # few ask

        return catalogue.list_models(self._session, self.id())

    def users(self) -> list[User]:
        """Those who were let into it, as far as they are known."""
        from specrunner.sdk import users  # few ask

        query = "query($id: bigint!) { workspace_by_pk(id: $id) { users { user_id } } }"
        found = (self._session.graphql(query, {"id": self.id()})["workspace_by_pk"] or {}).get("users", [])
        known = (users.user_with(self._session, item["user_id"]) for item in found)
        return [user for user in known if user is not None]

    def pipelines(self) -> pipelines.PipelineList:
        """The pipelines in it, newest created first."""
        return pipelines.list_pipelines(self._session, self.id())

    def add_connection(self, name: str) -> None:
        """Attach the connection of that name. Raises ConnectionNotFoundError where there is none."""
        found = connections.get_connection(self._session, name)
        body = {"workspace_id": self.id(), "connection_id": found.id()}
        self._session.post("connections/add_to_workspace", body)

    def remove_connection(self, name: str) -> None:
        """Detach the connection of that name; it stays on the platform. Raises ConnectionNotFoundError."""
        found = connections.get_connection(self._session, name)
        body = {"workspace_id": self.id(), "connection_id": found.id()}
        self._session.post("connections/remove_from_workspace", body)

    def list_connections(self) -> ConnectionList:
        """The connections attached to it."""
        return connections.list_connections(self._session, self.id())

    def _get(self, key: str) -> Any:
        if key not in self._data:
            every = self._session.post("workspaces/list", {})["workspaces"]
            mine = [item for item in every if item["id"] == self.id()]
            if not mine:
                raise EntityNotFoundError("Workspace", {"id": self.id()}, "It is gone, or this caller may not see it.")
            self._data.update(mine[0])
        if key not in self._data:
            raise RequiredAttributeMissing("Workspace", key)
        return self._data[key]

    def __repr__(self) -> str:
        return str({"name": self.name(), "id": self.id(), "archived": self.archived(), "created_at": self.created_at()})

    def _repr_html_(self) -> str:
        return display.heads_table({"name": self.name(), "id": self.id(), "created_at": self.created_at()})


class WorkspaceList(Listing[Workspace]):
    """Workspaces, shown as a table in notebooks."""

    _columns = ("Name", "Created At")
    _nothing = "(no workspaces)"

    def _row(self, one: Workspace) -> Sequence[object]:
        return one.name(), one.created_at()[:19].replace("T", " ")


def list_workspaces(session: Session) -> WorkspaceList:
    """The workspaces that this caller may see."""
    return WorkspaceList(Workspace(session, item) for item in session.post("workspaces/list", {})["workspaces"])


def create_workspace(session: Session, name: str) -> Workspace:
    """Create a workspace. Raises ApiError where the platform refuses the name."""
    made = session.post("workspaces/create", {"workspace_name": name}, repeatable=False)
    return Workspace(session, {"id": made["workspace_id"], "name": name})


def get_workspace(session: Session, name: str, create_if_not_exist: bool) -> Workspace:
    """The workspace of that name. Raises EntityNotFoundError where there is none and none is to be created."""
    for workspace in list_workspaces(session):
        if workspace.name() == name:
            return workspace
    if not create_if_not_exist:
        raise EntityNotFoundError(
            "Workspace", {"name": name}, "Create it with create_workspace(name), or pass create_if_not_exist=True."
        )
    try:
        return create_workspace(session, name)
    except ApiError as fault:
        # Another process was quicker between the look and the creation.
        for workspace in list_workspaces(session):
            if workspace.name() == name:
                return workspace
        raise SdkError(f"Workspace {name!r} cannot be created", str(fault)) from fault
