"""People: who may log in to the platform API, and which workspaces they may use.

Without any, the API on loopback is open to whoever uses this machine: that is the `local` user.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from typing import Any

import sqlalchemy as sa

from specrunner.core.errors import BadInput, Conflict, NotFound
from specrunner.core.values import parse_iso
from specrunner.engine.context import Context, new_id
from specrunner.engine.facts import Facts
from specrunner.engine.records import Member, User
from specrunner.engine.store import tables

_U = tables.users
_M = tables.memberships

SHORTEST_PASSWORD = 8
_LOCAL_ID = "local-user"  # the fact that holds its id
_LOCAL_EMAIL = "local@localhost"
_COST = {"n": 2**14, "r": 8, "p": 1}  # 16 MiB and some 50 ms for each try


class Users:
    """The service for people."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._facts = Facts(context)

    def all(self) -> list[User]:
        """Everybody, oldest first."""
        return self._select(sa.true())

    def any(self) -> bool:
        """Whether there is anybody at all, so that callers must say who they are."""
        with self._context.database.read() as connection:
            return connection.execute(sa.select(_U.c.id).limit(1)).first() is not None

    def get(self, user_id: str) -> User:
        """The user of that id, be it the local one. Raises NotFound."""
        found = self._select(_U.c.id == user_id)
        if not found and user_id == self._facts.get(_LOCAL_ID):
            return self.local()
        if not found:
            raise NotFound(f"There is no user {user_id!r}.")
        return found[0]

    def named(self, email: str) -> User:
        """The user with that e-mail address. Raises NotFound."""
        found = self._select(_U.c.email == _plain(email))
        if not found:
            raise NotFound(f"There is no user {email!r}.", remedy="`specrunner user list` shows who there is.")
        return found[0]

    def local(self) -> User:
        """Whoever uses this machine, where no users were added; sees everything."""
        with self._context.database.transaction():
            identity = self._facts.get(_LOCAL_ID)
            if identity is None:
                identity = new_id()
                self._facts.put(_LOCAL_ID, identity)
        return User(identity, _LOCAL_EMAIL, True, True, None)

    def add(self, email: str, password: str, *, admin: bool = False) -> User:
        """A new user. Raises BadInput for what is no address or too short, Conflict where the address is taken."""
        email = _plain(email)
        if "@" not in email or not email.isprintable() or " " in email:
            raise BadInput(f"{email!r} is no e-mail address.")
        row = {
            "id": new_id(),
            "email": email,
            "password": _hashed(password),
            "admin": admin,
            "enabled": True,
            "created_at": self._context.now(),
        }
        with self._context.database.write() as connection:
            if connection.execute(sa.select(_U.c.id).where(_U.c.email == email)).first():
                raise Conflict(f"There is a user {email!r} already.")
            connection.execute(sa.insert(_U).values(row))
            self._context.event(connection, f"user:{row['id']}", "added")
        return self.named(email)

    def change_password(self, user: User, password: str) -> None:
        """Another password. Raises BadInput for one that is too short."""
        self._change(user, "password changed", password=_hashed(password))

    def enable(self, user: User, enabled: bool) -> None:
        """Let the user log in, or keep it from doing anything at all."""
        self._change(user, "enabled" if enabled else "disabled", enabled=enabled)

    def remove(self, user: User) -> None:
        """Forget the user; what it made stays."""
        with self._context.database.write() as connection:
            connection.execute(sa.delete(_U).where(_U.c.id == user.id))
            connection.execute(sa.delete(_M).where(_M.c.user_id == user.id))
            self._context.event(connection, f"user:{user.id}", "removed")

    def authenticated(self, email: str, password: str) -> User | None:
        """The user with this password, if it may log in. Takes as long for an address that nobody has."""
        with self._context.database.read() as connection:
            row = connection.execute(sa.select(_U).where(_U.c.email == _plain(email))).first()
        known = row.password if row is not None else _NOBODY
        return _record(row) if _matches(password, known) and row is not None and row.enabled else None

    def join(self, workspace_id: int, user_id: str, role: str) -> None:
        """Let a user use a workspace; who may already gets that role."""
        pair = (_M.c.workspace_id == workspace_id) & (_M.c.user_id == user_id)
        with self._context.database.write() as connection:
            connection.execute(sa.delete(_M).where(pair))
            row = {"workspace_id": workspace_id, "user_id": user_id, "role": role}
            connection.execute(sa.insert(_M).values(row))

    def leave(self, workspace_id: int, user_id: str) -> int:
        """Let a user use a workspace no more; how many memberships that ended."""
        pair = (_M.c.workspace_id == workspace_id) & (_M.c.user_id == user_id)
        with self._context.database.write() as connection:
            return int(connection.execute(sa.delete(_M).where(pair)).rowcount)

    def members(self, workspace_id: int) -> list[Member]:
        """Who may use a workspace."""
        query = sa.select(_M).where(_M.c.workspace_id == workspace_id).order_by(_M.c.user_id)
        with self._context.database.read() as connection:
            return [Member(row.user_id, row.role) for row in connection.execute(query)]

    def workspaces_of(self, user_id: str) -> set[int]:
        """The ids of the workspaces that a user was let into."""
        query = sa.select(_M.c.workspace_id).where(_M.c.user_id == user_id)
        with self._context.database.read() as connection:
            return set(connection.execute(query).scalars())

    def _change(self, user: User, event: str, **values: object) -> None:
        with self._context.database.write() as connection:
            if not connection.execute(sa.update(_U).where(_U.c.id == user.id).values(**values)).rowcount:
                raise NotFound(f"There is no user {user.email!r}.")
            self._context.event(connection, f"user:{user.id}", event)

    def _select(self, condition: sa.ColumnElement[bool]) -> list[User]:
        query = sa.select(_U).where(condition).order_by(_U.c.created_at, _U.c.email)
        with self._context.database.read() as connection:
            return [_record(row) for row in connection.execute(query)]


def _plain(email: str) -> str:
    return email.strip().lower()


def _hashed(password: str) -> str:
    if len(password) < SHORTEST_PASSWORD:
        raise BadInput(f"A password has at least {SHORTEST_PASSWORD} characters.")
    return _with_salt(password, os.urandom(16))


def _with_salt(password: str, salt: bytes) -> str:
    derived = hashlib.scrypt(password.encode(), salt=salt, **_COST)
    return "$".join(["scrypt", *(base64.b64encode(part).decode() for part in (salt, derived))])


def _matches(password: str, stored: str) -> bool:
    salt = base64.b64decode(stored.split("$")[1])
    return hmac.compare_digest(_with_salt(password, salt), stored)


# What an address that nobody has is held against, so that the time taken tells nothing.
_NOBODY = f"scrypt${base64.b64encode(bytes(16)).decode()}$"


def _record(row: Any) -> User:
    return User(row.id, row.email, row.admin, row.enabled, parse_iso(row.created_at))
