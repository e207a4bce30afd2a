"""`/v1/api/pipelines/...` and the status of deployments."""

from __future__ import annotations

from specrunner.core.errors import BadInput, NotFound, Unavailable
from specrunner.core.values import Json, iso
from specrunner.engine.engine import Engine
from specrunner.engine.records import Deployment, Pipeline, PipelineVersion
from specrunner.server.auth import Caller
from specrunner.server.calls import Call, name_of, post, words_of
from specrunner.server.mlops.workspaces import short_workspace_json

_MAX_DIGITS = 18  # of an id; what is longer is none
_PATIENCE = 3.0  # seconds that a client waits for what it deploys to be loaded


def topic_of(pipeline: Pipeline) -> str:
    """The opaque name of a pipeline's inference log."""
    return f"workspace-{pipeline.workspace_id}-pipeline-{pipeline.name}-inference"


def usable_pipeline(call: Call, pipeline_id: int) -> Pipeline:
    """A pipeline of one of the caller's workspaces. Raises NotFound."""
    found = call.engine.pipelines.get(pipeline_id)
    if not call.caller.may_use(found.workspace_id):
        raise NotFound(f"There is no pipeline {pipeline_id}.")
    return found


def _item(call: Call, found: Pipeline) -> dict[str, Json]:
    deployment = call.engine.deployments.of_pipeline(found.id)
    current = found.current
    return {
        "pipeline": {
            "id": found.id,
            "name": found.name,
            "created_at": iso(found.created_at),
            "updated_at": iso(found.updated_at),
        },
        "plateau_topic": topic_of(found),
        "workspace": short_workspace_json(call.caller.workspace(found.workspace_id)),
        "deployment": _deployment_json(deployment, call.caller.holder) if deployment else None,
        "pipeline_version": _version_json(current) if current else None,
        "pipeline_versions": [{"id": version.id, "version": version.version} for version in found.versions],
    }


def _version_json(version: PipelineVersion) -> dict[str, Json]:
    return {"id": version.id, "version": version.version, "definition": version.definition}


def _deployment_json(found: Deployment, caller: str) -> dict[str, Json]:
    return {"id": found.id, "deploy_id": found.pipeline, "deployed": found.running_for(caller)}


def _create(call: Call) -> Json:
    workspace = call.caller.workspace(call.need("workspace_id", int))
    definition = call.maybe("definition", dict) or {}
    version = call.engine.pipelines.add_version(workspace.id, name_of(call.body, "pipeline_id"), definition)
    return {
        "pipeline_pk_id": version.pipeline_id,
        "pipeline_variant_pk_id": version.id,
        "pipeline_variant_version": version.version,
    }


def _get_by_name(call: Call) -> Json:
    workspace = call.caller.workspace(call.need("workspace_id", int))
    return _item(call, call.engine.pipelines.named(workspace.id, call.need("pipeline_name", str)))


def _list(call: Call) -> Json:
    workspace_id, name = call.maybe("workspace_id", int), call.maybe("workspace_name", str)
    wanted = [
        found.id for found in call.caller.workspaces if workspace_id in {None, found.id} and name in {None, found.name}
    ]
    return {"pipelines": [_item(call, found) for found in call.engine.pipelines.all() if found.workspace_id in wanted]}


def _get_version(call: Call) -> Json:
    version = call.engine.pipelines.by_uuid(call.need("version", str))
    pipeline = usable_pipeline(call, version.pipeline_id)
    return {"pipeline_id": pipeline.name, "version": version.version, "definition": version.definition}


def _deploy(call: Call) -> Json:
    version = call.engine.pipelines.version(call.need("pipeline_version_pk_id", int))
    pipeline = usable_pipeline(call, version.pipeline_id)
    if not version.definition:
        raise BadInput(
            f"The pipeline {pipeline.name!r} has no steps, so it can't be deployed.",
            remedy="Give it one: `pipeline.add_model_step(model)` in code, or `steps:` in its spec.",
        )
    for model in call.engine.pipelines.models_of(version):
        if not call.caller.may_use(call.engine.models.by_uuid(model.version).workspace_id):
            raise NotFound(f"There is no model {model.version!r}.")
    # The older clients give up waiting for an answer after 5 s; all ask for the status from then on.
    deployed = call.engine.planes.deploy(pipeline.id, version.id, call.caller.holder, patience=_PATIENCE)
    call.engine.remarks.put(f"deployment:{deployed.id}", engine_config=call.maybe("engine_config", dict) or {})
    return {"id": deployed.id}


def _undeploy(call: Call) -> Json:
    deployment = call.engine.deployments.get(call.need("deployment_id", int))
    usable_pipeline(call, deployment.pipeline_id)
    call.engine.planes.undeploy(deployment.id, call.caller.holder)
    return {}


def visible_deployment(engine: Engine, caller: Caller, name: str) -> Deployment:
    """The deployment `<deploy_id>-<id>` in one of the caller's workspaces, up or not. Raises NotFound."""
    missing = NotFound(f"There is no deployment {name!r}.")
    digits = name.rpartition("-")[2]
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= _MAX_DIGITS):
        raise missing
    found = engine.deployments.get(int(digits))
    if found.name != name or not caller.may_use(engine.pipelines.workspace_of(found.pipeline_id)):
        raise missing
    return found


def _status(call: Call) -> Json:
    deployment = visible_deployment(call.engine, call.caller, call.need("name", str))
    if not deployment.running_for(call.caller.holder):
        raise Unavailable(f"The pipeline {deployment.pipeline!r} is not deployed.")
    version = call.engine.pipelines.version(deployment.version_id)
    state, problem = call.engine.planes.state(deployment)
    details = [words_of(problem)] if problem else []
    pipeline_status = {"id": deployment.pipeline, "status": state, "version": version.version}
    engine_status: dict[str, Json] = {
        "ip": "127.0.0.1",
        "name": deployment.name,
        "status": state,
        "reason": problem.summary if problem else None,
        "details": details,
        "pipeline_statuses": {"pipelines": [pipeline_status]},
        "model_statuses": {"models": []},
    }
    return {"status": state, "details": details, "engines": [engine_status], "engine_lbs": [], "sidekicks": []}


def _topic(call: Call) -> Json:
    return {"topic_name": topic_of(usable_pipeline(call, call.need("pipeline_pk_id", int)))}


ROUTES = [
    post("/v1/api/pipelines/create", _create, audited="apply"),
    post("/v1/api/pipelines/get_pipeline_by_name", _get_by_name),
    post("/v1/api/pipelines/list_pipelines", _list),
    post("/v1/api/pipelines/get_version", _get_version),
    post("/v1/api/pipelines/deploy", _deploy, audited="deploy"),
    post("/v1/api/pipelines/undeploy", _undeploy, audited="undeploy"),
    post("/v1/api/status/get_deployment", _status),
    post("/v1/api/plateau/get_topic_name", _topic),
]
