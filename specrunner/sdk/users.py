"""People of the platform."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from specrunner.sdk.exceptions import ApiError
from specrunner.sdk.session import Session


class User:
    """Somebody who may log in."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self._data = dict(data)

    def id(self) -> str:
        """The platform's id, a UUID."""
        return str(self._data["id"])

    def email(self) -> str:
        """The e-mail address, with which they log in."""
        return str(self._data.get("email") or self._data["username"])

    def username(self) -> str:
        """The name with which they log in."""
        return str(self._data["username"])

    def enabled(self) -> bool:
        """Whether they may log in."""
        return bool(self._data["enabled"])

    def __repr__(self) -> str:
        return f"User(id={self.id()!r}, email={self.email()!r}, enabled={self.enabled()})"


def list_users(session: Session) -> list[User]:
    """Everybody. Raises ApiError for a run."""
    return [User(data) for data in session.post("users/query", {})["users"].values()]


def user_of(session: Session, email: str) -> User | None:
    """The user with that address, or None."""
    return next((user for user in list_users(session) if user.email() == email.lower()), None)


def user_with(session: Session, user_id: str) -> User | None:
    """The user of that id; None where they are gone, or were never more than a client without a log-in."""
    try:
        found = session.post("users/query", {"user_ids": [user_id]})["users"]
    except ApiError:
        return None
    return User(found[user_id]) if user_id in found else None
