"""Making what is declared, one function per kind. Each may be repeated: what is there already stays.

An object is made in three parts: `prepare` takes its bytes in, `put` writes its rows (quick, for a transaction), and
`finish` does what takes long and needs the rows: packaging, deploying. Likewise `stop` comes before `delete`, and
`swept` after it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from specrunner.core.errors import BadInput, NotFound, StalePlan
from specrunner.core.keys import Key, Kind
from specrunner.core.lifecycle import ModelState, OrchestrationState
from specrunner.core.resources import Resource
from specrunner.core.values import JsonObject, Secret
from specrunner.engine.records import Deployment, ModelVersion, Orchestration, Pipeline
from specrunner.targets.base import Note, PutOrder

if TYPE_CHECKING:
    from specrunner.engine.engine import Engine

_Writer = Callable[["Engine", PutOrder], None]
_Deleter = Callable[["Engine", Key], None]


def prepare(engine: Engine, order: PutOrder, note: Note) -> None:
    """Take in the bytes that go with an object, so that its rows can refer to them. Raises StalePlan for others."""
    payload = order.resource.payload
    if payload is not None and not engine.has_artifact(payload.sha):
        note(f"uploading {payload.file_name}")
        if engine.keep(payload.read()) != payload.sha:
            raise StalePlan(
                f"{payload.file_name} of {order.resource.key} has changed since this was planned.",
                remedy="Run `specrunner plan` again and look at what it says now.",
            )


def put(engine: Engine, order: PutOrder) -> None:
    """Write the rows of one object as declared."""
    _WRITERS[order.resource.key.kind](engine, order)


def succeed(engine: Engine, key: Key) -> None:
    """An object is there in place of one that somebody else had removed: what a task has run is not run again."""
    if key.kind is Kind.TASK:
        engine.history.hand_over(engine.tasks.named(engine.workspaces.named(key.workspace).id, key.name))


def is_unfinished(engine: Engine, resource: Resource) -> bool:
    """Whether the object, as its rows are now, needs `finish` to be as declared."""
    if resource.key.kind is Kind.ORCHESTRATION:
        return _newest_orchestration(engine, resource.key).status is not OrchestrationState.READY
    if resource.key.kind is Kind.MODEL:
        return _newest_model(engine, resource.key).status is not ModelState.READY
    if resource.key.kind is Kind.PIPELINE:
        return bool(resource.spec.get("deployed")) or _held(engine, _pipeline(engine, resource.key).id) is not None
    return False


def finish(engine: Engine, resource: Resource, note: Note) -> None:
    """Package an orchestration, build a model's environment; deploy a pipeline, or give its deployment back."""
    if resource.key.kind is Kind.ORCHESTRATION:
        engine.orchestrations.package(_newest_orchestration(engine, resource.key).id, note)
    elif resource.key.kind is Kind.MODEL:
        engine.loading.prepare(_newest_model(engine, resource.key).id, note)
    elif resource.key.kind is Kind.PIPELINE:
        _hold(engine, _pipeline(engine, resource.key), bool(resource.spec.get("deployed")), note)


def stop(engine: Engine, key: Key) -> None:
    """Kill what runs of a task, and let nothing of it start any more."""
    if key.kind is Kind.TASK:
        with suppress(NotFound):
            engine.runs.kill_task(engine.tasks.named(engine.workspaces.named(key.workspace).id, key.name))


def delete(engine: Engine, key: Key) -> None:
    """Remove the rows of one object. Raises Conflict where others need it."""
    _DELETERS[key.kind](engine, key)


def swept(engine: Engine, key: Key) -> None:
    """Free what a removed object has held in memory."""
    if key.kind is Kind.PIPELINE:
        engine.planes.sweep()


def _put_workspace(engine: Engine, order: PutOrder) -> None:
    engine.workspaces.ensure(order.resource.key.name)


def _put_connection(engine: Engine, order: PutOrder) -> None:
    spec = order.resource.spec
    secret = _merged_secret(order.resource, order.secrets)
    details = {name: value for name, value in spec.get("details", {}).items() if name not in secret}
    engine.connections.put(order.resource.key.name, spec["type"], details, secret, spec.get("workspaces", ()))


def _merged_secret(resource: Resource, secrets: Mapping[str, Secret]) -> JsonObject:
    """The secret part of a connection's details. Raises BadInput if it is no mapping."""
    found = secrets.get("detailsFrom")
    value = {} if found is None else found.reveal()
    if not isinstance(value, Mapping):
        raise BadInput(
            f"The secret behind `detailsFrom` of {resource.key} is no mapping.",
            detail="Details are names with values; a JSON or YAML file gives such a mapping.",
            remedy="Point `detailsFrom` at a .json or .yaml file that holds an object.",
            place=resource.place,
        )
    return value


