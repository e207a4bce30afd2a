"""Orchestrations under the name that tutorials know."""

from __future__ import annotations

from specrunner.sdk.orchestrations import Orchestration, OrchestrationList

__all__ = ["Orchestration", "OrchestrationList"]
