"""What the engine holds, in the shape of the specs: one pass over each kind's rows.

What the engine cannot know (where a secret comes from) is taken from what was last applied. Others may write at
the same time: an object in a workspace that was not there yet when we began is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping

from specrunner.core.keys import Key, Kind
from specrunner.core.lifecycle import OrchestrationState
from specrunner.core.resources import LiveObject
from specrunner.core.values import Json, JsonObject
from specrunner.engine.engine import Engine
from specrunner.engine.records import Orchestration, Ownership, Pipeline

Found = tuple[Key, dict[str, Json], str, str, str]  # key, spec, id, state, detail


def read(engine: Engine, kinds: Collection[Kind] = tuple(Kind)) -> dict[Key, LiveObject]:
    """Every live object of these kinds, by key."""
    owners = engine.ownership.all()
    names = {workspace.id: workspace.name for workspace in engine.workspaces.all()}
    intents = _intents(engine) if Kind.TASK in kinds else {}
    readers: Mapping[Kind, Callable[[], Iterator[Found]]] = {
        Kind.WORKSPACE: lambda: _workspaces(engine),
        Kind.CONNECTION: lambda: _connections(engine, owners),
        Kind.MODEL: lambda: _models(engine, names),
        Kind.PIPELINE: lambda: _pipelines(engine, names),
        Kind.ORCHESTRATION: lambda: _orchestrations(engine, names),
        Kind.TASK: lambda: _tasks(engine),
    }
    found = [entry for kind in kinds for entry in readers[kind]()]
    return {entry[0]: _object(entry, owners.get(entry[0]), intents.get(entry[2], {})) for entry in found}


def _object(entry: Found, record: Ownership | None, intents: Mapping[str, str]) -> LiveObject:
    key, spec, identity, state, detail = entry
    if record is None:
        return LiveObject(key, spec, identity, state, detail, intents=intents)
    return LiveObject(
        key=key,
        spec=spec,
        id=identity,
        state=state,
        detail=detail,
        owner=record.owner,
        applied=record.applied,
        protect=record.protect,
        labels=record.labels,
        description=record.description,
        secrets=record.secrets,
        intents=intents,
    )


def _intents(engine: Engine) -> dict[str, dict[str, str]]:
    return {
        task_id: {intent: str(engine.runs.observed(run)) for intent, run in runs.items()}
        for task_id, runs in engine.history.last_per_intent().items()
    }


def _workspaces(engine: Engine) -> Iterator[Found]:
    for found in engine.workspaces.all():
        yield Key(Kind.WORKSPACE, "", found.name), {}, str(found.id), "ready", ""


def _connections(engine: Engine, owners: Mapping[Key, Ownership]) -> Iterator[Found]:
    details = engine.connections.all_open_details()
    for found in engine.connections.all():
        if found.name not in details:  # made since we began to read
            continue
        key = Key(Kind.CONNECTION, "", found.name)
        spec: dict[str, Json] = {"type": found.type, "workspaces": list(found.workspaces)}
        if details[found.name]:
            spec["details"] = details[found.name]
        yield key, {**spec, **_as_applied(owners.get(key), "detailsFrom")}, found.id, "ready", ""


def _models(engine: Engine, names: Mapping[int, str]) -> Iterator[Found]:
    for found in engine.models.all():
        if found.workspace_id not in names:
            continue
        key = Key(Kind.MODEL, names[found.workspace_id], found.name)
        # Bytes that are gone are put back by uploading them once more.
        sha = found.sha if engine.has_artifact(found.sha) else ""
        yield key, {**found.config, "sha": sha}, str(found.id), "ready" if sha else "missing", ""


def _pipelines(engine: Engine, names: Mapping[int, str]) -> Iterator[Found]:
    deployments = {found.pipeline_id: found for found in engine.deployments.all()}
    for found in engine.pipelines.all():
        if found.workspace_id not in names:
            continue
        deployment = deployments.get(found.id)
        spec = {**found.settings, **_steps(engine, found)}
        # What the spec declares is its own hold; whether others hold the pipeline too is not its business.
        if deployment is not None and engine.spec_holder in deployment.holders:
            spec["deployed"] = True
        elif "deployed" in spec:
            spec["deployed"] = False
        state = "running" if deployment is not None and deployment.holders else "undeployed"
        yield Key(Kind.PIPELINE, names[found.workspace_id], found.name), spec, str(found.id), state, ""


def _steps(engine: Engine, found: Pipeline) -> dict[str, Json]:
    if found.current is None:
        return {}
    models = engine.pipelines.models_of(found.current)
    return {
        "steps": [{"model": model["name"]} for model in models],
        "modelShas": {model["name"]: model.get("sha", "") for model in models},
    }


def _orchestrations(engine: Engine, names: Mapping[int, str]) -> Iterator[Found]:
    versions: dict[Key, list[Orchestration]] = {}
    for found in engine.orchestrations.all():
        if found.workspace_id not in names:
            continue
        versions.setdefault(Key(Kind.ORCHESTRATION, names[found.workspace_id], found.name), []).append(found)
    for key, newest_first in versions.items():
        newest = newest_first[0]
        ready = (version for version in newest_first if version.status is OrchestrationState.READY)
        # A version that can't be packaged, or whose bytes are gone, is not in force: the one before it is, or none.
        usable = next((version for version in ready if engine.has_artifact(version.sha)), None)
        spec: dict[str, Json] = {"sha": usable.sha} if usable else {}
        yield key, spec, newest.id, str(newest.status), newest.error


def _tasks(engine: Engine) -> Iterator[Found]:
    shas = {found.id: found.sha for found in engine.orchestrations.all()}
    for found in engine.tasks.all():
        key = Key(Kind.TASK, found.workspace, found.name)
        spec = {**found.spec, "orchestrationSha": shas.get(found.orchestration_id, "")}
        yield key, spec, found.id, str(found.status), ""


def _as_applied(record: Ownership | None, name: str) -> JsonObject:
    return {name: record.applied[name]} if record is not None and record.applied.get(name) is not None else {}