def _put_model(engine: Engine, order: PutOrder) -> None:
    resource, payload = order.resource, order.resource.payload
    assert payload is not None, "a model has a file"  # noqa: S101 (the spec layer made sure)
    config = {name: value for name, value in resource.spec.items() if name not in {"path", "sha"}}
    workspace = engine.workspaces.named(resource.key.workspace)
    engine.models.add(workspace.id, resource.key.name, payload.file_name, payload.sha, payload.size, config)


def _newest_model(engine: Engine, key: Key) -> ModelVersion:
    return engine.models.newest(engine.workspaces.named(key.workspace).id, key.name)


def _put_pipeline(engine: Engine, order: PutOrder) -> None:
    key, spec = order.resource.key, order.resource.spec
    workspace = engine.workspaces.named(key.workspace)
    settings = {name: value for name, value in spec.items() if name not in {"steps", "modelShas"}}
    engine.pipelines.configure(workspace.id, key.name, settings)
    engine.pipelines.put_steps(
        workspace.id, key.name, spec["steps"], lambda name: engine.models.in_force(workspace.id, name)
    )


def _hold(engine: Engine, pipeline: Pipeline, wanted: bool, note: Note) -> None:
    version, deployment = pipeline.current, _held(engine, pipeline.id)
    if wanted and version is not None:
        note("deploying")
        engine.planes.deploy(pipeline.id, version.id, engine.spec_holder)
    elif deployment is not None:
        note("undeploying")
        engine.planes.undeploy(deployment.id, engine.spec_holder)


def _held(engine: Engine, pipeline_id: int) -> Deployment | None:
    """The deployment of a pipeline, if specs keep it up."""
    found = engine.deployments.of_pipeline(pipeline_id)
    return found if found is not None and engine.spec_holder in found.holders else None


def _pipeline(engine: Engine, key: Key) -> Pipeline:
    return engine.pipelines.named(engine.workspaces.named(key.workspace).id, key.name)


def _put_orchestration(engine: Engine, order: PutOrder) -> None:
    key, payload = order.resource.key, order.resource.payload
    assert payload is not None, "an orchestration has a bundle"  # noqa: S101 (the spec layer made sure)
    engine.orchestrations.add(engine.workspaces.named(key.workspace).id, key.name, payload.file_name, payload.sha)


def _newest_orchestration(engine: Engine, key: Key) -> Orchestration:
    found = engine.orchestrations.newest(engine.workspaces.named(key.workspace).id, key.name)
    if found is None:
        raise NotFound(f"There is no {key}.")
    return found


def _put_task(engine: Engine, order: PutOrder) -> None:
    key, spec = order.resource.key, order.resource.spec
    workspace = engine.workspaces.named(key.workspace)
    version = engine.orchestrations.ready(workspace.id, spec["orchestration"], spec["orchestrationSha"])
    prefix = "secretEnv."
    secret_env = {path.removeprefix(prefix): str(secret.reveal()) for path, secret in order.secrets.items()}
    stored = {name: value for name, value in spec.items() if name != "orchestrationSha"}
    engine.tasks.put(workspace.id, key.name, version.id, stored, secret_env)


def _delete_workspace(engine: Engine, key: Key) -> None:
    engine.workspaces.delete(key.name)


def _delete_connection(engine: Engine, key: Key) -> None:
    engine.connections.delete(key.name)


def _delete_model(engine: Engine, key: Key) -> None:
    workspace = engine.workspaces.named(key.workspace)
    used_by = engine.pipelines.using(workspace.id, key.name)
    if not used_by:
        with suppress(NotFound):
            engine.loading.forget(engine.models.newest(workspace.id, key.name).model_id)
    engine.models.delete(workspace.id, key.name, used_by)


def _delete_pipeline(engine: Engine, key: Key) -> None:
    engine.pipelines.delete(engine.workspaces.named(key.workspace).id, key.name)


def _delete_orchestration(engine: Engine, key: Key) -> None:
    engine.orchestrations.delete(engine.workspaces.named(key.workspace).id, key.name)


def _delete_task(engine: Engine, key: Key) -> None:
    engine.tasks.delete(engine.tasks.named(engine.workspaces.named(key.workspace).id, key.name).id)


_WRITERS: Mapping[Kind, _Writer] = {
    Kind.WORKSPACE: _put_workspace,
    Kind.CONNECTION: _put_connection,
    Kind.MODEL: _put_model,
    Kind.PIPELINE: _put_pipeline,
    Kind.ORCHESTRATION: _put_orchestration,
    Kind.TASK: _put_task,
}

_DELETERS: Mapping[Kind, _Deleter] = {
    Kind.WORKSPACE: _delete_workspace,
    Kind.CONNECTION: _delete_connection,
    Kind.MODEL: _delete_model,
    Kind.PIPELINE: _delete_pipeline,
    Kind.ORCHESTRATION: _delete_orchestration,
    Kind.TASK: _delete_task,
}
