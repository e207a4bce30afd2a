"""The exceptions under the tutorials' name of their module."""

from __future__ import annotations

from specrunner.sdk.object import (
    CommunicationError,
    DeploymentError,
    EntityNotFoundError,
    InferenceError,
    InferenceTimeoutError,
    ModelUploadError,
    RequiredAttributeMissing,
    WaitForDeployError,
    WaitForError,
)

__all__ = [
    "CommunicationError",
    "DeploymentError",
    "EntityNotFoundError",
    "InferenceError",
    "InferenceTimeoutError",
    "ModelUploadError",
    "RequiredAttributeMissing",
    "WaitForDeployError",
    "WaitForError",
]
