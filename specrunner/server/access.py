"""Who calls, for every face: a token, a person who has logged in, a run, or anybody on this machine where it is open.

It is open on loopback as long as no token was made, and with `serve --open`. A browser is no reason to trust a request
there: one that a page of another origin has sent, or that came for another host's name, is refused.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

from specrunner.core.access import Identity, Scope, included
from specrunner.core.errors import NotFound
from specrunner.engine.engine import Engine
from specrunner.engine.tokens import PREFIX
from specrunner.server.auth import Forbidden, NotAuthorised, living_caller, signed_run
from specrunner.server.guesses import Guesses, TooManyFailures
from specrunner.server.logins import Logins

_FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "via")
ANYBODY = Identity("anybody on this machine")


@dataclass(slots=True)
class Access:
    """Tells who sent a request. `is_open` is asked each time: a token that is made closes the door at once."""

    engine: Engine
    is_open: Callable[[], bool] = lambda: False
    guesses: Guesses = field(default_factory=Guesses)
    logins: Logins = field(init=False)
    _stood: tuple[object, bool] = field(init=False, default=(None, False))

    def __post_init__(self) -> None:
        self.logins = Logins(self.engine)

    def identify(self, request: HTTPConnection) -> Identity:
        """The caller. Raises NotAuthorised, TooManyFailures."""
        header = request.headers.get("authorization", "")
        address = address_of(request)
        if not header and self.stands_open():
            check_own(request)
            return ANYBODY
        try:
            identity = self._of_header(header)
        except NotAuthorised:
            if header:
                # Only now: a right token, which nobody can guess, is let in whatever else came from there.
                self.guesses.check(address, header)
                self.refused(address)
            raise
        if self.guesses.succeeded(address, header):
            self.engine.audit.add(identity.who, "login", address=address)
        return identity

    def stands_open(self) -> bool:
        """Whether callers need not say who they are: nobody was told to have a token or a password.

        The store is asked only where something was written since; each request asks this.
        """
        generation = self.engine.generation()
        if self._stood[0] != generation:
            self._stood = generation, self.is_open() and not self.engine.users.any()
        return self._stood[1]

    def _of_header(self, header: str) -> Identity:
        scheme, _, text = header.partition(" ")
        text = text.strip()
        if scheme.lower() == "bearer" and text.startswith(PREFIX):
            token = self.engine.tokens.of_text(text)
            if token is None:
                raise NotAuthorised(
                    "This token is not valid.",
                    detail="It was never made, was revoked, or has expired.",
                    remedy="Ask for another: `specrunner token create` makes one, where the server runs.",
                )
            return token.identity
        if (user_id := self.logins.user_of(text)) is not None:
            return self._person(user_id)
        caller = living_caller(self.engine, signed_run(self.engine, header))
        names = frozenset(found.name for found in caller.workspaces)
        return Identity(f"run {caller.run_id}", frozenset({Scope.READ}), names, caller.run_id)

    def _person(self, user_id: str) -> Identity:
        """What somebody who has logged in may do: an admin everything, others all in the workspaces they are in."""
        users = self.engine.users
        try:
            user = users.get(user_id)
        except NotFound as problem:
            raise NotAuthorised("The user of this token is gone.") from problem
        if not user.enabled:
            raise NotAuthorised("The user of this token was disabled.")
        if user.admin:
            return Identity(user.email)
        joined = users.workspaces_of(user.id)
        names = frozenset(found.name for found in self.engine.workspaces.all() if found.id in joined)
        return Identity(user.email, included([Scope.APPLY]), names)

    def now(self) -> datetime:
        """The present instant, as the engine's clock has it."""
        return self.engine.now()

    def refused(self, address: str) -> None:
        """Count a failure; the one that closes the door stands in the audit log, and those that it keeps out do not."""
        self.guesses.failed(address)
        self.engine.audit.add("nobody", "login", address=address, outcome="refused")


def require(identity: Identity, scope: Scope) -> None:
    """Raises Forbidden where the caller has not that scope."""
    if not identity.may(scope):
        raise Forbidden(
            f"This needs a token with the scope {scope!s}.",
            detail=f"{identity.who} has: {', '.join(sorted(identity.scopes)) or 'none'}.",
            remedy=f"`specrunner token create NAME --scope {scope!s}` makes one, where the server runs.",
        )


def address_of(request: HTTPConnection) -> str:
    """Where a request came from, as the socket says it."""
    return request.client.host if request.client else ""


def is_loopback(host: str) -> bool:
    """Whether a name or an address means this very machine, and nobody else can reach it."""
    name = host.strip("[]").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def check_own(request: HTTPConnection) -> None:
    """Raises Forbidden for what a page of another origin, or a name that leads here, may have sent."""
    host = urlsplit(f"//{request.headers.get('host', '')}").hostname or ""
    origin = request.headers.get("origin")
    own = origin is None or is_loopback(urlsplit(origin).hostname or "")
    foreign = request.headers.get("sec-fetch-site") == "cross-site" or any(map(request.headers.get, _FORWARDED))
    if not is_loopback(host) or not own or foreign:
        raise Forbidden(
            "This server answers without a token only to programs on its own machine.",
            detail="This one came for another host's name, through a proxy, or from a web page of another origin.",
            remedy="Send a token; `specrunner token create` makes one.",
        )


__all__ = ["ANYBODY", "Access", "Forbidden", "TooManyFailures", "address_of", "check_own", "is_loopback", "require"]
