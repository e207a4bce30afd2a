"""The objects of the schema, each over a record of the engine; a field that needs more asks when it is chosen.

Fields are attributes or methods by the names of the schema. A method takes the field's arguments by name.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

from specrunner.core.errors import NotFound
from specrunner.core.values import Json, iso
from specrunner.engine.records import (
    Deployment,
    ModelVersion,
    Orchestration,
    Pipeline,
    PipelineVersion,
    Tag,
    Workspace,
)
from specrunner.engine.tags import Tagged
from specrunner.server.graph.scene import Scene
from specrunner.server.mlops import catalogue, orchestrations
from specrunner.server.mlops.models import version_json
from specrunner.server.mlops.workspaces import maker_of


class Node:
    """An object of an answer."""

    def __init__(self, scene: Scene) -> None:
        scene.spend()
        self._scene = scene
        self._engine = scene.engine


class WorkspaceNode(Node):
    """`workspace`."""

    archived = False

    def __init__(self, scene: Scene, record: Workspace) -> None:
        super().__init__(scene)
        self._record = record
        self.id, self.name = record.id, record.name
        self.created_at = iso(record.created_at)

    def created_by(self) -> str | None:
        """Who made it."""
        return maker_of(self._engine, self._record)

    def users(self) -> list[dict[str, str]]:
        """Those who were let into it."""
        members = self._engine.users.members(self.id)
        return [{"user_id": found.user_id, "user_type": found.role} for found in members]

    def models(self, **_order: object) -> list[ModelsNode]:
        """Newest change first, whatever order is asked for."""
        newest = [found for found in self._engine.models.all() if found.workspace_id == self.id]
        return [ModelsNode(self._scene, found) for found in reversed(newest)]

    def pipelines(self) -> list[PipelineNode]:
        """Newest first."""
        return [PipelineNode(self._scene, found) for found in self._engine.pipelines.all(self.id)]


class ModelsNode(Node):
    """`models`: a name, and the versions under it."""

    def __init__(self, scene: Scene, record: ModelVersion) -> None:
        super().__init__(scene)
        self._record = record
        self.id, self.name = record.model_id, record.name

    def models(self) -> list[ModelNode]:
        """The versions, newest first."""
        return [ModelNode(self._scene, found) for found in self._engine.models.versions(self.id)]

    def workspace(self) -> WorkspaceNode:
        """Where it is."""
        return WorkspaceNode(self._scene, self._scene.workspace(self._record.workspace_id))


class ModelNode(Node):
    """`model`: one version."""

    image_path = None
    created_on_version = ""

    def __init__(self, scene: Scene, record: ModelVersion) -> None:
        super().__init__(scene)
        self._record = record
        told = version_json(record)
        self.id, self.model_id, self.model_version = record.id, record.name, record.version
        self.models_pk_id, self.sha, self.file_name = record.model_id, record.sha, record.file_name
        self.created_at = self.updated_at = iso(record.created_at)
        self.status, self.error_summary = told["status"], told["error_summary"]
        self._conversion = told["conversion"]

    def visibility(self) -> Json:
        """`private` unless somebody said `public`."""
        return self._engine.remarks.of(f"model:{self.id}").get("visibility", "private")

    def conversion(self, path: str | None = None) -> Json:
        """How it was converted, or one part of that."""
        told = self._conversion
        return told if path is None or not isinstance(told, dict) else told.get(path)

    def model(self) -> ModelsNode:
        """The name that it is a version of."""
        return ModelsNode(self._scene, self._record)

    def model_tags(self) -> list[ModelTagNode]:
        """The tags on it."""
        return [ModelTagNode(self._scene, tag, self.id) for tag in self._engine.tags.of(Tagged.MODEL, self.id)]


class ModelConfigNode(Node):
    """`model_config`: how a version is to be served; it has the version's id."""

    openai = None

    def __init__(self, scene: Scene, record: ModelVersion) -> None:
        super().__init__(scene)
        self._record = record
        self.id = self.model_id = record.id
        for name, value in catalogue.config_json(scene.engine, record).items():
            if name not in {"id", "model_version_id"}:
                setattr(self, name, value)

    def model(self) -> ModelNode:
        """The version."""
        return ModelNode(self._scene, self._record)


