"""Pipelines: steps that run models, in versions, deployed to answer inferences."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from specrunner.sdk import deployments, display, inference
from specrunner.sdk.deployments import Deployment
from specrunner.sdk.entity import Listing
from specrunner.sdk.exceptions import ApiError, DeploymentError
from specrunner.sdk.inference import Selection
from specrunner.sdk.models import ModelVersion
from specrunner.sdk.object import EntityNotFoundError
from specrunner.sdk.session import Session

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


class PipelineVersion:
    """One version of a pipeline."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self._data = dict(data)

    def id(self) -> int:
        """The platform's number for it."""
        return int(self._data["id"])

    def name(self) -> str:
        """The version, a UUID."""
        return str(self._data["version"])

    def __repr__(self) -> str:
        return f"PipelineVersion(id={self.id()}, name={self.name()!r})"


class Pipeline:
    """One pipeline of one workspace.

    `item` is the platform's description of it; it is asked for again when it is missing or may have changed.
    Steps that are added here are local until `deploy` sends them; where none were, `deploy` sends those of the
    newest version that has some.
    """

    def __init__(self, session: Session, name: str, workspace_id: int, item: Mapping[str, Any] | None = None) -> None:
        self._session = session
        self._name = name
        self._workspace_id = workspace_id
        self._item = item
        self._steps: list[dict[str, Any]] | None = None

    def id(self) -> int:
        """The platform's number for it."""
        return int(self._known()["pipeline"]["id"])

    def name(self) -> str:
        """The name, unique in its workspace."""
        return self._name

    def create_time(self) -> datetime:
        """When it was created, with time zone."""
        return display.parse_time(self._known()["pipeline"]["created_at"])

    def last_update_time(self) -> datetime:
        """When it was last changed, with time zone."""
        return display.parse_time(self._known()["pipeline"]["updated_at"])

    def versions(self) -> list[PipelineVersion]:
        """All versions, newest first."""
        return [PipelineVersion(data) for data in self._refreshed()["pipeline_versions"]]

    def variants(self) -> list[PipelineVersion]:
        """The same, by its older name."""
        return self.versions()

    def steps(self) -> list[dict[str, Any]]:
        """The steps that `deploy` would send, as they stand in a definition."""
        return list(_stored_steps(self._known()) if self._steps is None else self._steps)

    def add_model_step(self, model_version: ModelVersion) -> Pipeline:
        """Add a step that runs this model; the first one added here replaces the steps of the stored version."""
        self._steps = [*(self._steps or []), model_version.step()]
        return self

    def clear(self) -> Pipeline:
        """Remove all steps; what is deployed stays as it is."""
        self._steps = []
        return self

    def deploy(
        self,
        pipeline_name: str | None = None,
        deployment_config: Mapping[str, Any] | None = None,
        wait_for_status: bool = True,
        timeout: float = deployments.DEPLOY_PATIENCE,
    ) -> Pipeline:
        """Store the steps as a new version, deploy it, and return when it runs, at most `timeout` seconds later.

        `pipeline_name` may repeat the name, as old tutorials do. `deployment_config` is the platform's
        engine_config. Raises DeploymentError without steps or where the platform refuses, WaitForDeployError
        where it does not come up.
        """
        if pipeline_name not in {None, self._name}:
            raise DeploymentError(
                f"This is pipeline {self._name!r}, not {pipeline_name!r}",
                remedy="Use build_pipeline(name) to make another.",
            )
        steps = self.steps()
        if not steps:
            raise DeploymentError(
                f"Pipeline {self._name!r} has no steps",
                "There is nothing to deploy.",
                "Add one with add_model_step(model).",
            )
        made = _create(self._session, self._name, self._workspace_id, {"id": self._name, "steps": steps})
        self._item = None
        deployment = deployments.start(
            self._session, self._name, int(made["pipeline_variant_pk_id"]), deployment_config or {}
        )
        if wait_for_status:
            deployments.wait_until_running(self._session, self._name, deployment, timeout)
        return self

    def undeploy(self) -> Pipeline:
        """Give the deployment back, and return when it is gone for this caller; no error where there was none."""
        deployment = self._deployment(fresh=True)
        if deployment is not None:
            deployments.stop(self._session, self._name, deployment)
            self._item = None
        return self

    def status(self) -> dict[str, Any]:
        """The platform's report; its `status` is `Running`, `Starting`, `Error`, or says that it is not deployed."""
        deployment = self._deployment(fresh=True)
        report = None if deployment is None else deployments.status(self._session, deployment)
        return report if report is not None else {"status": f"Pipeline {self._name} is not deployed"}

    def url(self) -> str:
        """The URL that takes inferences. Raises DeploymentError where it is not deployed."""
        return self._session.transport.endpoint + self._inference_path()

    def infer(
        self,
        tensor: Any,
        timeout: float | None = None,
        dataset: Sequence[str] | None = None,
        dataset_exclude: Sequence[str] | None = None,
        dataset_separator: str | None = None,
    ) -> Any:
        """The answer to a DataFrame (a DataFrame), a Table (a Table), a dict or a list (what the model says).

        See `inference.infer` for the columns and the errors; raises DeploymentError where the pipeline is not
        deployed.
        """
        selection = Selection(dataset, dataset_exclude, dataset_separator)
        return inference.infer(self._session, self._inference_path(), tensor, selection, timeout)

    async def parallel_infer(
        self,
        tensor: Any,
        batch_size: int = 1,
        timeout: float | None = None,
        num_parallel: int | None = None,
        retries: int | None = None,
        dataset: Sequence[str] | None = None,
        dataset_exclude: Sequence[str] | None = None,
        dataset_separator: str | None = None,
    ) -> Any:
        """As `infer` of a DataFrame or a Table, in batches of `batch_size` rows, `num_parallel` (8) at once.

        To be awaited. `retries` is ignored: what can be tried again is.
        """
        from specrunner.sdk import parallel  # few need it

        options = (timeout, dataset, dataset_exclude, dataset_separator)
        return await parallel.parallel_infer(
            lambda batch: self.infer(batch, *options), tensor, batch_size, num_parallel or parallel.AT_ONCE
        )

    def infer_from_file(  # the parameters of the tutorials
        self,
        filename: str | os.PathLike[str],
        data_format: str | None = None,
        timeout: float | None = None,
        *,
        dataset: Sequence[str] | None = None,
        dataset_exclude: Sequence[str] | None = None,
        dataset_separator: str | None = None,
    ) -> Any:
        """The answer to a file: `.arrow` and `.parquet` give a Table, `.json` (records) and `.csv` a DataFrame.

        `data_format` overrides the suffix: arrow, parquet, pandas-records, csv or custom-json.
        """
        from specrunner.sdk import tables  # not every run reads files

        tensor = tables.read_file(Path(filename), data_format)
        return self.infer(tensor, timeout, dataset, dataset_exclude, dataset_separator)

    def logs(  # the parameters of the tutorials
        self,
        limit: int | None = None,
        start_datetime: datetime | None = None,
        end_datetime: datetime | None = None,
        *,
        dataset: Sequence[str] | None = None,
        dataset_exclude: Sequence[str] | None = None,
        dataset_separator: str | None = None,
        arrow: bool = False,
    ) -> pd.DataFrame | pa.Table:
        """One page of records: the newest `limit` (100), newest first, or those between two instants, oldest first.

        Naive instants are local time. A warning on standard error says when there are more.
        """
        from specrunner.sdk import logs  # few runs read logs

        selection = Selection(dataset, dataset_exclude, dataset_separator)
        query = logs.LogQuery(limit, start_datetime, end_datetime, selection)
        page = logs.page(self._session, logs.topic_of(self._session, self.id()), query)
        logs.warn(page.status)
        return page.table if arrow else page.table.to_pandas()

    def export_logs(  # the parameters of the tutorials
        self,
        directory: str | os.PathLike[str] | None = None,
        file_prefix: str | None = None,
        data_size_limit: str | None = None,
        limit: int | None = None,
        start_datetime: datetime | None = None,
        end_datetime: datetime | None = None,
        *,
        dataset: Sequence[str] | None = None,
        dataset_exclude: Sequence[str] | None = None,
        dataset_separator: str | None = None,
        arrow: bool = False,
    ) -> list[Path]:
        """Write the records to files `<prefix>-<n>.json` or `.arrow` and return their paths.

        Default folder `logs`, prefix the pipeline's name, at most `100 MiB` of data.
        """
        from specrunner.sdk import exports, logs  # few runs read logs

        size = exports.size_of(data_size_limit or exports.DEFAULT_SIZE)
        selection = Selection(dataset, dataset_exclude, dataset_separator)
        query = logs.LogQuery(limit, start_datetime, end_datetime, selection)
        found = logs.pages(self._session, logs.topic_of(self._session, self.id()), query)
        return exports.write(found, Path(directory or "logs"), file_prefix or self._name, size, arrow=arrow)

    def _inference_path(self) -> str:
        deployment = self._deployment() or self._deployment(fresh=True)
        if deployment is None:
            raise DeploymentError(
                f"Pipeline {self._name!r} is not deployed", "It was never deployed.", "Call pipeline.deploy() first."
            )
        return inference.path_of(deployment, self._name)

    def _deployment(self, *, fresh: bool = False) -> Deployment | None:
        return deployments.deployment_of(self._refreshed() if fresh else self._known())

    def _known(self) -> Mapping[str, Any]:
        return self._item if self._item is not None else self._refreshed()

    def _refreshed(self) -> Mapping[str, Any]:
        self._item = _fetch(self._session, self._name, self._workspace_id)
        return self._item

    def __repr__(self) -> str:
        return str({"name": self._name, "create_time": self.create_time(), "definition": self.steps()})

    def _repr_html_(self) -> str:
        item = self._refreshed()
        deployment = deployments.deployment_of(item)
        return display.heads_table(
            {
                "name": self._name,
                "created": self.create_time(),
                "last_updated": self.last_update_time(),
                "deployed": "(none)" if deployment is None else deployment.deployed,
                "tags": "",
                "versions": ", ".join(version["version"] for version in item["pipeline_versions"]),
                "steps": ", ".join(_model_names(_stored_steps(item))),
            }
        )


