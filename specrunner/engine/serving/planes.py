"""Loaded pipelines: what a deployment's rows say is served from here, in this process, on demand.

A plane is loaded when it is first needed and dropped when nobody holds a deployment that is served by it. The rows
are the truth: a process that finds a deployment held by others loads it for itself. Versions of one pipeline that say
the same share one plane: each `deploy` of the SDK makes a version, and many runs may deploy at once.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from specrunner.core.errors import BadInput, NotFound, SpecrunnerError, Unavailable
from specrunner.core.values import Json, JsonObject, digest, parse_duration, parse_size
from specrunner.engine.context import Context
from specrunner.engine.models import Models
from specrunner.engine.records import Deployment, ModelVersion, PipelineVersion
from specrunner.engine.serving.deployments import Deployments
from specrunner.engine.serving.loading import ModelLoading
from specrunner.engine.serving.pipelines import Pipelines
from specrunner.engine.serving.starting import Attempt, DeploymentState, Starting
from specrunner.engine.serving.steps import ModelRef, StepPlan, read_steps

_Answer = TypeVar("_Answer")

if TYPE_CHECKING:
    import pyarrow as pa

    from specrunner.engine.ports import LoadedModel
    from specrunner.engine.serving.dataplane import PipelinePlane, Step
    from specrunner.engine.serving.inference_log import InferenceLog, LogRetention


@dataclass(slots=True)
class _Serving:
    """A plane, and the versions that it serves, none until it is loaded; `lock` is held meanwhile."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    plane: PipelinePlane | None = None
    versions: set[int] = field(default_factory=set)


@dataclass(slots=True)
class Planes:
    """The service for inference."""

    context: Context
    models: Models
    pipelines: Pipelines
    deployments: Deployments
    loading: ModelLoading
    _serving: dict[str, _Serving] = field(default_factory=dict)
    _of_version: dict[int, _Serving] = field(default_factory=dict)
    _starting: Starting = field(default_factory=Starting)
    _keeping: Counter[int] = field(default_factory=Counter)  # versions that somebody is about to hold
    _logs: dict[int, InferenceLog] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def deploy(self, pipeline_id: int, version_id: int, holder: str, patience: float = inf) -> Deployment:
        """Hold and load a version of a pipeline; what can't be loaded shows here, not at the first request.

        Raises BadInput if a model can't be loaded, NotFound if the version is gone; then nothing has changed. What
        takes longer than `patience` seconds is held all the same and goes on loading; `state` tells how it is.
        """
        self.pipelines.version(version_id)
        with self._kept(version_id):
            attempt = self._begun(version_id, patience)
            if attempt is not None and attempt.problem is not None:
                raise attempt.problem
            found = self.deployments.deploy(pipeline_id, version_id, holder)
        self._starting.forget(found.id)
        if attempt is not None and not attempt.wait(0):
            self._starting.began(found.id, attempt)
        self.sweep()
        return found

    def state(self, deployment: Deployment) -> tuple[DeploymentState, SpecrunnerError | None]:
        """How a held deployment is, as this process knows it, and why it is in error where it is."""
        return self._starting.state(deployment.id)

    def undeploy(self, deployment_id: int, holder: str, *, force: bool = False) -> Deployment:
        """Give back a hold, with `force` also that of the specs; what nobody holds is unloaded."""
        found = self.deployments.give_back(deployment_id, holder, force=force)
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

    def is_quick(self, deployment: Deployment) -> bool:
        """Whether it is loaded, and has answered its last requests at once: nobody need fear to wait for it."""
        serving = self._of_version.get(deployment.version_id)
        return serving is not None and serving.plane is not None and serving.plane.is_quick

    def plane(self, deployment: Deployment) -> PipelinePlane:
        """What serves a deployment, loaded if it isn't. Raises as `deploy` does."""
        return self._plane(deployment.version_id)

    def log(self, pipeline_id: int) -> InferenceLog:
        """The inference log of a pipeline."""
        from specrunner.engine.serving.inference_log import InferenceLog

        with self._lock:
            if pipeline_id not in self._logs:
                folder = self.log_folder(pipeline_id)
                self._logs[pipeline_id] = InferenceLog(folder, retention=lambda: self._retention(pipeline_id))
            return self._logs[pipeline_id]

    def log_folder(self, pipeline_id: int) -> Path:
        """Where a pipeline's inference log lies."""
        return self.context.folder / "inference" / str(pipeline_id)

    def sweep(self) -> None:
        """Unload every plane of which no held deployment has a version in force."""
        with self._lock:
            loaded = set(self._of_version)
        held = self.deployments.in_force(sorted(loaded))
        with self._lock:
            # What was loaded meanwhile is somebody's who deploys just now; so is what is kept.
            needed = held | (set(self._of_version) - loaded) | set(+self._keeping)
            unwanted = [one for one in self._serving.values() if one.versions and not one.versions & needed]
            for one in unwanted:
                self._forget(one)
            # A pipeline that is always up has a new version with every `deploy` of a run.
            for version in set(self._of_version) - needed:
                self._of_version.pop(version).versions.discard(version)
        for one in unwanted:
            if one.plane is not None:
                one.plane.close()

    def close(self) -> None:
        """Unload everything and bring every log to disk."""
        with self._lock:
            planes = [one.plane for one in self._serving.values() if one.plane is not None]
            logs = list(self._logs.values())
            self._serving.clear()
            self._of_version.clear()
            self._logs.clear()
        for plane in planes:
            plane.close()
        for log in logs:
            log.close()

    def _retention(self, pipeline_id: int) -> LogRetention:
        """What the spec of a pipeline says of its log; all is kept of one that is gone."""
        from specrunner.engine.serving.inference_log import LogRetention

        try:
            declared = self.pipelines.settings_of(pipeline_id).get("log") or {}
        except NotFound:
            return LogRetention()
        age, size = declared.get("retention"), declared.get("maxSize")
        oldest = None if age is None else self.context.clock.now() - timedelta(seconds=parse_duration(age))
        return LogRetention(oldest, None if size is None else parse_size(size))

    def _forget(self, serving: _Serving) -> None:
        for key in [key for key, one in self._serving.items() if one is serving]:
            del self._serving[key]
        for version in serving.versions:
            self._of_version.pop(version, None)

    def _begun(self, version_id: int, patience: float) -> Attempt | None:
        """Load a version; the attempt, over or not, where it was given only so much time."""
        if patience == inf or ((found := self._of_version.get(version_id)) and found.plane is not None):
            self._plane(version_id)
            return None

        def load() -> None:
            with self._kept(version_id):
                self._plane(version_id)

        attempt = Attempt(load, f"deploy {version_id}")
        attempt.wait(patience)
        return attempt

    @contextmanager
    def _kept(self, version_id: int) -> Iterator[None]:
        """Meanwhile no sweep unloads it, whether anybody holds it or not."""
        with self._lock:
            self._keeping[version_id] += 1
        try:
            yield
        finally:
            with self._lock:
                self._keeping[version_id] -= 1
                self._keeping = +self._keeping

    def _plane(self, version_id: int) -> PipelinePlane:
        found = self._of_version.get(version_id)
        if found is not None and found.plane is not None:
            return found.plane
        version = self.pipelines.version(version_id)
        key = digest([version.pipeline_id, version.definition, version.config])
        while True:
            with self._lock:
                serving = self._serving.setdefault(key, _Serving())
            # Each has its own lock: who infers through another does not wait until this one is loaded.
            with serving.lock:
                if serving.plane is None:
                    serving.plane = self._loaded(key, version)
                with self._lock:
                    # It may have been unloaded while we waited for it.
                    if self._serving.get(key) is serving:
                        serving.versions.add(version_id)
                        self._of_version[version_id] = serving
                        return serving.plane

    def _loaded(self, key: str, version: PipelineVersion) -> PipelinePlane:
        try:
            return load_plane(version, self._load_model)
        except BaseException:
            with self._lock:
                self._serving.pop(key, None)
            raise

    def _load_model(self, model: ModelRef, config: JsonObject) -> LoadedModel:
        """One model of a step; `config` is the pipeline version's."""
        return self.loading.load(self._version(model), config)

    def _version(self, model: ModelRef) -> ModelVersion:
        try:
            return self.models.by_uuid(model.version)
        except NotFound as problem:
            summary = f"The pipeline's model {model.name!r} is gone."
            raise Unavailable(summary, remedy="Apply the specs again.") from problem


