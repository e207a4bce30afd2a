"""Users under the name that tutorials know."""

from __future__ import annotations

from specrunner.sdk.users import User

__all__ = ["User"]
