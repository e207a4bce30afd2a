"""The client under the tutorials' name of its module."""

from __future__ import annotations

from specrunner.sdk.client import Client

__all__ = ["Client"]
