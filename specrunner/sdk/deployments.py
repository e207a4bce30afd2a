"""Bringing a pipeline up and down, and waiting until it is so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from specrunner.sdk.exceptions import ApiError, DeploymentError, WaitForDeployError, WaitForError
from specrunner.sdk.patience import Patience
from specrunner.sdk.session import Session

DEPLOY_PATIENCE = 300.0  # seconds; a model in Python may need its environment built first
UNDEPLOY_PATIENCE = 45.0  # seconds
STATUS_TIMEOUT = 15.0  # seconds


class Deployment(NamedTuple):
    """The platform's record of a deployment. A pipeline has one, whose id stays when it comes up anew."""

    id: int
    deploy_id: str
    deployed: bool

    @property
    def name(self) -> str:
        """The name under which status and inference know it."""
        return f"{self.deploy_id}-{self.id}"


def deployment_of(item: Mapping[str, Any]) -> Deployment | None:
    """The deployment in the platform's description of a pipeline; None where it was never deployed."""
    data = item.get("deployment")
    return None if not data else Deployment(int(data["id"]), str(data["deploy_id"]), bool(data["deployed"]))


def start(session: Session, name: str, version_id: int, config: Mapping[str, Any]) -> Deployment:
    """Ask for version `version_id` of pipeline `name` to be deployed. Raises DeploymentError where that is refused."""
    body = {"deploy_id": name, "engine_config": dict(config), "pipeline_version_pk_id": version_id}
    try:
        made = session.post("pipelines/deploy", body)
    except ApiError as fault:
        raise DeploymentError(f"Pipeline {name!r} failed to deploy", fault.detail, fault.remedy) from fault
    return Deployment(int(made["id"]), name, True)


def status(session: Session, deployment: Deployment) -> dict[str, Any] | None:
    """The platform's report, whose `status` is `Starting`, `Running` or `Error`; None where the deployment is gone."""
    try:
        report = session.post("status/get_deployment", {"name": deployment.name}, timeout=STATUS_TIMEOUT)
    except ApiError as fault:
        if fault.status == 404:
            return None
        raise
    return dict(report)


def wait_until_running(session: Session, name: str, deployment: Deployment, seconds: float = DEPLOY_PATIENCE) -> None:
    """Return when it runs.

    Raises WaitForDeployError with the platform's details when it failed or is not up in `seconds`,
    DeploymentError when it is gone.
    """
    patience = Patience(seconds)
    while True:
        report = status(session, deployment)
        if report is None:
            raise DeploymentError(
                f"The deployment of pipeline {name!r} is gone",
                f"The platform knows no deployment {deployment.name}: it was undeployed while it came up.",
                "Deploy it again.",
            )
        if report["status"] == "Running":
            return
        if report["status"] == "Error":
            raise WaitForDeployError(
                f"Pipeline {name!r} failed to deploy",
                _details(report),
                "Mend the model or its configuration.",
                status=report,
            )
        if not patience.pause():
            raise WaitForDeployError(
                f"Pipeline {name!r} is not up after {seconds:g} s",
                f"It is {report['status']}. {_details(report)}".rstrip(),
                "Wait for pipeline.status() to say Running, or allow more time with deploy(timeout=...).",
                status=report,
            )


def stop(session: Session, name: str, deployment: Deployment, seconds: float = UNDEPLOY_PATIENCE) -> None:
    """Undeploy, and return when the deployment is gone; it is no error that it was gone before. Raises WaitForError."""
    try:
        session.post("pipelines/undeploy", {"deployment_id": deployment.id})
    except ApiError as fault:
        if fault.status != 404:
            raise
    patience = Patience(seconds)
    report = status(session, deployment)
    while report is not None:
        if not patience.pause():
            raise WaitForError(
                f"Pipeline {name!r} is not undeployed after {seconds:g} s",
                f"It is {report.get('status')}.",
                "Call undeploy() again.",
                status=report,
            )
        report = status(session, deployment)


def _details(report: Mapping[str, Any]) -> str:
    found = [str(detail) for detail in report.get("details") or []]
    for engine in report.get("engines") or []:
        found += [str(engine[key]) for key in ("reason",) if engine.get(key)]
        found += [str(detail) for detail in engine.get("details") or []]
    return "\n".join(dict.fromkeys(found))
