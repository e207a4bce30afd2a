"""What waits and fails in a deployment under the tutorials' name of its module."""

from __future__ import annotations

from specrunner.sdk.exceptions import WaitForDeployError, WaitForError

__all__ = ["WaitForDeployError", "WaitForError"]
