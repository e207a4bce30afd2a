"""The client: one object with all verbs, over one session with one platform."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from specrunner.sdk import connections, models, pipelines, runtime, workspaces
from specrunner.sdk.connections import Connection, ConnectionList
from specrunner.sdk.framework import Framework
from specrunner.sdk.models import ModelVersion
from specrunner.sdk.pipelines import Pipeline, PipelineList
from specrunner.sdk.session import Session
from specrunner.sdk.transport import Transport
from specrunner.sdk.workspaces import Workspace, WorkspaceList


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
