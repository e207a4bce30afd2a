"""The version of a model under the older tutorials' name."""

from __future__ import annotations

from specrunner.sdk.models import ModelVersion as Model

__all__ = ["Model"]
