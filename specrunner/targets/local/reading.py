"""What the engine holds, as live objects: all of it by one pass over each kind's rows, or one object by its key.

Everything is read of one state of the store. An ownership record without its object says that somebody else has
removed it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from specrunner.core.errors import NotFound
from specrunner.core.keys import Key, Kind
from specrunner.core.resources import LiveObject, Presence
from specrunner.core.uncollected import uncollected
from specrunner.engine.holdings import Holdings
from specrunner.engine.records import Orchestration, Ownership
from specrunner.targets.base import Stored
from specrunner.targets.local import shapes
from specrunner.targets.local.shapes import HasArtifact, Shape

if TYPE_CHECKING:
    from specrunner.engine.engine import Engine
    from specrunner.engine.looking import Look
    from specrunner.engine.records import Run


def read(engine: Engine) -> dict[Key, LiveObject]:
    """Every live object, and those that are missing, by key."""
    with uncollected():
        return shown(engine.holdings(), engine.has_artifact)


def seen(look: Look) -> dict[Key, LiveObject] | None:
    """The same, of a store that is only looked at; None where that does not tell."""
    with uncollected():
        held = look.holdings()
        return None if held is None else shown(held, look.has_artifact)


def shown(held: Holdings, has_artifact: HasArtifact) -> dict[Key, LiveObject]:
    """What a state folder holds as live objects, and those that are missing, by key."""
    owners = held.owners
    prints = held.held
    found = {key: _object(key, shape, owners.get(key), prints.get(key)) for key, shape in _shapes(held, has_artifact)}
    missing = {key: _missing(key, record, held.left.get(key, {})) for key, record in owners.items() if key not in found}
    return found | missing


def read_one(engine: Engine, key: Key) -> LiveObject | None:
    """One object, as `read` would show it, at the cost of one; None where there is none and never was one."""
    with engine.snapshot():
        record = engine.ownership.get(key)
        shape = None
        with suppress(NotFound):
            shape = _ONE[key.kind](engine, key, record)
        if shape is not None:
            return _object(key, shape, record, engine.prints.of(key, record) if record is not None else None)
        if record is None:
            return None
        left = engine.history.intents_left(str(key)) if key.kind is Kind.TASK else {}
        return _missing(key, record, _observed(engine, left))


def stored(engine: Engine, key: Key) -> Stored | None:
    """The bytes of a model or an orchestration as it is in force; None where there are none."""
    with suppress(NotFound), engine.snapshot():
        if key.kind is Kind.MODEL:
            model = engine.models.in_force(_workspace_id(engine, key), key.name)
            return _stored(engine, model.file_name, model.sha)
        if key.kind is Kind.ORCHESTRATION:
            version = shapes.in_force(
                engine.has_artifact, engine.orchestrations.named(_workspace_id(engine, key), key.name)
            )
            return _stored(engine, version.file_name, version.sha) if version else None
    return None


def _stored(engine: Engine, file_name: str, sha: str) -> Stored | None:
    data = engine.artifact(sha)
    return None if data is None else Stored(file_name, data)


def _object(key: Key, shape: Shape, record: Ownership | None, prints: Mapping[str, str] | None) -> LiveObject:
    spec, identity, state, detail, intents = shape
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
        held=prints or {},
    )


def _missing(key: Key, record: Ownership, left: Mapping[str, str]) -> LiveObject:
    """What somebody else has removed; of a task it is still known what it has carried out."""
    return LiveObject(
        key=key,
        spec={},
        id="",
        state="missing",
        owner=record.owner,
        applied=record.applied,
        protect=record.protect,
        labels=record.labels,
        description=record.description,
        secrets=record.secrets,
        intents=left,
        presence=Presence.MISSING,
    )


# All of a kind


def _shapes(held: Holdings, has_artifact: HasArtifact) -> Iterator[tuple[Key, Shape]]:
    names = held.workspaces
    for identity, name in names.items():
        yield Key(Kind.WORKSPACE, "", name), Shape({}, str(identity), "ready")
    for found in held.connections:
        key = Key(Kind.CONNECTION, "", found.name)
        yield key, shapes.connection(found, held.details[found.name], held.owners.get(key))
    for model in held.models:
        usable = held.in_force.get(model.model_id, model)
        yield Key(Kind.MODEL, names[model.workspace_id], model.name), shapes.model(has_artifact, model, usable)
    for pipeline in held.pipelines:
        key = Key(Kind.PIPELINE, names[pipeline.workspace_id], pipeline.name)
        yield key, shapes.pipeline(pipeline, held.deployments.get(pipeline.id), held.identities)
    yield from _orchestrations_and_tasks(held, has_artifact)


def _orchestrations_and_tasks(held: Holdings, has_artifact: HasArtifact) -> Iterator[tuple[Key, Shape]]:
    versions: dict[Key, list[Orchestration]] = {}
    shas: dict[str, str] = {}
    for version in held.orchestrations:
        key = Key(Kind.ORCHESTRATION, held.workspaces[version.workspace_id], version.name)
        versions.setdefault(key, []).append(version)
        shas[version.id] = version.sha
    for key, newest_first in versions.items():
        yield key, shapes.orchestration(has_artifact, newest_first)
    for task in held.tasks:
        shape = shapes.task(task, shas.get(task.orchestration_id, ""), held.intents.get(task.id, {}))
        yield Key(Kind.TASK, task.workspace, task.name), shape


def _observed(engine: Engine, runs: Mapping[str, Run]) -> dict[str, str]:
    return {intent: str(engine.runs.observed(run)) for intent, run in runs.items()}


# One by its key; each raises NotFound


def _one_workspace(engine: Engine, key: Key, _record: Ownership | None) -> Shape:
    return Shape({}, str(engine.workspaces.named(key.name).id), "ready")


def _one_connection(engine: Engine, key: Key, record: Ownership | None) -> Shape:
    found = engine.connections.named(key.name)
    return shapes.connection(found, engine.connections.open_details(key.name), record)


def _one_model(engine: Engine, key: Key, _record: Ownership | None) -> Shape:
    workspace_id = _workspace_id(engine, key)
    newest, usable = engine.models.newest(workspace_id, key.name), engine.models.in_force(workspace_id, key.name)
    return shapes.model(engine.has_artifact, newest, usable)


def _one_pipeline(engine: Engine, key: Key, _record: Ownership | None) -> Shape:
    found = engine.pipelines.named(_workspace_id(engine, key), key.name)
    models = [] if found.current is None else engine.pipelines.models_of(found.current)
    identities = engine.models.identities([model.version for model in models])
    return shapes.pipeline(found, engine.deployments.of_pipeline(found.id), identities)


def _one_orchestration(engine: Engine, key: Key, _record: Ownership | None) -> Shape:
    versions = engine.orchestrations.named(_workspace_id(engine, key), key.name)
    if not versions:
        raise NotFound(f"There is no orchestration {key.name!r}.")
    return shapes.orchestration(engine.has_artifact, versions)


def _one_task(engine: Engine, key: Key, _record: Ownership | None) -> Shape:
    found = engine.tasks.named(_workspace_id(engine, key), key.name)
    runs = engine.history.last_per_intent(found.id).get(found.id, {})
    sha = engine.orchestrations.get(found.orchestration_id).sha
    return shapes.task(found, sha, _observed(engine, runs))


def _workspace_id(engine: Engine, key: Key) -> int:
    return engine.workspaces.named(key.workspace).id


_ONE: Mapping[Kind, Callable[[Engine, Key, Ownership | None], Shape]] = {
    Kind.WORKSPACE: _one_workspace,
    Kind.CONNECTION: _one_connection,
    Kind.MODEL: _one_model,
    Kind.PIPELINE: _one_pipeline,
    Kind.ORCHESTRATION: _one_orchestration,
    Kind.TASK: _one_task,
}
