"""Runs of tasks under the name that tutorials know."""

from __future__ import annotations

from specrunner.sdk.tasks import TaskRun, TaskRunList, TaskRunLogs

__all__ = ["TaskRun", "TaskRunList", "TaskRunLogs"]
