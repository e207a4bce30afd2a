"""From a version of a model to a loaded one: its environment built, the runtime of its framework asked.

A version that needs an environment is prepared once: its requirements are locked, which then is part of what the
version is, and the environment is built. Whoever asks while another prepares it waits for that.
"""

from __future__ import annotations

import logging
import shutil
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from specrunner.core.errors import BadInput, PackagingFailed, SpecrunnerError
from specrunner.core.lifecycle import ModelState
from specrunner.core.values import Json, JsonObject, parse_duration, parse_size
from specrunner.engine.context import Context
from specrunner.engine.models import Models
from specrunner.engine.ports import EnvironmentBuilder, LoadedModel, Progress
from specrunner.engine.records import ModelVersion
from specrunner.engine.serving.frameworks import Framework, check, framework_of, requirements_of

if TYPE_CHECKING:
    from specrunner.engine.serving.workers.model import PythonRuntime

_logger = logging.getLogger(__name__)
_NO_SETTINGS: JsonObject = {}


def _silent(_line: str) -> None:
    """Nobody waits for these words."""


@dataclass(slots=True)
class ModelLoading:
    """The service that prepares and loads models."""

    context: Context
    models: Models
    environments: EnvironmentBuilder
    _under_way: set[int] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def check(self, file_name: str, data: bytes, config: JsonObject) -> None:
        """See whether these bytes can be a model of their framework, without running any of its code. Raises BadInput.

        An ONNX model is loaded and tried; for others that takes their environment, so it is done at deploy.
        """
        path = self.context.artifacts.path(self.context.artifacts.put(data))
        if framework_of(config) is Framework.ONNX:
            from specrunner.engine.serving.runtimes import OnnxRuntime

            OnnxRuntime().load(path, {"name": file_name}).close()
        else:
            check(path, file_name, config)

    def check_framework(self, config: JsonObject) -> None:
        """Raise BadInput where models of that framework can't be served."""
        framework_of(config)

    def prepare(self, version_id: int, progress: Progress = _silent, *, trial: bool = False) -> ModelVersion:
        """Make a version ready to be deployed; one that is already stays so, one in `error` is tried again.

        With a `trial`, or after an error, it is loaded once too. Raises PackagingFailed and BadInput, and leaves the
        version in `error`.
        """
        folder = self._folder / "preparing"
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f"{version_id}.lock"):
            version = self.models.version(version_id)
            return version if version.status is ModelState.READY else self._prepare(version, progress, trial)

    def begin(self, version_id: int) -> None:
        """Have a version prepared and tried in the background, unless that is under way here already."""
        with self._lock:
            if version_id in self._under_way:
                return
            self._under_way.add(version_id)
        threading.Thread(
            target=self._prepare_alone, args=(version_id,), name=f"model {version_id}", daemon=True
        ).start()

    def load(self, version: ModelVersion, settings: JsonObject = _NO_SETTINGS) -> LoadedModel:
        """A version loaded and tried, with what `settings` of a pipeline says of `resources`.

        Raises BadInput where it does not load, and what `prepare` raises.
        """
        resources: JsonObject = settings.get("resources") or {}
        threads = _threads(resources)
        config: dict[str, Json] = {"name": version.file_name, **({"threads": threads} if threads else {})}
        if framework_of(version.config) is Framework.ONNX:
            from specrunner.engine.serving.runtimes import OnnxRuntime

            return OnnxRuntime().load(self.context.artifacts.path(version.sha), config)
        ready = version if version.status is ModelState.READY else self.prepare(version.id)
        return self._runtime().load(self.context.artifacts.path(ready.sha), self._config(ready, resources) | config)

    def logs(self, version: ModelVersion, lines: int | None = None) -> list[str]:
        """What the newest worker of a version has printed, the last lines of it."""
        from specrunner.engine.serving.workers.scratch import newest_log
        from specrunner.engine.tasks import logs

        folder = newest_log(self._logs(version))
        if folder is None:
            return version.error.splitlines()
        found = logs.tail(folder, lines or 1_000, ended=True)
        return [*version.error.splitlines(), *(line.text for line in found)]

    def forget(self, model_id: int) -> None:
        """Remove what the workers of a model have printed; nothing of it runs any more."""
        for version in self.models.versions(model_id):
            shutil.rmtree(self._logs(version), ignore_errors=True)

    def _prepare(self, version: ModelVersion, progress: Progress, trial: bool) -> ModelVersion:
        trial |= version.status is ModelState.ERROR  # it may be that which failed: `ready` would be a lie
        if version.status is not ModelState.PENDING_PACKAGING:  # it failed, or whoever prepared it died
            version = self.models.move(version, ModelState.PENDING_PACKAGING, error="")
        version = self.models.move(version, ModelState.PACKAGING)
        try:
            lock = version.lock or self._locked(version, progress)
            progress("building the environment")
            self.environments.ensure(lock)
            if trial:
                path = self.context.artifacts.path(version.sha)
                config = self._config(version, {}) | {"lock": lock, "name": version.file_name}
                self._runtime().load(path, config).close()
        except (PackagingFailed, BadInput) as problem:
            words = "\n".join(part for part in (problem.summary, problem.detail) if part)
            self.models.move(version, ModelState.ERROR, error=words)
            raise
        return self.models.move(version, ModelState.READY, lock=lock)

    def _locked(self, version: ModelVersion, progress: Progress) -> str:
        progress("resolving requirements")
        return self.environments.lock(requirements_of(self.context.artifacts.path(version.sha), version.config))

    def _prepare_alone(self, version_id: int) -> None:
        try:
            self.prepare(version_id, trial=True)
        except SpecrunnerError as problem:
            _logger.warning("action=prepare model=%s it can't be used: %s", version_id, problem.summary)
        except Exception:
            _logger.exception("action=prepare model=%s", version_id)
        finally:
            with self._lock:
                self._under_way.discard(version_id)

    def _runtime(self) -> PythonRuntime:
        from specrunner.engine.serving.workers.model import PythonRuntime

        return PythonRuntime(self.environments, self._folder)

    def _config(self, version: ModelVersion, resources: JsonObject) -> dict[str, Json]:
        """What the runtime of Python models is told of a version and of the resources it gets."""
        found: dict[str, Json] = {"lock": version.lock, "logs": str(self._logs(version)), **version.config}
        if found.get("timeout") is not None:
            found["timeout"] = parse_duration(found["timeout"])
        if resources.get("memory") is not None:
            found["memory"] = parse_size(resources["memory"])
        return found | {"replicas": int(resources.get("replicas") or 1)}

    @property
    def _folder(self) -> Path:
        return self.context.folder / "models"

    def _logs(self, version: ModelVersion) -> Path:
        return self._folder / "logs" / version.version


def _threads(resources: JsonObject) -> int | None:
    """Threads to compute with: the whole cores asked for, at least one; the runtime's default where none are."""
    cpus = resources.get("cpus")
    return max(1, int(cpus)) if cpus else None
