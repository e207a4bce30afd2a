"""Loaded pipelines: what a deployment's rows say is served from here, in this process, on demand.

A plane is loaded when it is first needed and dropped when nobody holds its deployment any more. The rows are
the truth: a process that finds a deployment held by others loads it for itself.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from specrunner.core.errors import BadInput, NotFound, Unavailable
from specrunner.core.values import Json
from specrunner.engine.context import Context
from specrunner.engine.models import Models
from specrunner.engine.records import Deployment, ModelVersion
from specrunner.engine.serving.deployments import Deployments
from specrunner.engine.serving.loading import ModelLoading
from specrunner.engine.serving.pipelines import Pipelines, step_models

_Answer = TypeVar("_Answer")

if TYPE_CHECKING:
    import pyarrow as pa

    from specrunner.engine.serving.dataplane import PipelinePlane
    from specrunner.engine.serving.inference_log import InferenceLog


@dataclass(slots=True)
class Planes:
    """The service for inference."""

    context: Context
    models: Models
    pipelines: Pipelines
    deployments: Deployments
    loading: ModelLoading
    _loaded: dict[int, PipelinePlane] = field(default_factory=dict)
    _loading: dict[int, threading.Lock] = field(default_factory=dict)
    _logs: dict[int, InferenceLog] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def deploy(self, pipeline_id: int, version_id: int, holder: str) -> Deployment:
        """Hold and load a version of a pipeline; what can't be loaded shows here, not at the first request.

        Raises BadInput if a model can't be loaded; then nothing has changed.
        """
        plane = self._load(version_id)
        found = self.deployments.deploy(pipeline_id, version_id, holder)
        with self._lock:
            self._loaded[version_id] = plane
        self.sweep()
        return found

    def undeploy(self, deployment_id: int, holder: str) -> Deployment:
        """Give back a hold; what nobody holds is unloaded."""
        found = self.deployments.give_back(deployment_id, holder)
        self.sweep()
        return found

    def infer(self, deployment: Deployment, table: pa.Table) -> pa.Table:
        """One result row per input row, written to the pipeline's log.

        Raises BadInput, and Unavailable where nobody holds the deployment any more.
        """
        return self._through(deployment, lambda plane, now: (found := plane.infer(table, now), found))

    def infer_json(self, deployment: Deployment, value: Json) -> Json:
        """The answer to custom JSON, written to the pipeline's log. Raises as `infer` does."""
        return self._through(deployment, lambda plane, now: plane.infer_json(value, now))

    def _through(
        self, deployment: Deployment, work: Callable[[PipelinePlane, datetime], tuple[_Answer, pa.Table]]
    ) -> _Answer:
        """What `work` answers with the plane in force; the rows that it gives beside are logged."""
        while True:
            plane = self._plane(deployment.version_id)
            try:
                answer, rows = work(plane, self.context.clock.now())
            except Unavailable:
                # It was unloaded under our hands: because another version is in force by now, or nobody holds it.
                deployment = self.deployments.get(deployment.id)
                if not deployment.holders:
                    raise
            else:
                self.log(deployment.pipeline_id).append(rows)
                return answer

    def log(self, pipeline_id: int) -> InferenceLog:
        """The inference log of a pipeline."""
        from specrunner.engine.serving.inference_log import InferenceLog

        with self._lock:
            if pipeline_id not in self._logs:
                self._logs[pipeline_id] = InferenceLog(self.log_folder(pipeline_id))
            return self._logs[pipeline_id]

    def log_folder(self, pipeline_id: int) -> Path:
        """Where a pipeline's inference log lies."""
        return self.context.folder / "inference" / str(pipeline_id)

    def sweep(self) -> None:
        """Unload every version that no held deployment has in force."""
        with self._lock:
            loaded = list(self._loaded)
        unwanted = set(loaded) - self.deployments.in_force(loaded)
        with self._lock:
            gone = [self._loaded.pop(version) for version in unwanted if version in self._loaded]
        for plane in gone:
            plane.close()

    def close(self) -> None:
        """Unload everything and bring every log to disk."""
        with self._lock:
            planes, logs = list(self._loaded.values()), list(self._logs.values())
            self._loaded.clear()
            self._logs.clear()
        for plane in planes:
            plane.close()
        for log in logs:
            log.close()

    def _plane(self, version_id: int) -> PipelinePlane:
        with self._lock:
            found = self._loaded.get(version_id)
            loading = self._loading.setdefault(version_id, threading.Lock())
        if found is not None:
            return found
        # Each version has its own lock: who infers through another does not wait until this one is loaded.
        with loading:
            found = self._loaded.get(version_id)
            if found is None:
                found = self._loaded[version_id] = self._load(version_id)
            self._loading.pop(version_id, None)
        return found

    def _load(self, version_id: int) -> PipelinePlane:
        from specrunner.engine.serving.dataplane import PipelinePlane, Step

        pipeline_version = self.pipelines.version(version_id)
        settings = self.pipelines.get(pipeline_version.pipeline_id).settings
        steps: list[Step] = []
        try:
            for model in step_models(pipeline_version.definition):
                version = self._version(model)
                steps.append(Step(version.name, self.loading.load(version, settings)))
        except BaseException:
            for step in steps:  # a Python model has processes by now
                step.model.close()
            raise
        if not steps:
            raise BadInput("The pipeline has no steps.", remedy="Give it at least one: `steps: [{model: name}]`.")
        return PipelinePlane(steps)

    def _version(self, model: dict[str, Any]) -> ModelVersion:
        try:
            return self.models.by_uuid(model["version"])
        except NotFound as problem:
            summary = f"The pipeline's model {model['name']!r} is gone."
            raise Unavailable(summary, remedy="Apply the specs again.") from problem
