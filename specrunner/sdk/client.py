"""The client: one object with all verbs, over one session with one platform."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from specrunner.sdk import connections, models, pipelines, runtime, workspaces
from specrunner.sdk.connections import Connection, ConnectionList
from specrunner.sdk.framework import Framework
from specrunner.sdk.models import ModelVersion
from specrunner.sdk.pipelines import Pipeline, PipelineList
from specrunner.sdk.session import Session
from specrunner.sdk.transport import Transport
from specrunner.sdk.workspaces import Workspace, WorkspaceList

if TYPE_CHECKING:
    from specrunner.sdk.catalogue import ModelList
    from specrunner.sdk.orchestrations import Orchestration, OrchestrationList
    from specrunner.sdk.tags import Tag, TagList
    from specrunner.sdk.tasks import Task, TaskList
    from specrunner.sdk.users import User


class Auth:
    """How a client shows who it is, for code that sends requests of its own."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def auth_header(self) -> dict[str, str]:
        """The header to add to a request; empty where no token is needed."""
        return self._transport.auth_header()


class Client:
    """A client of one platform.

    The address is `SPECRUNNER_URL`, else `WALLAROO_URL`, else `api_endpoint`; the token is `SPECRUNNER_TOKEN`.
    The other arguments that tutorials pass (auth_type, auth_endpoint, request_timeout, interactive) are
    accepted and ignored, because the token says it all. Nothing is sent before the first call. Use by several
    threads is safe. Raises SdkError where there is no address, or it is none.
    """

    def __init__(self, api_endpoint: str | None = None, auth_type: object | None = None, **ignored: object) -> None:
        transport = Transport(runtime.endpoint(api_endpoint), runtime.token())
        self._session = Session(transport)
        self.api_endpoint = transport.endpoint
        self.auth = Auth(transport)

    def close(self) -> None:
        """Close the connections; the next call opens one again."""
        self._session.transport.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Client({self.api_endpoint!r})"

    def in_task(self) -> bool:
        """True where the code was started as a run of a task."""
        return runtime.in_task()

    def task_args(self) -> dict[str, Any]:
        """The arguments that this run was started with. Raises NotInRunError outside a run."""
        return runtime.task_args()

    def list_workspaces(self) -> WorkspaceList:
        """The workspaces that this caller may see."""
        return workspaces.list_workspaces(self._session)

    def create_workspace(self, workspace_name: str) -> Workspace:
        """Create a workspace; in a run, the name of one that the run may use gives that one. Raises ApiError."""
        return workspaces.create_workspace(self._session, workspace_name)

    def get_workspace(self, name: str, create_if_not_exist: bool = False) -> Workspace:
        """The workspace of that name. Raises EntityNotFoundError where there is none and none is to be created."""
        return workspaces.get_workspace(self._session, name, create_if_not_exist)

    def set_current_workspace(self, workspace: Workspace) -> Workspace:
        """Let new things of this client go to `workspace`, and `pipelines_by_name` look there only."""
        self._session.chosen_workspace = workspace.id()
        return workspace

    def get_current_workspace(self) -> Workspace:
        """The workspace that was set, else the one of this run, else the only one there is. Raises SdkError."""
        return Workspace(self._session, {"id": self._session.current_workspace_id()})

    def create_connection(
        self, name: str, connection_type: str, details: Mapping[str, Any] | None = None
    ) -> Connection:
        """Create a connection. Raises ApiError, with status 409 where the name is taken."""
        return connections.create_connection(self._session, name, connection_type, details)

    def get_connection(self, name: str) -> Connection:
        """The connection of that name.

        Raises ConnectionNotFoundError, which is both an EntityNotFoundError and a RequiredAttributeMissing.
        """
        return connections.get_connection(self._session, name)

    def list_connections(self) -> ConnectionList:
        """All connections that this caller may see; listing does not show their details."""
        return connections.list_connections(self._session)

    def upload_model(
        self,
        name: str,
        path: str | os.PathLike[str],
        framework: Framework | str | None = None,
        requirements: Sequence[str] = (),
        input_schema: Any = None,
        output_schema: Any = None,
        convert_wait: bool = True,
        **ignored: object,
    ) -> ModelVersion:
        """Upload a model file to the current workspace. Raises ModelUploadError.

        `framework` None takes it from the file's suffix; `requirements` are the packages that a Python model
        needs; the schemas are pyarrow's, where the model does not tell them. With `convert_wait` this returns when
        the model's environment is built and it has loaded. Other arguments of the tutorials are ignored.
        """
        schemas = {"input_schema": input_schema, "output_schema": output_schema}
        return models.upload_model(
            self._session, name, path, framework, requirements, schemas=schemas, convert_wait=convert_wait
        )

    def build_pipeline(self, pipeline_name: str) -> Pipeline:
        """Make a pipeline without steps in the current workspace. Raises ApiError."""
        return pipelines.build_pipeline(self._session, pipeline_name, self._session.current_workspace_id())

    def get_pipeline(self, name: str) -> Pipeline:
        """The pipeline of that name in the current workspace. Raises EntityNotFoundError."""
        return pipelines.get_pipeline(self._session, name, self._session.current_workspace_id())

    def pipelines_by_name(self, pipeline_name: str) -> PipelineList:
        """The pipelines of that name, newest created first: of the workspace that was set, else of all.

        Raises EntityNotFoundError where there is none.
        """
        return pipelines.pipelines_by_name(self._session, pipeline_name, self._session.chosen_workspace)

    def list_pipelines(self) -> PipelineList:
        """The pipelines of all workspaces that this caller may see, newest created first."""
        return pipelines.list_pipelines(self._session)

    def list_models(self) -> ModelList:
        """The models of the current workspace."""
        from specrunner.sdk import catalogue

        return catalogue.list_models(self._session, self._session.current_workspace_id())

    def get_model(self, name: str, version: str | None = None) -> ModelVersion:
        """The newest version of that model in the current workspace, or the one of that UUID.

        Raises EntityNotFoundError.
        """
        from specrunner.sdk import catalogue

        return catalogue.get_model(self._session, name, version, self._session.current_workspace_id())

    def model_by_name(self, model_class: str, model_name: str) -> ModelVersion:
        """The version `model_name`, a UUID, of the model `model_class`. Raises EntityNotFoundError."""
        return self.get_model(model_class, model_name)

    def search_models(self, search_term: str | None = None) -> list[ModelVersion]:
        """The versions of models whose name, hash or tag has the words; all without words."""
        from specrunner.sdk import tags

        return tags.search_models(self._session, search_term)

    def search_pipelines(
        self,
        search_term: str | None = None,
        deployed: bool | None = None,
        created_start: datetime | str | None = None,
        created_end: datetime | str | None = None,
    ) -> PipelineList:
        """The pipelines whose name or tag has the words, that are deployed or not, created between two instants."""
        from specrunner.sdk import tags

        created = (_told(created_start), _told(created_end))
        return tags.search_pipelines(self._session, search_term, deployed, created)

    def create_tag(self, tag_text: str) -> Tag:
        """Make a tag with these words."""
        from specrunner.sdk import tags

        return tags.create_tag(self._session, tag_text)

    def list_tags(self) -> TagList:
        """Every tag, newest first."""
        from specrunner.sdk import tags

        return tags.list_tags(self._session)

    def upload_orchestration(
        self,
        bytes_buffer: bytes | None = None,
        path: str | os.PathLike[str] | None = None,
        name: str | None = None,
        file_name: str | None = None,
    ) -> Orchestration:
        """Upload a zip to the current workspace, from `path` or from `bytes_buffer`; it is packaged afterwards.

        Raises OrchestrationUploadFailed.
        """
        from specrunner.sdk import orchestrations

        return orchestrations.upload_orchestration(self._session, path, bytes_buffer, name, file_name)

    def list_orchestrations(self) -> OrchestrationList:
        """The orchestrations of the current workspace, oldest first."""
        from specrunner.sdk import orchestrations

        return orchestrations.list_orchestrations(self._session, self._session.current_workspace_id())

    def list_tasks(self, killed: bool = False) -> TaskList:
        """The tasks of the current workspace, newest change first; with `killed` only those that were."""
        from specrunner.sdk import tasks

        return tasks.list_tasks(self._session, self._session.current_workspace_id(), killed)

    def get_task_by_id(self, task_id: str) -> Task:
        """The task of that id. Raises EntityNotFoundError."""
        from specrunner.sdk import tasks

        return tasks.get_task(self._session, task_id)

    def list_users(self) -> list[User]:
        """Everybody who may log in. Raises ApiError for a run."""
        from specrunner.sdk import users

        return users.list_users(self._session)

    def get_user_by_email(self, email: str) -> User | None:
        """The user with that address, or None."""
        from specrunner.sdk import users

        return users.user_of(self._session, email)


def _told(moment: datetime | str | None) -> str | None:
    """An instant as the platform reads it; a naive one is local time."""
    return moment.astimezone().isoformat() if isinstance(moment, datetime) else moment
