"""Making what is declared, one function per kind. Each may be repeated: what is there already stays."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from specrunner.core.errors import BadInput
from specrunner.core.keys import Key, Kind
from specrunner.core.resources import Resource
from specrunner.core.values import Json, JsonObject, Secret, canonical
from specrunner.engine.engine import Engine
from specrunner.engine.records import PipelineVersion
from specrunner.targets.base import Note, PutOrder

_Writer = Callable[[Engine, PutOrder, Note], None]
_Deleter = Callable[[Engine, Key], None]


def put(engine: Engine, order: PutOrder, note: Note) -> None:
    """Make one object as declared."""
    _WRITERS[order.resource.key.kind](engine, order, note)


def delete(engine: Engine, key: Key) -> None:
    """Remove one object; what runs of it is killed first."""
    _DELETERS[key.kind](engine, key)


def _put_workspace(engine: Engine, order: PutOrder, _note: Note) -> None:
    engine.workspaces.ensure(order.resource.key.name)


def _put_connection(engine: Engine, order: PutOrder, _note: Note) -> None:
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


def _put_model(engine: Engine, order: PutOrder, note: Note) -> None:
    resource = order.resource
    assert resource.payload is not None, "a model has a file"  # noqa: S101 (the spec layer made sure)
    note(f"uploading {resource.payload.file_name}")
    config = {name: value for name, value in resource.spec.items() if name not in {"path", "sha"}}
    workspace = engine.workspaces.named(resource.key.workspace)
    engine.models.upload(workspace.id, resource.key.name, resource.payload.file_name, resource.payload.read(), config)


def _put_pipeline(engine: Engine, order: PutOrder, note: Note) -> None:
    key, spec = order.resource.key, order.resource.spec
    workspace = engine.workspaces.named(key.workspace)
    settings = {name: value for name, value in spec.items() if name not in {"steps", "modelShas"}}
    definition = _definition(engine, workspace.id, key.name, spec)
    engine.pipelines.configure(workspace.id, key.name, settings)
    pipeline = engine.pipelines.named(workspace.id, key.name)
    version = pipeline.current
    if version is None or canonical(version.definition) != canonical(definition):
        version = engine.pipelines.add_version(workspace.id, key.name, definition)
    _hold(engine, pipeline.id, version, bool(spec.get("deployed")), note)


def _hold(engine: Engine, pipeline_id: int, version: PipelineVersion, wanted: bool, note: Note) -> None:
    if wanted:
        note("deploying")
        engine.planes.deploy(pipeline_id, version.id, engine.spec_holder)
        return
    deployment = engine.deployments.of_pipeline(pipeline_id)
    if deployment is not None and engine.spec_holder in deployment.holders:
        note("undeploying")
        engine.planes.undeploy(deployment.id, engine.spec_holder)


def _definition(engine: Engine, workspace_id: int, name: str, spec: JsonObject) -> dict[str, Json]:
    """The pipeline as the platform API writes it. Raises BadInput for steps that can't be deployed here."""
    steps = []
    for step in spec["steps"]:
        if set(step) != {"model"}:
            raise BadInput(
                f"The pipeline {name!r} has a split or shadow step, which this target can't serve.",
                remedy="Give each step one model: `steps: [{model: name}]`.",
            )
        model = engine.models.newest(workspace_id, step["model"])
        entry = {"name": model.name, "version": model.version, "sha": model.sha}
        steps.append({"ModelInference": {"models": [entry]}})
    return {"id": name, "steps": steps}


def _put_orchestration(engine: Engine, order: PutOrder, note: Note) -> None:
    resource = order.resource
    assert resource.payload is not None, "an orchestration has a bundle"  # noqa: S101 (the spec layer made sure)
    workspace = engine.workspaces.named(resource.key.workspace)
    payload = resource.payload
    note(f"uploading {payload.file_name}")
    version = engine.orchestrations.upload(workspace.id, resource.key.name, payload.file_name, payload.read())
    engine.orchestrations.package(version.id, note)


def _put_task(engine: Engine, order: PutOrder, _note: Note) -> None:
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
    engine.models.delete(workspace.id, key.name, engine.pipelines.using(workspace.id, key.name))


def _delete_pipeline(engine: Engine, key: Key) -> None:
    engine.pipelines.delete(engine.workspaces.named(key.workspace).id, key.name)
    engine.planes.sweep()


def _delete_orchestration(engine: Engine, key: Key) -> None:
    engine.orchestrations.delete(engine.workspaces.named(key.workspace).id, key.name)


def _delete_task(engine: Engine, key: Key) -> None:
    for task in engine.tasks.all(engine.workspaces.named(key.workspace).id):
        if task.name == key.name:
            engine.runs.kill_task(task)
            engine.tasks.delete(task.id)


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
