"""Who calls, and what they may see.

A run's token may read and write the models, pipelines and deployments of its task's workspace (and of those that the
task's spec lists), and read the connections attached there; it sees no other workspace, and dies with the run. A
person shows a token that the log-in has given, and sees the workspaces that they were let into. Where nobody was
added, and the server is open, whoever shows no token of a run is this machine's user and sees everything.
"""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass, replace

from specrunner.core.errors import NotFound, SpecrunnerError
from specrunner.engine.engine import Engine
from specrunner.engine.records import User, Workspace
from specrunner.server.tokens import Tokens

_RUN_TOKEN = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\.[^.]*")
_RUN, _USER = "run:", "user:"


class NotAuthorised(SpecrunnerError):
    """No token, or one that is not (any longer) valid."""

    http_status = 401


class Forbidden(SpecrunnerError):
    """The token is valid, and may not do this."""

    http_status = 403


@dataclass(frozen=True, slots=True)
class Caller:
    """A run, or a person: the name under which it holds deployments, and the workspaces it may use."""

    who: str
    holder: str
    workspaces: tuple[Workspace, ...]
    user: User | None = None

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


class Door:
    """Tells who calls. `is_open` lets callers in that show no token, as long as no users were added."""

    def __init__(self, engine: Engine, *, is_open: bool = False) -> None:
        self._engine = engine
        self._is_open = is_open
        self.tokens = Tokens(engine)

    def caller(self, header: str) -> Caller:
        """Who sent this Authorization header. Raises NotAuthorised."""
        return self.living(self.signed(header))

    def signed(self, header: str) -> str:
        """Who this header names, rightly signed, whether they live or not. Raises NotAuthorised.

        A run's token asks no store; so it is checked before its request is read.
        """
        token = _bearer(header)
        if self.stands_open() and not _RUN_TOKEN.fullmatch(token):
            return _USER
        if (user_id := self.tokens.user_of(token)) is not None:
            return _USER + user_id
        return _RUN + signed_run(self._engine, header)

    def living(self, who: str) -> Caller:
        """The caller that `signed` named. Raises NotAuthorised where it is gone."""
        if who.startswith(_USER):
            return self._person(who.removeprefix(_USER))
        return living_caller(self._engine, who.removeprefix(_RUN))

    def stands_open(self) -> bool:
        """Whether callers need not say who they are."""
        return self._is_open and not self._engine.users.any()

    def _person(self, user_id: str) -> Caller:
        users = self._engine.users
        try:
            user = users.get(user_id) if user_id else users.local()
        except NotFound as problem:
            raise NotAuthorised("The user of this token is gone.") from problem
        if not user.enabled:
            raise NotAuthorised("The user of this token was disabled.")
        allowed = None if user.admin else users.workspaces_of(user.id)
        found = tuple(one for one in self._engine.workspaces.all() if allowed is None or one.id in allowed)
        return Caller(_USER + user.id, self._engine.user_holder, found, user)


def _bearer(header: str) -> str:
    """The token of a header; some clients leave the scheme out."""
    scheme, _, token = header.strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" else header.strip()


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
    return Caller(_RUN + run_id, engine.holder_of_run(run_id), allowed)
