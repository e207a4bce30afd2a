"""The engine's rows in the shape of the specs, one function per kind.

What the engine cannot know (where a secret comes from) is taken from what was last applied.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from specrunner.core.lifecycle import ModelState, OrchestrationState, TaskState
from specrunner.core.values import Json, JsonObject
from specrunner.engine.definitions import models_of, spec_steps
from specrunner.engine.records import (
    SPEC,
    Connection,
    Deployment,
    ModelVersion,
    Orchestration,
    Ownership,
    Pipeline,
    Task,
)
from specrunner.targets.base import SUSPENDED

HasArtifact = Callable[[str], bool]  # whether the bytes of this sha256 are there


class Shape(NamedTuple):
    """What is live of one object, without whose it is."""

    spec: JsonObject
    id: str
    state: str
    detail: str = ""
    intents: Mapping[str, str] = {}  # never written to


def connection(found: Connection, details: JsonObject, record: Ownership | None) -> Shape:
    """A connection; `details` are those that are no secrets."""
    spec: dict[str, Json] = {"type": found.type, "workspaces": list(found.workspaces)}
    if details:
        spec["details"] = details
    if record is not None and record.applied.get("detailsFrom") is not None:
        spec["detailsFrom"] = record.applied["detailsFrom"]
    return Shape(spec, found.id, "ready")


def model(has_artifact: HasArtifact, newest: ModelVersion, usable: ModelVersion) -> Shape:
    """A model, from its newest version and the one that can be deployed, the newest one again where none can.

    One whose environment can't be had is not in force: the one before it is, or none.
    """
    if usable.status is not ModelState.READY:
        return Shape({}, str(newest.id), str(newest.status), newest.error)
    shape = _model(has_artifact, usable)
    if newest.status is ModelState.READY:
        return shape
    return shape._replace(detail=f"A newer version is not in force: {newest.error or newest.status}")


def _model(has_artifact: HasArtifact, found: ModelVersion) -> Shape:
    # Bytes that are gone are put back by uploading them once more.
    sha = found.sha if has_artifact(found.sha) else ""
    return Shape({**found.config, "sha": sha}, str(found.id), "ready" if sha else "missing")


def pipeline(found: Pipeline, deployment: Deployment | None, identities: Mapping[str, str]) -> Shape:
    """A pipeline with its deployment; `identities` are by version what those models are that are not only bytes."""
    spec = {**found.settings, **_steps(found, identities)}
    # What the spec declares is its own hold; whether others hold the pipeline too is not its business.
    if deployment is not None and SPEC in deployment.holders:
        spec["deployed"] = True
    elif "deployed" in spec:
        spec["deployed"] = False
    state = "running" if deployment is not None and deployment.holders else "undeployed"
    return Shape(spec, str(found.id), state)


def _steps(found: Pipeline, identities: Mapping[str, str]) -> dict[str, Json]:
    if found.current is None:
        return {}
    models = models_of(found.current.definition)
    return {
        "steps": spec_steps(found.current.definition),
        "modelShas": {model.name: identities.get(model.version, model.sha) for model in models},
    }


def in_force(has_artifact: HasArtifact, newest_first: Sequence[Orchestration]) -> Orchestration | None:
    """The version that tasks are started with.

    One that can't be packaged, or whose bytes are gone, is not in force: the one before it is, or none.
    """
    ready = (version for version in newest_first if version.status is OrchestrationState.READY)
    return next((version for version in ready if has_artifact(version.sha)), None)


def orchestration(has_artifact: HasArtifact, newest_first: Sequence[Orchestration]) -> Shape:
    """An orchestration, from all its versions: the one in force, and what became of a newer one."""
    newest, usable = newest_first[0], in_force(has_artifact, newest_first)
    if usable is None:
        return Shape({}, newest.id, str(newest.status), newest.error)
    return Shape({"sha": usable.sha}, usable.id, str(usable.status), "" if usable is newest else _newer(newest))


def _newer(newest: Orchestration) -> str:
    """What became of a version that is not in force though it came later."""
    if newest.status is OrchestrationState.ERROR:
        return f"A newer version could not be packaged: {newest.error}"
    if newest.status is OrchestrationState.READY:
        return "The bytes of a newer version are gone."
    return "A newer version is not packaged yet."


def task(found: Task, sha: str, intents: Mapping[str, str]) -> Shape:
    """A task; `sha` is that of its orchestration's version."""
    state = SUSPENDED if found.suspended and found.status is TaskState.STARTED else str(found.status)
    return Shape({**found.spec, "orchestrationSha": sha}, found.id, state, intents=intents)
