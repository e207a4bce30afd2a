"""Loaded pipelines: what a deployment's rows say is served from here, in this process, on demand.

A plane is loaded when it is first needed and dropped when nobody holds its deployment any more. The rows are
the truth: a process that finds a deployment held by others loads it for itself.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from specrunner.core.errors import BadInput, NotFound, Unavailable
from specrunner.core.values import JsonObject
from specrunner.engine.context import Context
from specrunner.engine.definitions import step_models
from specrunner.engine.models import Models
from specrunner.engine.records import Deployment, ModelVersion
from specrunner.engine.serving.deployments import Deployments
from specrunner.engine.serving.pipelines import Pipelines

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
        while True:
            plane = self._plane(deployment.version_id)
            try:
                result = plane.infer(table, self.context.clock.now())
            except Unavailable:
                # It was unloaded under our hands: because another version is in force by now, or nobody holds it.
                deployment = self.deployments.get(deployment.id)
                if not deployment.holders:
                    raise
            else:
                self.log(deployment.pipeline_id).append(result)
                return result

    def try_model(self, file_name: str, data: bytes) -> None:
        """See whether these bytes are a model that loads. Raises BadInput."""
        from specrunner.engine.serving.runtimes import OnnxRuntime

        path = self.context.artifacts.path(self.context.artifacts.put(data))
        OnnxRuntime().load(path, {"name": file_name}).close()

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
        from specrunner.engine.serving.runtimes import OnnxRuntime

        pipeline_version = self.pipelines.version(version_id)
        threads = _threads(self.pipelines.get(pipeline_version.pipeline_id).settings)
        config = {"threads": threads} if threads else {}
        steps = []
        for model in step_models(pipeline_version.definition):
            version = self._version(model)
            if version.config.get("framework", "onnx") != "onnx":
                raise BadInput(
                    f"The model {version.name!r} is of the framework {version.config['framework']!r}.",
                    detail="Only ONNX models can be deployed.",
                    remedy="Convert it to ONNX, and declare `framework: onnx`.",
                )
            path = self.context.artifacts.path(version.sha)
            steps.append(Step(version.name, OnnxRuntime().load(path, {**config, "name": version.file_name})))
        if not steps:
            raise BadInput("The pipeline has no steps.", remedy="Give it at least one: `steps: [{model: name}]`.")
        return PipelinePlane(steps)

    def _version(self, model: dict[str, Any]) -> ModelVersion:
        try:
            return self.models.by_uuid(model["version"])
        except NotFound as problem:
            summary = f"The pipeline's model {model['name']!r} is gone."
            raise Unavailable(summary, remedy="Apply the specs again.") from problem


def _threads(settings: JsonObject) -> int | None:
    """Intra-op threads: the whole cores asked for, at least one; the runtime's default where none are."""
    cpus = settings.get("resources", {}).get("cpus")
    return max(1, int(cpus)) if cpus else None
