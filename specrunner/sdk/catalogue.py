"""Which models there are: a name, and the versions under it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from specrunner.sdk import display
from specrunner.sdk.entity import Listing
from specrunner.sdk.models import ModelVersion
from specrunner.sdk.object import EntityNotFoundError
from specrunner.sdk.session import Session


class Model:
    """One model. `data` is an item of the platform's list."""

    def __init__(self, session: Session, data: Mapping[str, Any]) -> None:
        self._session = session
        self._data = dict(data)

    def id(self) -> int:
        """The platform's number for it."""
        return int(self._data["model"]["id"])

    def name(self) -> str:
        """The name, unique in its workspace."""
        return str(self._data["model"]["name"])

    def versions(self) -> list[ModelVersion]:
        """Its versions, newest first."""
        return [ModelVersion(self._session, item["model_version"]) for item in self._data["model_versions"]]

    def created_at(self) -> str:
        """When its first version was uploaded, ISO 8601."""
        return str(self._data["model"]["created_at"])

    def last_update_time(self) -> str:
        """When its newest version was uploaded, ISO 8601."""
        return str(self._data["model"]["updated_at"])

    def _fields(self) -> dict[str, object]:
        return {
            "Name": self.name(),
            "# of Versions": len(self._data["model_versions"]),
            "Created At": display.short_time(self.created_at()),
            "Last Updated": display.short_time(self.last_update_time()),
        }

    def __repr__(self) -> str:
        return f"Model(id={self.id()}, name={self.name()!r})"

    def _repr_html_(self) -> str:
        return display.fields_table(self._fields())


class ModelList(Listing[Model]):
    """Models, shown as a table in notebooks."""

    _columns = ("Name", "# of Versions", "Created At", "Last Updated")
    _nothing = "(no models)"

    def _row(self, one: Model) -> Sequence[object]:
        return tuple(one._fields().values())


def list_models(session: Session, workspace_id: int | None) -> ModelList:
    """The models of a workspace, or of all that this caller may see."""
    found = session.post("models/list", {"workspace_id": workspace_id, "workspace_name": None})["models"]
    return ModelList(Model(session, item) for item in found)


def get_model(session: Session, name: str, version: str | None, workspace_id: int) -> ModelVersion:
    """The version of that UUID, else the newest, of the model of that name. Raises EntityNotFoundError."""
    for model in list_models(session, workspace_id):
        for found in model.versions():
            if model.name() == name and version in (None, found.version()):
                return found
    wanted = {"name": name} if version is None else {"name": name, "version": version}
    raise EntityNotFoundError("Model", wanted, "Upload it with upload_model(name, path).")
