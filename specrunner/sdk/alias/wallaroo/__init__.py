"""The tutorials' client by its own name: a thin alias of `specrunner.sdk`.

It is laid into the environment of a run, unless the run's requirements install the real package of this name.
"""

from __future__ import annotations

from specrunner.sdk import in_task, task_args
from specrunner.sdk.client import Client
from specrunner.sdk.framework import Framework

__all__ = ["Client", "Framework", "in_task", "task_args"]

__version__ = "2023.2.0+specrunner"