def load_plane(version: PipelineVersion, load: Callable[[ModelRef, JsonObject], LoadedModel]) -> PipelinePlane:
    """The plane of a version of a pipeline, its models loaded by `load`; all are closed if one can't be.

    Raises BadInput where steps or validations do not fit the models, and what `load` raises.
    """
    from specrunner.engine.serving.dataplane import PipelinePlane
    from specrunner.engine.serving.validations import check_validations, read_validations

    validations = read_validations(version.config.get("validations", ()))
    plans = read_steps(version.definition)
    with ExitStack() as loaded:
        steps = [_load_step(plan, lambda model: _entered(loaded, load(model, version.config))) for plan in plans]
        if not steps:
            raise BadInput("The pipeline has no steps.", remedy="Give it at least one: `steps: [{model: name}]`.")
        plane = PipelinePlane(steps, validations=validations)
        check_validations(validations, plane.outputs)
        loaded.pop_all()
    return plane


def _entered(stack: ExitStack, model: LoadedModel) -> LoadedModel:
    stack.callback(model.close)
    return model


def _load_step(plan: StepPlan, load: Callable[[ModelRef], LoadedModel]) -> Step:
    from specrunner.engine.serving.dataplane import Step
    from specrunner.engine.serving.splits import Split, check_alike

    models = tuple(load(model) for model in plan.models)
    shadows = {model.name: load(model) for model in plan.shadows}
    split = Split(models, plan.models, plan.choice) if plan.choice is not None else None
    if split is not None:
        check_alike(split)
    return Step(plan.models[0].name, models[0], shadows, split)