class PipelineList(Listing[Pipeline]):
    """Pipelines, shown as a table in notebooks."""

    _columns = ("name", "created", "last_updated", "deployed", "tags", "versions", "steps")
    _nothing = "(no pipelines)"

    def _row(self, one: Pipeline) -> Sequence[object]:
        return _row(one._known())


def list_pipelines(session: Session, workspace_id: int | None = None) -> PipelineList:
    """The pipelines of one workspace, or of all that this caller may see, newest created first."""
    body = {"workspace_id": workspace_id, "workspace_name": None}
    found = session.post("pipelines/list_pipelines", body)["pipelines"]
    found.sort(key=lambda item: display.parse_time(item["pipeline"]["created_at"]), reverse=True)
    return PipelineList(
        Pipeline(session, item["pipeline"]["name"], int(item["workspace"]["id"]), item) for item in found
    )


def pipelines_by_name(session: Session, name: str, workspace_id: int | None) -> PipelineList:
    """The pipelines of that name, newest created first. Raises EntityNotFoundError where there is none."""
    found = PipelineList(item for item in list_pipelines(session, workspace_id) if item.name() == name)
    if not found:
        raise EntityNotFoundError("Pipeline", {"name": name}, "Make it with build_pipeline(name).")
    return found


def get_pipeline(session: Session, name: str, workspace_id: int) -> Pipeline:
    """The pipeline of that name in that workspace. Raises EntityNotFoundError where there is none."""
    return Pipeline(session, name, workspace_id, _fetch(session, name, workspace_id))


