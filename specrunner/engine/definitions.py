"""What the definition of a pipeline says, as the platform API writes it."""

from __future__ import annotations

from typing import Any

from specrunner.core.errors import BadInput
from specrunner.core.values import JsonObject


def model_names(definition: JsonObject) -> list[str]:
    """The names of the models in a definition, in order of steps."""
    return [model["name"] for model in step_models(definition)]


def step_models(definition: JsonObject) -> list[dict[str, Any]]:
    """The model of each step: `name`, `version`, `sha`.

    Raises BadInput for a step that is no plain inference of one model; nothing else can be deployed.
    """
    found = []
    steps = definition.get("steps") or ()
    if not isinstance(steps, list | tuple):
        raise BadInput(f"The steps of a pipeline must be a list; {type(steps).__name__} came.")
    for step in steps:
        model = _only_model(step)
        if model is None:
            raise BadInput(
                f"The step {step!r} can't be deployed.",
                detail="Each step must be the inference of one model: {'ModelInference': {'models': [one]}}.",
                remedy="Split and shadow steps are not supported; use one pipeline per model.",
            )
        found.append(model)
    return found


def _only_model(step: object) -> dict[str, Any] | None:
    """The model of a step that is the inference of one, as far as anybody may send anything; None for others."""
    inference = step.get("ModelInference") if isinstance(step, dict) else None
    models = inference.get("models") if isinstance(inference, dict) else None
    model = models[0] if isinstance(models, list | tuple) and len(models) == 1 else None
    known = isinstance(model, dict) and all(isinstance(model.get(name), str) for name in ("name", "version"))
    return dict(model) if known and isinstance(model, dict) else None
