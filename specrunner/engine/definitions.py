"""What the rows of models and pipelines say, in the words of specs: for who shows them and serves none.

The services and a look at the store (`looking`) both read with these, and it loads no library.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from specrunner.core.resources import content_identity
from specrunner.core.values import Json, JsonObject
from specrunner.engine.serving.steps import models_of, read_steps, spec_step

__all__ = ["PLAIN_MODEL", "identities", "models_of", "spec_steps"]

PLAIN_MODEL: Final[JsonObject] = {"framework": "onnx"}  # the configuration of a model that is its bytes alone


def spec_steps(definition: JsonObject) -> list[dict[str, Json]]:
    """The steps of a definition as a spec says them. Raises BadInput for one that is not served."""
    return [spec_step(step) for step in read_steps(definition)]


def identities(versions: Iterable[tuple[str, str, JsonObject]]) -> dict[str, str]:
    """Of versions of models (UUID, sha, configuration) what they are, by UUID, for those that are more than bytes."""
    found = ((version, sha, content_identity(sha, config)) for version, sha, config in versions)
    return {version: identity for version, sha, identity in found if identity != sha}
