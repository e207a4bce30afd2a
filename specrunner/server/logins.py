"""The tokens that a log-in gives: signed, with an end, and worth nothing once the state folder's key is another."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Final

from specrunner.core.values import Json
from specrunner.engine.engine import Engine
from specrunner.engine.records import User

if TYPE_CHECKING:
    from types import ModuleType

ACCESS: Final = 3600  # seconds
REFRESH: Final = 30 * 86400  # seconds
_ALGORITHM: Final = "HS256"
_ISSUER: Final = "specrunner"


class Logins:
    """Gives out and reads the tokens of log-ins, JSON Web Tokens as the clients expect them."""

    def __init__(self, engine: Engine) -> None:
        self._key = engine.key_for("log-in")

    def granted(self, user: User) -> dict[str, Json]:
        """What a token endpoint answers to a log-in."""
        return {
            "access_token": self._token(user, "Bearer", ACCESS),
            "expires_in": ACCESS,
            "refresh_token": self._token(user, "Refresh", REFRESH),
            "refresh_expires_in": REFRESH,
            "token_type": "Bearer",
            "scope": "profile email",
        }

    def user_of(self, token: str) -> str | None:
        """The id of the user whose access token this is; None for anything else."""
        return self._read(token, "Bearer")

    def refreshed(self, token: str) -> str | None:
        """The id of the user whose refresh token this is; None for anything else."""
        return self._read(token, "Refresh")

    def _token(self, user: User, kind: str, seconds: int) -> str:
        now = int(time.time())
        claims = {
            "iss": _ISSUER,
            "sub": user.id,
            "email": user.email,
            "preferred_username": user.email,
            "typ": kind,
            "iat": now,
            "exp": now + seconds,
            "jti": secrets.token_hex(8),
        }
        return str(_jwt().encode(claims, self._key, _ALGORITHM))

    def _read(self, token: str, kind: str) -> str | None:
        if token.count(".") != 2:
            return None
        jwt = _jwt()
        try:
            claims = jwt.decode(
                token, self._key, [_ALGORITHM], issuer=_ISSUER, options={"require": ["exp", "sub", "typ"]}
            )
        except jwt.InvalidTokenError:
            return None
        return str(claims["sub"]) if claims["typ"] == kind else None


def _jwt() -> ModuleType:
    import jwt  # most engines have no log-in

    return jwt
