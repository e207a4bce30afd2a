"""The fields of `query_root`; the argument `id` comes as `key`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from specrunner.core.errors import BadInput, NotFound
from specrunner.engine.records import Deployment, ModelVersion, Pipeline, PipelineVersion, Workspace
from specrunner.server.graph.choosing import Test, Where, between, equal_to, fits, is_, within
from specrunner.server.graph.nodes import (
    DeploymentNode,
    ModelConfigNode,
    ModelNode,
    OrchestrationNode,
    PipelineNode,
    TagNode,
    VersionNode,
    WorkspaceNode,
)
from specrunner.server.graph.scene import Scene
from specrunner.server.mlops.catalogue import usable_version
from specrunner.server.mlops.orchestrations import usable_orchestration


def workspace_by_pk(scene: Scene, key: Any) -> WorkspaceNode:
    """One workspace."""
    return WorkspaceNode(scene, scene.workspace(number(key)))


def user_default_workspace(scene: Scene, where: Where | None = None) -> list[dict[str, Any]]:
    """Where a user begins; empty where they have no such place yet.

    Who is not logged in has no id; their place is the machine's user's, and is made where there is none, for such a
    client can't make it.
    """
    told = ((where or {}).get("user_id") or {}).get("_eq")
    person = scene.caller.user
    if person is None:
        found: Workspace | None = scene.caller.workspaces[0] if scene.caller.workspaces else None
        return [{"user_id": told or "", "workspace": WorkspaceNode(scene, found)}] if found else []
    user_id = str(told) if told else person.id
    found = default_workspace(scene, user_id)
    if found is None and not told:
        found = make_default_workspace(scene, f"{person.email} - Default Workspace", user_id)
    return [{"user_id": user_id, "workspace": WorkspaceNode(scene, found)}] if found else []


def default_workspace(scene: Scene, user_id: str) -> Workspace | None:
    """The workspace in which a user begins, if the caller may see it."""
    told = scene.engine.remarks.of(f"user:{user_id}").get("default_workspace")
    try:
        return scene.workspace(int(told)) if isinstance(told, int) else None
    except NotFound:
        return None


def make_default_workspace(scene: Scene, name: str, user_id: str) -> Workspace:
    """Make the workspace in which a user begins, or take the one of that name that they may use."""
    engine = scene.engine
    found = next((one for one in scene.caller.workspaces if one.name == name), None)
    with engine.transaction():
        made = found or engine.workspaces.create(name)
        engine.users.join(made.id, user_id, "OWNER")
        engine.remarks.put(f"user:{user_id}", default_workspace=made.id)
        if found is None:
            engine.remarks.put(f"workspace:{made.id}", created_by=user_id)
    scene.caller = scene.caller.seeing(made)
    return made


def pipeline(scene: Scene, where: Where | None = None, **_order: object) -> list[PipelineNode]:
    """Those that fit, newest first."""
    return [PipelineNode(scene, found) for found in pipelines(scene) if fits(where, pipeline_tests(scene, found))]


def pipelines(scene: Scene) -> Iterator[Pipeline]:
    """Those that the caller sees, newest first."""
    return (found for found in scene.engine.pipelines.all() if scene.caller.may_use(found.workspace_id))


def pipeline_tests(scene: Scene, found: Pipeline) -> dict[str, Test]:
    """How `pipeline_bool_exp` is held against a pipeline."""
    return {
        "id": equal_to(found.id),
        "pipeline_id": equal_to(found.name),
        "workspace_id": equal_to(found.workspace_id),
        "workspace": lambda said: fits(said, _workspace_tests(scene.workspace(found.workspace_id))),
        "deployment": lambda said: _deployment_fits(scene, found, said),
    }


def _workspace_tests(found: Workspace) -> dict[str, Test]:
    return {"id": equal_to(found.id), "name": equal_to(found.name)}


def _deployment_fits(scene: Scene, found: Pipeline, said: Where) -> bool:
    deployed = scene.engine.deployments.of_pipeline(found.id)
    if deployed is None:
        return not any((said.get("deployed") or {}).values()) and not said.get("id")
    return fits(said, deployment_tests(scene, deployed))


def deployment_tests(scene: Scene, found: Deployment) -> dict[str, Test]:
    """How `deployment_bool_exp` is held against a deployment."""
    return {
        "id": equal_to(found.id),
        "deploy_id": equal_to(found.pipeline),
        "deployed": is_(found.running_for(scene.caller.holder)),
    }


def pipeline_by_pk(scene: Scene, key: Any) -> PipelineNode:
    """One pipeline."""
    found = scene.engine.pipelines.get(number(key))
    scene.check(found.workspace_id)
    return PipelineNode(scene, found)


def pipeline_version_by_pk(scene: Scene, key: Any) -> VersionNode:
    """One version of a pipeline."""
    version = scene.engine.pipelines.version(number(key))
    found = scene.engine.pipelines.get(version.pipeline_id)
    scene.check(found.workspace_id)
    return VersionNode(scene, version, found)


def search_pipelines(scene: Scene, args: Where, where: Where | None = None, **_: object) -> list[VersionNode]:
    """The newest version of each pipeline whose name, or a tag on it, has the words."""
    words = str(args.get("search") or "").lower()
    return [
        VersionNode(scene, one.versions[0], one)
        for one in pipelines(scene)
        if one.versions and _has(scene, words, one) and fits(where, _version_tests(scene, one, one.versions[0]))
    ]


def _has(scene: Scene, words: str, found: Pipeline) -> bool:
    from specrunner.engine.tags import Tagged

    tags = scene.engine.tags.of(Tagged.PIPELINE, found.id) if words else []
    return words in found.name.lower() or any(words in tag.tag.lower() for tag in tags)


def _version_tests(scene: Scene, found: Pipeline, version: PipelineVersion) -> dict[str, Test]:
    return {
        "owner_id": equal_to(scene.engine.remarks.of(f"pipeline:{found.id}").get("owner", "")),
        "pipeline": within(pipeline_tests(scene, found)),
        "created_at": between(found.created_at),
        "updated_at": between(version.created_at),
    }


def deployment(scene: Scene, where: Where | None = None) -> list[DeploymentNode]:
    """Those that fit."""
    mine = {found.id for found in pipelines(scene)}
    found = [one for one in scene.engine.deployments.all() if one.pipeline_id in mine]
    return [DeploymentNode(scene, one) for one in found if fits(where, deployment_tests(scene, one))]


def deployment_by_pk(scene: Scene, key: Any) -> DeploymentNode:
    """One deployment."""
    found = scene.engine.deployments.get(number(key))
    scene.check(scene.engine.pipelines.get(found.pipeline_id).workspace_id)
    return DeploymentNode(scene, found)


def model(scene: Scene, where: Where | None = None, **_order: object) -> list[ModelNode]:
    """The versions that fit, newest first."""
    return [ModelNode(scene, found) for found in model_versions(scene) if fits(where, model_tests(scene, found))]


def model_versions(scene: Scene) -> list[ModelVersion]:
    """Every version that the caller sees, newest first."""
    visible = [found for found in scene.engine.models.all() if scene.caller.may_use(found.workspace_id)]
    versions = [one for found in visible for one in scene.engine.models.versions(found.model_id)]
    return sorted(versions, key=lambda one: one.id, reverse=True)


def model_tests(scene: Scene, found: ModelVersion) -> dict[str, Test]:
    """How `model_bool_exp` is held against a version."""
    workspace = within(_workspace_tests(scene.workspace(found.workspace_id)))
    return {
        "id": equal_to(found.id),
        "model_id": equal_to(found.name),
        "model_version": equal_to(found.version),
        "owner_id": equal_to(scene.engine.remarks.of(f"model:{found.id}").get("owner", "")),
        "model": within({"workspace": workspace}),
        "created_at": between(found.created_at),
    }


def model_by_pk(scene: Scene, key: Any) -> ModelNode:
    """One version of a model."""
    return ModelNode(scene, usable_version(scene.engine, scene.caller, number(key)))


def model_config_by_pk(scene: Scene, key: Any) -> ModelConfigNode:
    """How one version is to be served."""
    return ModelConfigNode(scene, usable_version(scene.engine, scene.caller, number(key)))


def search_models(scene: Scene, args: Where, where: Where | None = None, **_: object) -> list[ModelNode]:
    """The versions of models of which a name, the hash, the version or a tag has the words; newest first."""
    from specrunner.engine.tags import Tagged

    words = str(args.get("search") or "").lower()
    found = []
    for one in model_versions(scene):
        tags = scene.engine.tags.of(Tagged.MODEL, one.id) if words else []
        texts = (one.name, one.file_name, one.sha, one.version, *(tag.tag for tag in tags))
        named = any(words in text.lower() for text in texts)
        if named and fits(where, model_tests(scene, one)):
            found.append(ModelNode(scene, one))
    return found


def orchestration_by_pk(scene: Scene, key: Any) -> OrchestrationNode:
    """One orchestration."""
    return OrchestrationNode(scene, usable_orchestration(scene.engine, scene.caller, str(key)))


def tag(scene: Scene, **_order: object) -> list[TagNode]:
    """Every tag, newest first."""
    return [TagNode(scene, found) for found in scene.engine.tags.all()]


def tag_by_pk(scene: Scene, key: Any) -> TagNode:
    """One tag."""
    return TagNode(scene, scene.engine.tags.get(number(key)))


def number(value: Any) -> int:
    """An id as the engine knows it. Raises BadInput."""
    try:
        found = int(value)
    except (TypeError, ValueError) as problem:
        raise BadInput(f"{str(value)[:50]!r} is no number.") from problem
    if abs(found) >= 2**63:
        raise BadInput("An id has at most 63 bits.")
    return found