class PipelineNode(Node):
    """`pipeline`."""

    def __init__(self, scene: Scene, record: Pipeline) -> None:
        super().__init__(scene)
        self._record = record
        self.id, self.pipeline_id = record.id, record.name
        self.created_at, self.updated_at = iso(record.created_at), iso(record.updated_at)

    @cached_property
    def _said(self) -> dict[str, Json]:
        return self._engine.remarks.of(f"pipeline:{self.id}")

    def owner_id(self) -> Json:
        """Who made it; empty for the specs."""
        return self._said.get("owner", "")

    def visibility(self) -> Json:
        """`private` unless somebody said `public`."""
        return self._said.get("visibility", "private")

    def workspace(self) -> WorkspaceNode:
        """Where it is."""
        return WorkspaceNode(self._scene, self._scene.workspace(self._record.workspace_id))

    def deployment(self) -> DeploymentNode | None:
        """Its deployment, up or not; None where it never was."""
        found = self._engine.deployments.of_pipeline(self.id)
        return DeploymentNode(self._scene, found) if found else None

    def pipeline_versions(self, **_order: object) -> list[VersionNode]:
        """Newest first, whatever order is asked for."""
        return [VersionNode(self._scene, found, self._record) for found in self._record.versions]

    def pipeline_tags(self) -> list[PipelineTagNode]:
        """The tags on it."""
        return [PipelineTagNode(self._scene, tag, self.id) for tag in self._engine.tags.of(Tagged.PIPELINE, self.id)]


class VersionNode(Node):
    """`pipeline_version`."""

    created_on_version = ""

    def __init__(self, scene: Scene, record: PipelineVersion, pipeline: Pipeline) -> None:
        super().__init__(scene)
        self._record, self._pipeline = record, pipeline
        self.id, self.version, self.definition = record.id, record.version, dict(record.definition)
        self.created_at = self.updated_at = iso(record.created_at)
        self.pipeline_pk_id = pipeline.id
        self.pipeline_publishes: list[object] = []

    def pipeline(self) -> PipelineNode:
        """Of which it is a version."""
        return PipelineNode(self._scene, self._pipeline)

    def deployment_pipeline_versions(self) -> list[DeployedVersionNode]:
        """The deployment that has it in force."""
        found = self._engine.deployments.of_pipeline(self._pipeline.id)
        return [DeployedVersionNode(self._scene, found, self)] if found and found.version_id == self.id else []

    def deployment_model_configs(self) -> list[DeployedConfigNode]:
        """The models of its steps."""
        return deployed_configs(self._scene, self._record, None)


class DeploymentNode(Node):
    """`deployment`."""

    limit_status = None

    def __init__(self, scene: Scene, record: Deployment) -> None:
        super().__init__(scene)
        self._record = record
        self.id, self.deploy_id = record.id, record.pipeline
        self.deployed = record.running_for(scene.caller.holder)

    def engine_config(self) -> Json:
        """What the caller asked for when it was deployed; an object always."""
        return self._engine.remarks.of(f"deployment:{self.id}").get("engine_config") or {}

    def pipeline(self) -> PipelineNode:
        """Of which it is the deployment."""
        return PipelineNode(self._scene, self._pipeline)

    @cached_property
    def _pipeline(self) -> Pipeline:
        return self._engine.pipelines.get(self._record.pipeline_id)

    @cached_property
    def _version(self) -> PipelineVersion:
        return self._engine.pipelines.version(self._record.version_id)

    def deployment_pipeline_versions(self, **_order: object) -> list[DeployedVersionNode]:
        """The version in force."""
        version = VersionNode(self._scene, self._version, self._pipeline)
        return [DeployedVersionNode(self._scene, self._record, version)]

    def deployment_model_configs(self) -> list[DeployedConfigNode]:
        """The models of the version in force."""
        return deployed_configs(self._scene, self._version, self.id)

    def deployment_model_configs_aggregate(self, **_distinct: object) -> dict[str, list[DeployedConfigNode]]:
        """The same, as an aggregate."""
        return {"nodes": self.deployment_model_configs()}


