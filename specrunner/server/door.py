"""Who calls the platform's face: a run, somebody who has logged in, a token, or this machine's user.

A person shows the token that the log-in has given, and sees the workspaces that they were let into. A token that was
made for the API opens this face too, if it has the scope `run`. Where the server stands open and no users were added,
whoever shows no such token is this machine's user and sees everything: the clients send words of their own making
where they were told not to log in.
"""

from __future__ import annotations

import re
from typing import Final

from starlette.requests import HTTPConnection

from specrunner.core.access import Scope
from specrunner.core.errors import NotFound
from specrunner.engine.records import User
from specrunner.engine.tokens import PREFIX
from specrunner.server.access import Access, check_own, require
from specrunner.server.auth import Caller, NotAuthorised, living_caller, signed_run

_RUN_TOKEN: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\.[^.]*")
_RUN, _USER, _TOKEN = "run:", "user:", "token:"


class Door:
    """Tells who calls."""

    def __init__(self, access: Access) -> None:
        self.access = access
        self.logins = access.logins
        self._engine = access.engine

    def caller(self, request: HTTPConnection) -> Caller:
        """Who sent this request. Raises NotAuthorised and Forbidden."""
        return self.living(self.signed(request))

    def signed(self, request: HTTPConnection) -> str:
        """Who this request names, rightly signed, whether they live or not. Raises as `caller`.

        A run's token asks no store; so it is checked before its request is read.
        """
        header = request.headers.get("authorization", "")
        token = _bearer(header)
        if not _RUN_TOKEN.fullmatch(token) and not token.startswith(PREFIX) and self.stands_open():
            check_own(request)
            return _USER
        # Failures are not counted here, as they are for passwords: none of these can be guessed, and all runs of this
        # machine come from one address.
        return self._of_header(header)

    def living(self, who: str) -> Caller:
        """The caller that `signed` named. Raises NotAuthorised where it is gone."""
        kind, _, name = who.partition(":")
        if kind + ":" == _RUN:
            return living_caller(self._engine, name)
        return self._token(name) if kind + ":" == _TOKEN else self._person(name)

    def stands_open(self) -> bool:
        """Whether callers need not say who they are."""
        return self.access.stands_open()

    def _of_header(self, header: str) -> str:
        token = _bearer(header)
        if token.startswith(PREFIX):
            found = self._engine.tokens.of_text(token)
            if found is None:
                raise NotAuthorised("This token is not valid: it was never made, was revoked, or has expired.")
            return _TOKEN + found.id
        if (user_id := self.logins.user_of(token)) is not None:
            return _USER + user_id
        return _RUN + signed_run(self._engine, header)

    def _token(self, identity: str) -> Caller:
        found = self._engine.tokens.get(identity)
        if not found.is_valid(self.access.now()):
            raise NotAuthorised("This token is not valid: it was revoked, or has expired.")
        require(found.identity, Scope.RUN)
        limit = found.identity
        seen = tuple(one for one in self._engine.workspaces.all() if limit.sees_workspace(one.name))
        user = User(found.id, f"token {found.name}", limit.may(Scope.ADMIN), True, found.created)
        return Caller("", self._engine.user_holder, seen, user, not limit.is_limited, limit.is_limited)

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
        return Caller("", self._engine.user_holder, found, user, user.admin)


def _bearer(header: str) -> str:
    """The token of a header; some clients leave the scheme out."""
    scheme, _, token = header.strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" else header.strip()