def build_pipeline(session: Session, name: str, workspace_id: int) -> Pipeline:
    """Make a pipeline without steps; where it exists, it gets a new empty version. Raises ApiError."""
    _create(session, name, workspace_id, {})
    pipeline = Pipeline(session, name, workspace_id)
    return pipeline.clear()


def _create(session: Session, name: str, workspace_id: int, definition: Mapping[str, Any]) -> dict[str, Any]:
    body = {"pipeline_id": name, "workspace_id": workspace_id, "definition": definition}
    return dict(session.post("pipelines/create", body))


def _fetch(session: Session, name: str, workspace_id: int) -> dict[str, Any]:
    body = {"pipeline_name": name, "workspace_id": workspace_id}
    try:
        return dict(session.post("pipelines/get_pipeline_by_name", body))
    except ApiError as fault:
        if fault.status == 404:
            raise EntityNotFoundError("Pipeline", {"name": name}, "Make it with build_pipeline(name).") from fault
        raise


def _stored_steps(item: Mapping[str, Any]) -> list[dict[str, Any]]:
    version = item.get("pipeline_version") or {}
    return list((version.get("definition") or {}).get("steps") or [])


def _model_names(steps: Sequence[Mapping[str, Any]]) -> list[str]:
    inferences = [step["ModelInference"] for step in steps if "ModelInference" in step]
    return [str(model["name"]) for one in inferences for model in one["models"]]


def _row(item: Mapping[str, Any]) -> tuple[object, ...]:
    deployment = deployments.deployment_of(item)
    pipeline = item["pipeline"]
    return (
        pipeline["name"],
        display.short_time(pipeline["created_at"]),
        display.short_time(pipeline["updated_at"]),
        "(unknown)" if deployment is None else deployment.deployed,
        "",
        ", ".join(version["version"] for version in item["pipeline_versions"]),
        ", ".join(_model_names(_stored_steps(item))),
    )
