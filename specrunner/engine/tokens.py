"""Tokens for the API: random, shown once, stored as a digest that nobody can turn back.

A token is `spr_<id>_<secret>`. The id finds the row, the secret is compared in constant time with its sha256; for 256
random bits no slow hash is needed. Every use asks whether it is revoked or expired by now.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from specrunner.core.access import Identity, Scope, included
from specrunner.core.errors import BadInput, Conflict, NotFound
from specrunner.core.values import Secret, parse_iso
from specrunner.engine.context import Context, stored_instant
from specrunner.engine.store import tables

PREFIX: Final = "spr_"
_T = tables.tokens
_LONGEST_NAME: Final = 128


@dataclass(frozen=True, slots=True)
class Token:
    """A token without its secret. `workspaces` is None where it is for all, `expires` None where it never does."""

    id: str
    name: str
    scopes: tuple[Scope, ...]
    workspaces: tuple[str, ...] | None
    created: datetime
    expires: datetime | None = None
    revoked: datetime | None = None

    def is_valid(self, now: datetime) -> bool:
        """Whether it still opens anything."""
        return self.revoked is None and (self.expires is None or now < self.expires)

    @property
    def identity(self) -> Identity:
        """Who calls with it."""
        limit = None if self.workspaces is None else frozenset(self.workspaces)
        return Identity(f"token {self.name}", included(self.scopes), limit)


class Tokens:
    """The service for tokens."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def create(
        self,
        name: str,
        scopes: Collection[Scope],
        workspaces: Collection[str] | None = None,
        expires: datetime | None = None,
    ) -> tuple[Token, Secret]:
        """A new token, and its text, which is told this once.

        Raises BadInput for a name that does not print, no scope, or an expiry that is over, and Conflict where a valid
        token has that name.
        """
        self._check(name, scopes, workspaces, expires)
        identity, secret = secrets.token_hex(4), secrets.token_urlsafe(32)
        row = {
            "id": identity,
            "name": name,
            "digest": _digest(secret),
            "scopes": sorted(set(scopes)),
            "workspaces": None if workspaces is None else sorted(set(workspaces)),
            "created_at": self._context.now(),
            "expires_at": None if expires is None else stored_instant(expires),
        }
        with self._context.database.transaction():
            if any(one.name == name and one.is_valid(self._context.clock.now()) for one in self.all()):
                raise Conflict(
                    f"There is a token {name!r} already.", remedy="Choose another name, or revoke that one first."
                )
            with self._context.database.write() as connection:
                connection.execute(sa.insert(_T).values(row))
        return self.get(identity), Secret(f"{PREFIX}{identity}_{secret}")

    def all(self) -> list[Token]:
        """Every token that was ever made, oldest first; the revoked and the expired too."""
        with self._context.database.read() as connection:
            rows = connection.execute(sa.select(_T).order_by(_T.c.created_at, _T.c.id)).all()
        return [_record(row) for row in rows]

    def get(self, identity: str) -> Token:
        """The token of that id. Raises NotFound."""
        with self._context.database.read() as connection:
            row = connection.execute(sa.select(_T).where(_T.c.id == identity)).first()
        if row is None:
            raise NotFound(f"There is no token {identity!r}.", remedy="`specrunner token list` shows them.")
        return _record(row)

    def any_made(self) -> bool:
        """Whether a token was ever made: then whoever calls is asked for one, for good."""
        with self._context.database.read() as connection:
            return connection.execute(sa.select(_T.c.id).limit(1)).first() is not None

    def any_valid(self) -> bool:
        """Whether somebody may call with a token now."""
        now = self._context.clock.now()
        return any(one.is_valid(now) for one in self.all())

    def revoke(self, asked: str) -> Token:
        """Let a token open nothing any more, by its id or its name; twice is as good as once. Raises NotFound."""
        now = self._context.clock.now()
        with self._context.database.transaction():
            named = [one for one in self.all() if asked in {one.id, one.name}]
            found = next((one for one in named if one.is_valid(now)), named[-1] if named else None)
            if found is None:
                raise NotFound(f"There is no token {asked!r}.", remedy="`specrunner token list` shows them.")
            with self._context.database.write() as connection:
                unrevoked = (_T.c.id == found.id) & _T.c.revoked_at.is_(None)
                connection.execute(sa.update(_T).where(unrevoked).values(revoked_at=self._context.now()))
        return self.get(found.id)

    def of_text(self, text: str) -> Token | None:
        """The token that somebody has sent, where it is one and valid now."""
        identity, _, secret = text.removeprefix(PREFIX).partition("_")
        with self._context.database.read() as connection:
            row = connection.execute(sa.select(_T).where(_T.c.id == identity)).first()
        # Compared also where there is none, so that the time taken tells nobody which ids exist.
        fits = hmac.compare_digest(_digest(secret), row.digest if row is not None else _digest(""))
        if row is None or not fits or not text.startswith(PREFIX):
            return None
        found = _record(row)
        return found if found.is_valid(self._context.clock.now()) else None

    def _check(
        self, name: str, scopes: Collection[Scope], workspaces: Collection[str] | None, expires: datetime | None
    ) -> None:
        if not name.strip() or not name.isprintable() or len(name) > _LONGEST_NAME:
            raise BadInput(f"A token has a name of one to {_LONGEST_NAME} characters that print.")
        if not scopes:
            raise BadInput("A token without a scope opens nothing.", remedy=f"Say one of: {', '.join(Scope)}.")
        if workspaces is not None and not workspaces:
            raise BadInput("A token for no workspace opens nothing.", remedy="Name one, or leave the limit out.")
        if workspaces is not None and Scope.ADMIN in scopes:
            raise BadInput(
                "A token with the scope admin can't be limited to workspaces.",
                detail="It could make itself another without the limit.",
                remedy="Leave the workspaces out, or give it the scope apply.",
            )
        if expires is not None and expires <= self._context.clock.now():
            raise BadInput("A token that has expired already opens nothing.", remedy="Let it expire later.")


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _record(row: Any) -> Token:
    return Token(
        id=row.id,
        name=row.name,
        scopes=tuple(map(Scope, row.scopes)),
        workspaces=None if row.workspaces is None else tuple(row.workspaces),
        created=parse_iso(row.created_at),
        expires=parse_iso(row.expires_at) if row.expires_at else None,
        revoked=parse_iso(row.revoked_at) if row.revoked_at else None,
    )
