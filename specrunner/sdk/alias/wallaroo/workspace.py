"""The workspace and its list under the tutorials' name of its module."""

from __future__ import annotations

from specrunner.sdk.workspaces import Workspace, WorkspaceList

__all__ = ["Workspace", "WorkspaceList"]
