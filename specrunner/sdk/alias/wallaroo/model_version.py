"""The version of a model under the tutorials' name of its module."""

from __future__ import annotations

from specrunner.sdk.models import ModelVersion

__all__ = ["ModelVersion"]
