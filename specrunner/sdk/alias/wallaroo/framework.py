"""The kinds of models under the tutorials' name of its module."""

from __future__ import annotations

from specrunner.sdk.framework import Framework

__all__ = ["Framework"]