class DeployedVersionNode(Node):
    """`deployment_pipeline_versions`: which version a deployment has in force."""

    def __init__(self, scene: Scene, deployment: Deployment, version: VersionNode) -> None:
        super().__init__(scene)
        self._deployment = deployment
        self.pipeline_version = version
        self.created_at = self.updated_at = version.created_at

    def deployment(self) -> DeploymentNode:
        """The deployment."""
        return DeploymentNode(self._scene, self._deployment)


class DeployedConfigNode(Node):
    """`deployment_model_configs`: one model of a deployment."""

    def __init__(self, scene: Scene, record: ModelVersion, deployment_id: int | None) -> None:
        super().__init__(scene)
        self._record = record
        self.id = self.model_config_id = record.id
        self.deployment_id = deployment_id

    def model_config(self) -> ModelConfigNode:
        """How it is to be served."""
        return ModelConfigNode(self._scene, self._record)


def deployed_configs(scene: Scene, version: PipelineVersion, deployment_id: int | None) -> list[DeployedConfigNode]:
    """The models of a version's steps, those that are still there."""
    return [DeployedConfigNode(scene, found, deployment_id) for found in _models(scene, version)]


def _models(scene: Scene, version: PipelineVersion) -> Iterable[ModelVersion]:
    for model in scene.engine.pipelines.models_of(version):
        try:
            yield scene.engine.models.by_uuid(model.version)
        except NotFound:
            continue


class OrchestrationNode(Node):
    """`orchestration`."""

    created_on_version = ""

    def __init__(self, scene: Scene, record: Orchestration) -> None:
        super().__init__(scene)
        for name, value in orchestrations.orchestration_json(scene.engine, record).items():
            setattr(self, name, value)
        self.created_by: Json = getattr(self, "owner_id", "")


class TagNode(Node):
    """`tag`."""

    def __init__(self, scene: Scene, record: Tag) -> None:
        super().__init__(scene)
        self._record = record
        self.id, self.tag = record.id, record.tag

    def model_tags(self) -> list[ModelTagNode]:
        """The versions of models that have it, as far as the caller sees them."""
        found = self._engine.tags.objects(self.id, Tagged.MODEL)
        return [ModelTagNode(self._scene, self._record, one) for one in found if _sees_model(self._scene, one)]

    def pipeline_tags(self) -> list[PipelineTagNode]:
        """The pipelines that have it, as far as the caller sees them."""
        found = self._engine.tags.objects(self.id, Tagged.PIPELINE)
        return [PipelineTagNode(self._scene, self._record, one) for one in found if _sees_pipeline(self._scene, one)]


class ModelTagNode(Node):
    """`model_tag`: a tag on a version of a model."""

    def __init__(self, scene: Scene, tag: Tag, model_id: int) -> None:
        super().__init__(scene)
        self._tag = tag
        self.id = self.tag_id = tag.id
        self.model_id = model_id

    def tag(self) -> TagNode:
        """The tag."""
        return TagNode(self._scene, self._tag)

    def model(self) -> ModelNode:
        """The version."""
        return ModelNode(self._scene, self._engine.models.version(self.model_id))


class PipelineTagNode(Node):
    """`pipeline_tag`: a tag on a pipeline."""

    def __init__(self, scene: Scene, tag: Tag, pipeline_id: int) -> None:
        super().__init__(scene)
        self._tag = tag
        self.id = self.tag_pk_id = tag.id
        self.pipeline_pk_id = pipeline_id

    def tag(self) -> TagNode:
        """The tag."""
        return TagNode(self._scene, self._tag)

    def pipeline(self) -> PipelineNode:
        """The pipeline."""
        return PipelineNode(self._scene, self._engine.pipelines.get(self.pipeline_pk_id))


def _sees_model(scene: Scene, version_id: int) -> bool:
    try:
        return scene.caller.may_use(scene.engine.models.version(version_id).workspace_id)
    except NotFound:
        return False


def _sees_pipeline(scene: Scene, pipeline_id: int) -> bool:
    try:
        return scene.caller.may_use(scene.engine.pipelines.get(pipeline_id).workspace_id)
    except NotFound:
        return False
