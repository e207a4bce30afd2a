"""The builder of a deployment's configuration."""

from __future__ import annotations

from specrunner.sdk.deployment_config import DeploymentConfigBuilder

__all__ = ["DeploymentConfigBuilder"]
