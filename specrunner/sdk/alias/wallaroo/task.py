"""Tasks under the name that tutorials know."""

from __future__ import annotations

from specrunner.sdk.tasks import ArbexStatus, Task, TaskList

__all__ = ["ArbexStatus", "Task", "TaskList"]
