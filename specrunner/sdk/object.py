"""The exceptions that tutorials import by this module's name.

`EntityNotFoundError` and `RequiredAttributeMissing` live here, with the constructors that the tutorials'
platform gives them; the rest is passed on from `exceptions`.
"""

from __future__ import annotations

from collections.abc import Mapping

from specrunner.sdk.exceptions import (
    CommunicationError,
    DeploymentError,
    InferenceError,
    InferenceTimeoutError,
    ModelUploadError,
    SdkError,
    WaitForDeployError,
    WaitForError,
)

__all__ = [
    "CommunicationError",
    "ConnectionNotFoundError",
    "DeploymentError",
    "EntityNotFoundError",
    "InferenceError",
    "InferenceTimeoutError",
    "ModelUploadError",
    "RequiredAttributeMissing",
    "WaitForDeployError",
    "WaitForError",
]


class EntityNotFoundError(SdkError):
    """Nothing of that kind answers to these attributes (name, id)."""

    def __init__(self, entity_type: str, params: Mapping[str, object], remedy: str = "") -> None:
        wanted = ", ".join(f"{key} {value!r}" for key, value in params.items())
        super().__init__(f"{entity_type} not found: {wanted}", remedy=remedy)


class RequiredAttributeMissing(SdkError):
    """An answer of the platform lacks an attribute that it must have."""

    def __init__(self, class_name: str, attribute_name: str) -> None:
        super().__init__(
            f"{class_name}: Missing required attribute '{attribute_name}' in response",
            remedy="The platform and this client disagree; check that the address is that of a specrunner server.",
        )


class ConnectionNotFoundError(EntityNotFoundError, RequiredAttributeMissing):
    """No connection has that name, or this caller may not see it.

    The tutorials' platform answers a missing connection with RequiredAttributeMissing, and code that creates
    one where there is none catches just that; new code rather catches EntityNotFoundError. This is both.
    """

    def __init__(self, name: str) -> None:
        SdkError.__init__(
            self,
            f"Connection not found: name {name!r}",
            "No connection has that name, or it is not attached to a workspace that this caller may use.",
            "Attach it in the connection's specs, or with workspace.add_connection(name).",
        )
