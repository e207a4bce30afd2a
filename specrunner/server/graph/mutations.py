"""The fields of `mutation_root`, the few things that clients write by GraphQL; the argument `object` is `said`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from specrunner.core.errors import BadInput
from specrunner.core.values import Json
from specrunner.engine.tags import Tagged
from specrunner.server.calls import name_of
from specrunner.server.graph import roots
from specrunner.server.graph.choosing import Where, fits, wanted_id
from specrunner.server.graph.nodes import (
    DeployedConfigNode,
    DeploymentNode,
    ModelConfigNode,
    ModelNode,
    ModelTagNode,
    PipelineNode,
    PipelineTagNode,
    TagNode,
    WorkspaceNode,
)
from specrunner.server.graph.roots import number
from specrunner.server.graph.scene import Scene
from specrunner.server.mlops.catalogue import configure, usable_version

Answer = dict[str, Any]


def insert_workspace_one(scene: Scene, said: Where, **_conflict: Any) -> WorkspaceNode:
    """Make the workspace in which a user begins; one of that name which they may use is taken."""
    person = scene.caller.person("make workspaces")
    begins = ((said.get("user_default_workspaces") or {}).get("data") or [{}])[0]
    user_id = str(begins.get("user_id") or person.id)
    return WorkspaceNode(scene, roots.make_default_workspace(scene, name_of(dict(said), "name"), user_id))


def delete_workspace_users(scene: Scene, where: Where) -> Answer:
    """Let somebody use a workspace no more."""
    scene.caller.person("put others out of workspaces")
    workspace = scene.workspace(number(wanted_id(where, "workspace_id")))
    return {"affected_rows": scene.engine.users.leave(workspace.id, str(wanted_id(where, "user_id")))}


def insert_tag(scene: Scene, objects: Sequence[Where]) -> Answer:
    """Make tags."""
    names = [name_of(dict(one), "tag") for one in objects]
    return {"returning": [TagNode(scene, scene.engine.tags.create(name)) for name in names]}


def insert_model_tag(scene: Scene, objects: Sequence[Where]) -> Answer:
    """Put tags on versions of models."""
    return {"returning": [_tag_model(scene, one) for one in objects]}


def _tag_model(scene: Scene, said: Where) -> ModelTagNode:
    version = usable_version(scene.engine, scene.caller, number(said.get("model_id")))
    found = scene.engine.tags.get(number(said.get("tag_id")))
    scene.engine.tags.put_on(found.id, Tagged.MODEL, version.id)
    return ModelTagNode(scene, found, version.id)


def delete_model_tag(scene: Scene, where: Where) -> Answer:
    """Take a tag off a version of a model."""
    version = usable_version(scene.engine, scene.caller, number(wanted_id(where, "model_id")))
    found = scene.engine.tags.get(number(wanted_id(where, "tag_id")))
    gone = scene.engine.tags.take_off(found.id, Tagged.MODEL, version.id)
    return {"returning": [ModelTagNode(scene, found, version.id)] if gone else []}


def insert_pipeline_tag(scene: Scene, objects: Sequence[Where]) -> Answer:
    """Put tags on pipelines."""
    return {"returning": [_tag_pipeline(scene, one) for one in objects]}


def _tag_pipeline(scene: Scene, said: Where) -> PipelineTagNode:
    pipeline = roots.pipeline_by_pk(scene, said.get("pipeline_pk_id"))
    found = scene.engine.tags.get(number(said.get("tag_pk_id")))
    scene.engine.tags.put_on(found.id, Tagged.PIPELINE, pipeline.id)
    return PipelineTagNode(scene, found, pipeline.id)


def delete_pipeline_tag(scene: Scene, where: Where) -> Answer:
    """Take a tag off a pipeline."""
    pipeline = roots.pipeline_by_pk(scene, wanted_id(where, "pipeline_pk_id"))
    found = scene.engine.tags.get(number(wanted_id(where, "tag_pk_id")))
    gone = scene.engine.tags.take_off(found.id, Tagged.PIPELINE, pipeline.id)
    return {"returning": [PipelineTagNode(scene, found, pipeline.id)] if gone else []}


def update_deployment_by_pk(scene: Scene, pk_columns: Where, _set: Where | None = None) -> DeploymentNode:
    """Bring a deployment up again, with the version that it had, or down."""
    found = roots.deployment_by_pk(scene, pk_columns.get("id"))
    deployed = (_set or {}).get("deployed")
    record = scene.engine.deployments.get(found.id)
    if deployed is True:
        record = scene.engine.planes.deploy(record.pipeline_id, record.version_id, scene.caller.holder)
    elif deployed is False:
        record = scene.engine.planes.undeploy(record.id, scene.caller.holder)
    return DeploymentNode(scene, record)


def insert_deployment_model_configs(scene: Scene, objects: Sequence[Where]) -> Answer:
    """Replace the model of a deployment: its pipeline gets a version with that model, and that is deployed."""
    return {"returning": [_replace_model(scene, one) for one in objects]}


def _replace_model(scene: Scene, said: Where) -> DeployedConfigNode:
    engine = scene.engine
    deployment = engine.deployments.get(roots.deployment_by_pk(scene, said.get("deployment_id")).id)
    model = usable_version(engine, scene.caller, number(said.get("model_config_id")))
    if len(engine.pipelines.models_of(engine.pipelines.version(deployment.version_id))) != 1:
        raise BadInput("The pipeline has several models, and nobody said which is to be replaced.")
    pipeline = engine.pipelines.get(deployment.pipeline_id)
    step = {"ModelInference": {"models": [{"name": model.name, "version": model.version, "sha": model.sha}]}}
    definition: dict[str, Json] = {"id": pipeline.name, "steps": [step]}
    version = engine.pipelines.add_version(pipeline.workspace_id, pipeline.name, definition)
    engine.planes.deploy(pipeline.id, version.id, scene.caller.holder)
    return DeployedConfigNode(scene, model, deployment.id)


def insert_model_config(scene: Scene, objects: Sequence[Where]) -> Answer:
    """Say how versions of models are to be served."""
    return {"returning": [_configured(scene, one) for one in objects]}


def _configured(scene: Scene, said: Where) -> ModelConfigNode:
    found = usable_version(scene.engine, scene.caller, number(said.get("model_id")))
    configure(scene.engine, found, dict(said))
    return ModelConfigNode(scene, found)


def update_pipeline(scene: Scene, where: Where, _set: Where | None = None) -> Answer:
    """Say who may see a pipeline."""
    visibility = _visibility(_set)
    found = [one for one in roots.pipelines(scene) if fits(where, roots.pipeline_tests(scene, one))]
    for one in found:
        scene.engine.remarks.put(f"pipeline:{one.id}", visibility=visibility)
    return {"returning": [PipelineNode(scene, one) for one in found]}


def update_model(scene: Scene, where: Where, _set: Where | None = None) -> Answer:
    """Say who may see versions of models."""
    visibility = _visibility(_set)
    found = [one for one in roots.model_versions(scene) if fits(where, roots.model_tests(scene, one))]
    for one in found:
        scene.engine.remarks.put(f"model:{one.id}", visibility=visibility)
    return {"returning": [ModelNode(scene, one) for one in found]}


def _visibility(said: Where | None) -> str:
    found = (said or {}).get("visibility")
    if found not in {"private", "public"}:
        raise BadInput(f"A visibility is `private` or `public`; {str(found)[:50]!r} came.")
    return str(found)
