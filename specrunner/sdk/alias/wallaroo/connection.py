"""The connection and its list under the tutorials' name of its module."""

from __future__ import annotations

from specrunner.sdk.connections import Connection, ConnectionList

__all__ = ["Connection", "ConnectionList"]
