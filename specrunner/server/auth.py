"""Callers of the platform's face, and what they may see. Who tells them: `door`.

A run's token may read and write the models, pipelines and deployments of its task's workspace (and of those that the
task's spec lists), and read the connections attached there; it sees no other workspace, and dies with the run.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, replace

from specrunner.core.errors import NotFound, SpecrunnerError
from specrunner.engine.engine import Engine
from specrunner.engine.records import User, Workspace


class NotAuthorised(SpecrunnerError):
    """No token, or one that is not (any longer) valid."""

    http_status = 401


class Forbidden(SpecrunnerError):
    """The token is valid, and may not do this."""

    http_status = 403


@dataclass(frozen=True, slots=True)
class Caller:
    """A run (`run_id`) or a person: the name under which it holds deployments, and the workspaces it may use.

    `sees_all` says that nothing is hidden from it; `is_limited` that its token names its workspaces, once and for all.
    """

    run_id: str
    holder: str
    workspaces: tuple[Workspace, ...]
    user: User | None = None
    sees_all: bool = False
    is_limited: bool = False

    @property
    def who(self) -> str:
        """How the audit log names it."""
        return f"run {self.run_id}" if self.user is None else self.user.email

    def workspace(self, workspace_id: int) -> Workspace:
        """One of its workspaces. Raises NotFound, whether it exists for others or not."""
        for found in self.workspaces:
            if found.id == workspace_id:
                return found
        raise NotFound(f"There is no workspace {workspace_id} that this token may use.")

    def may_use(self, workspace_id: int) -> bool:
        """Whether objects of this workspace are visible."""
        return any(found.id == workspace_id for found in self.workspaces)

    def seeing(self, workspace: Workspace) -> Caller:
        """The same caller, who may use this workspace too."""
        others = tuple(found for found in self.workspaces if found.id != workspace.id)
        return replace(self, workspaces=(*others, workspace))

    def person(self, deed: str) -> User:
        """The person who calls. Raises Forbidden for a run: it can't do this deed."""
        if self.user is None:
            raise Forbidden(f"A run may not {deed}.", remedy="Do it as a person, or declare it in the specs.")
        return self.user


def signed_run(engine: Engine, header: str) -> str:
    """The run whose token this header carries, whether it lives or not; asks no store. Raises NotAuthorised."""
    scheme, _, token = header.partition(" ")
    run_id, _, signature = token.strip().partition(".")
    expected = engine.runs.token(run_id).partition(".")[2]
    if scheme.lower() != "bearer" or not hmac.compare_digest(signature.encode(), expected.encode()):
        raise NotAuthorised("This request has no valid token.", remedy="Send the header `Authorization: Bearer TOKEN`.")
    return run_id


def living_caller(engine: Engine, run_id: str) -> Caller:
    """The caller that this run is. Raises NotAuthorised once it has ended."""
    try:
        run = engine.history.get(run_id)
        task = engine.tasks.get(run.task_id)
    except NotFound as problem:
        raise NotAuthorised("The run of this token is gone.") from problem
    if run.status.ended:
        raise NotAuthorised("The run of this token has ended.")
    names = {task.workspace, *task.spec.get("workspaces", ())}
    allowed = tuple(found for found in engine.workspaces.all() if found.name in names)
    return Caller(run_id, engine.holder_of_run(run_id), allowed)
