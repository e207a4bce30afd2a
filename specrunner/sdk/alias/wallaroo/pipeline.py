"""The pipeline and its list under the tutorials' name of its module."""

from __future__ import annotations

from specrunner.sdk.pipelines import Pipeline, PipelineList

__all__ = ["Pipeline", "PipelineList"]
