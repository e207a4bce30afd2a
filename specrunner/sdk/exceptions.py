"""What can go wrong, as one tree.

* SdkError
    + NotInRunError                 asked for something that only a run has
    + CommunicationError            the platform cannot be reached, or the connection broke
        - RequestTimeoutError       it was reached and did not answer in time
    + ApiError                      it answered with an error; `status` is the HTTP status
        - OrchestrationRunFailed    an orchestration can't be run
    + WaitForError                  something did not happen in the time allowed
        - WaitForDeployError        a deployment did not come up; `status` is the last report
    + DeploymentError               a pipeline cannot be deployed, or is not deployed
    + ModelUploadError              a model was not accepted
    + OrchestrationUploadFailed     an orchestration was not accepted
    + InferenceError                an inference was answered with an error
        - InferenceTimeoutError     an inference was not answered in time
    + EntityNotFoundError           nothing has that name or id (module `object`)
    + RequiredAttributeMissing      an answer lacks what it must have (module `object`)
"""

from __future__ import annotations

import copyreg
from collections.abc import Mapping
from typing import Any


class SdkError(Exception):
    """Base of every error of the SDK: what happened, what was found, and what to do about it."""

    def __init__(self, summary: str, detail: str = "", remedy: str = "") -> None:
        super().__init__(summary)
        self.summary = summary
        self.detail = detail
        self.remedy = remedy

    def __str__(self) -> str:
        """The parts that are there, one a line."""
        return "\n".join(part for part in (self.summary, self.detail, self.remedy) if part)

    def __reduce__(self) -> tuple[Any, ...]:
        # Subclasses have constructors of their own; the usual copy, which calls the class with `args`, would fail in
        # multiprocessing pools and hide the real error.
        return copyreg.__newobj__, (type(self), *self.args), self.__dict__  # type: ignore[attr-defined]


class NotInRunError(SdkError):
    """The code asks for something that only a run has, and this is none."""


class CommunicationError(SdkError):
    """The platform cannot be reached, or the connection broke before the whole answer came."""


class RequestTimeoutError(CommunicationError):
    """The platform was reached and did not answer in time."""


class ApiError(SdkError):
    """The platform answered with an error. `status` is the HTTP status, `code` the platform's own."""

    def __init__(self, summary: str, detail: str = "", remedy: str = "", *, status: int = 0, code: int = 0) -> None:
        super().__init__(summary, detail, remedy)
        self.status = status
        self.code = code or status


class WaitForError(SdkError):
    """Something did not happen in the time allowed. `status` is the platform's last report, if there was one."""

    def __init__(
        self, summary: str, detail: str = "", remedy: str = "", *, status: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(summary, detail, remedy)
        self.status = None if status is None else dict(status)


class WaitForDeployError(WaitForError):
    """A deployment did not come up."""


class DeploymentError(SdkError):
    """A pipeline cannot be deployed, or is used without being deployed."""


class ModelUploadError(SdkError):
    """A model was not accepted."""


class OrchestrationUploadFailed(SdkError):
    """An orchestration was not accepted."""


class OrchestrationRunFailed(ApiError):
    """An orchestration can't be run: it is not ready, or what was asked for makes no sense."""


class InferenceError(SdkError):
    """An inference was answered with an error. `status` is the HTTP status, 0 when nothing was sent."""

    def __init__(self, summary: str, detail: str = "", remedy: str = "", *, status: int = 0) -> None:
        super().__init__(summary, detail, remedy)
        self.status = status


class InferenceTimeoutError(InferenceError):
    """An inference was not answered in time."""
