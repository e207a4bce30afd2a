"""Tags under the name that tutorials know."""

from __future__ import annotations

from specrunner.sdk.tags import Tag

__all__ = ["Tag"]
