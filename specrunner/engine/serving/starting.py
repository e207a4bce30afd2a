"""Deployments that take long to come up: what is under way in this process, and what came of it.

Most models load while the caller waits. One whose environment is built first takes minutes: then the caller is told
that it starts, and asks again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from specrunner.core.errors import EngineError, SpecrunnerError


class DeploymentState(StrEnum):
    """How a held deployment is; one that nobody holds has no state."""

    STARTING = "Starting"  # its models are being loaded
    RUNNING = "Running"  # it answers, or loads what it needs when it is asked
    ERROR = "Error"  # its models could not be loaded, after it was held


class Attempt:
    """Work in a thread of its own; what it raises is kept."""

    def __init__(self, work: Callable[[], object], name: str) -> None:
        self._work = work
        self._done = threading.Event()
        self.problem: SpecrunnerError | None = None
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def wait(self, seconds: float) -> bool:
        """Whether it is over within so many seconds."""
        return self._done.wait(seconds)

    def _run(self) -> None:
        try:
            self._work()
        except SpecrunnerError as problem:
            self.problem = problem
        except Exception as problem:
            self.problem = EngineError("The pipeline could not be loaded.", f"{type(problem).__name__}: {problem}.")
        finally:
            self._done.set()


@dataclass(slots=True)
class Starting:
    """The last attempt for each deployment that took long, in this process."""

    _attempts: dict[int, Attempt] = field(default_factory=dict)

    def began(self, deployment_id: int, attempt: Attempt) -> None:
        """From now on its state is that of this attempt."""
        self._attempts[deployment_id] = attempt

    def forget(self, deployment_id: int) -> None:
        """It is up, or gone."""
        self._attempts.pop(deployment_id, None)

    def state(self, deployment_id: int) -> tuple[DeploymentState, SpecrunnerError | None]:
        """How it is, and where its models could not be loaded, why."""
        attempt = self._attempts.get(deployment_id)
        if attempt is None:
            return DeploymentState.RUNNING, None
        if not attempt.wait(0):
            return DeploymentState.STARTING, None
        return (DeploymentState.ERROR, attempt.problem) if attempt.problem else (DeploymentState.RUNNING, None)
