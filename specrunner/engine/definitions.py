"""What the definition of a pipeline says, in the words of specs: for who shows pipelines and serves none."""

from __future__ import annotations

from specrunner.core.values import Json, JsonObject
from specrunner.engine.serving.steps import models_of, read_steps, spec_step

__all__ = ["models_of", "spec_steps"]


def spec_steps(definition: JsonObject) -> list[dict[str, Json]]:
    """The steps of a definition as a spec says them. Raises BadInput for one that is not served."""
    return [spec_step(step) for step in read_steps(definition)]
