"""Custom JSON through the steps of a pipeline: a value in, a list of objects out, each step's being the next one's
question.

A split chooses one model for the whole value, by weight, or by what the value has under the split's key. Shadows are
asked too and logged. Validations are about columns, and custom JSON has none.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from specrunner.core.errors import BadInput, SpecrunnerError
from specrunner.core.values import Json
from specrunner.engine.ports import LoadedModel, TakesJson
from specrunner.engine.serving.splits import SPLIT_COLUMN

if TYPE_CHECKING:
    from specrunner.engine.serving.dataplane import Step

_TABLES = "Send a pandas.DataFrame or a pyarrow.Table."
_logger = logging.getLogger(__name__)

Logged = dict[str, str | None]  # texts by column


def answer_json(steps: Sequence[Step], value: Json, aside: Collection[str]) -> tuple[Json, Logged]:
    """The last step's answer, and what is logged of it and beside it.

    The keys in `aside` are for splits alone, no model gets them. Raises BadInput where a step takes tables only, and
    where the value lacks what a split goes by.
    """
    beside: Logged = {}
    label: str | None = None
    current = {key: one for key, one in value.items() if key not in aside} if isinstance(value, dict) else value
    for number, step in enumerate(steps, 1):
        model, label = _answering(step, value)
        beside |= {f"out_{name}.json": _shadowed(name, shadow, current) for name, shadow in step.shadows.items()}
        current = _taking(step.name, model).predict_json(current)
        if label is not None and number < len(steps):
            beside[f"out_{step.name}.{SPLIT_COLUMN}"], label = label, None
    told = {} if label is None else {f"out.{SPLIT_COLUMN}": label}
    return current, {"in.json": json.dumps(value), "out.json": json.dumps(current), **told, **beside}


def _answering(step: Step, value: Json) -> tuple[LoadedModel, str | None]:
    """The model that answers the whole value, and what is told of it where it was chosen."""
    split = step.split
    if split is None:
        return step.model, None
    if split.key is None:
        return split.pick(None)
    found = value.get(split.key) if isinstance(value, dict) else None
    if found is None or isinstance(found, dict | list):
        raise BadInput(
            f"The custom JSON has no `{split.key}` with one value",
            f"The step {step.name!r} chooses the model by it, one for the whole value.",
            f"Send an object with the key `{split.key}`, a text or a number.",
        )
    return split.pick(found)


def _taking(name: str, model: LoadedModel) -> TakesJson:
    if isinstance(model, TakesJson):
        return model
    raise BadInput(
        f"The model {name!r} takes tables, not custom JSON.",
        "Custom JSON (a dict in, a list of dicts out) is for pipelines of Python models.",
        _TABLES,
    )


def _shadowed(name: str, model: LoadedModel, value: Json) -> str | None:
    """What a shadow answers, as it is logged; what goes wrong in it never reaches who asked."""
    try:
        return json.dumps(_taking(name, model).predict_json(value))
    except SpecrunnerError as error:
        _logger.warning("shadow model failed: %s", error.summary, extra={"action": "shadow", "model": name})
        return None
