"""The steps of a pipeline's definition, as the platform API writes them, read once and then known as plain values.

Served are these step objects, alone or one after another:

* `ModelInference` of one model;
* `ModelInference` of several, then `AuditResults` from 1, then perhaps `MultiOut`: the first model answers, the
  others run beside it and are logged (a shadow deployment);
* `ModelInference` of several, then `Nth`: the model at that index answers, the others do not run;
* `RandomSplit`: one of several models answers, by weight, with a `hash_key` the same one for equal values;
* `MetaValueSplit`: the model of the value that a request has under `split_key`, else the control.

Every other step object is refused by its name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

from specrunner.core.errors import BadInput
from specrunner.core.values import Json, JsonObject
from specrunner.engine.records import ModelVersion

_BESIDE = "AuditResults"
_ALL_OUT = "MultiOut"
_PICK = "Nth"


@dataclass(frozen=True, slots=True)
class ModelRef:
    """A model's version as a definition names it; `version` is its UUID."""

    name: str
    version: str
    sha: str = ""


NewestModel = Callable[[str], ModelVersion]


@dataclass(frozen=True, slots=True)
class ByWeight:
    """Each request goes to a model by weight; with a `key`, rows with equal values in that column to equal models."""

    weights: tuple[float, ...]
    key: str | None = None


@dataclass(frozen=True, slots=True)
class ByValue:
    """The value in the column `key` says which model, by its place among the step's; others go to the first."""

    key: str
    routes: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class StepPlan:
    """One step: the models that may answer, how one of them is chosen where there are several, and the shadows."""

    models: tuple[ModelRef, ...]
    choice: ByWeight | ByValue | None = None
    shadows: tuple[ModelRef, ...] = field(default=())

    @property
    def all_models(self) -> tuple[ModelRef, ...]:
        """Those that may answer, then those that only watch."""
        return (*self.models, *self.shadows)


def read_steps(definition: JsonObject) -> list[StepPlan]:
    """The steps of a definition, none for an empty one.

    Raises BadInput for what is no step, and naming it for one that is not served.
    """
    found = definition.get("steps") or ()
    if not isinstance(found, list | tuple):
        raise BadInput(f"The steps of a pipeline must be a list; {type(found).__name__} came.")
    rest = [_named(step) for step in found]
    plans = []
    while rest:
        plan, used = _next_step(rest)
        plans.append(plan)
        rest = rest[used:]
    _check_shadow_names(plans)
    return plans


def models_of(definition: JsonObject) -> list[ModelRef]:
    """Every model of a definition, in order of steps, each once."""
    return list(dict.fromkeys(model for plan in read_steps(definition) for model in plan.all_models))


def write_step(step: JsonObject, model: NewestModel) -> list[dict[str, Json]]:
    """The step objects of a step of a spec; `model` tells the version in force of a model."""
    if "split" in step:
        arms = [{"model": _entry(model(arm["model"])), "weight": arm["weight"]} for arm in step["split"]]
        return [{"RandomSplit": {"hash_key": step.get("by"), "weights": arms}}]
    names = [step["model"], *step.get("shadow", ())]
    inference: dict[str, Json] = {"ModelInference": {"models": [_entry(model(name)) for name in names]}}
    beside: list[dict[str, Json]] = [{_BESIDE: {"from": 1, "to": None}}, {_ALL_OUT: {}}]
    return [inference, *(beside if len(names) > 1 else ())]


def spec_step(plan: StepPlan) -> dict[str, Json]:
    """A step as a spec says it. A split by value has no words there: it reads `{model, by, routes}`."""
    first = plan.models[0].name
    if isinstance(plan.choice, ByWeight):
        pairs = zip(plan.models, plan.choice.weights, strict=True)
        split: dict[str, Json] = {"split": [{"model": model.name, "weight": weight} for model, weight in pairs]}
        return split | ({"by": plan.choice.key} if plan.choice.key is not None else {})
    if isinstance(plan.choice, ByValue):
        routes = {value: plan.models[place].name for value, place in plan.choice.routes.items()}
        return {"model": first, "by": plan.choice.key, "routes": routes}
    return {"model": first} | ({"shadow": [model.name for model in plan.shadows]} if plan.shadows else {})


def renamed_model(found: Json, old: str, new: str) -> Json:
    """A step object, or any part of one, with another name for a model."""
    if isinstance(found, list):
        return [renamed_model(part, old, new) for part in found]
    if not isinstance(found, dict):
        return found
    if isinstance(found.get("name"), str) and isinstance(found.get("version"), str):
        return {**found, "name": new if found["name"] == old else found["name"]}
    return {name: renamed_model(part, old, new) for name, part in found.items()}


_Named = tuple[str, Mapping[str, Any]]


def _named(step: object) -> _Named:
    """A step object's name and content."""
    if isinstance(step, dict) and len(step) == 1:
        ((name, content),) = step.items()
        if isinstance(name, str) and isinstance(content, dict):
            return name, content
    raise BadInput(
        f"The step {_shown(step)} is no step of a pipeline.",
        detail="A step is an object with one name, such as {'ModelInference': {'models': [...]}}.",
        remedy="Build the steps with `pipeline.add_model_step(model)`, or declare them in a spec.",
    )


def _next_step(rest: Sequence[_Named]) -> tuple[StepPlan, int]:
    """The step that these objects begin with, and how many of them it takes."""
    name, content = rest[0]
    if name == "ModelInference":
        return _inference(content, rest[1:])
    if name == "RandomSplit":
        return _random_split(content), 1
    if name == "MetaValueSplit":
        return _value_split(content), 1
    raise BadInput(
        f"The step {name!r} can't be served here.",
        detail="Served are ModelInference, with AuditResults and MultiOut or with Nth where it has several models, "
        "RandomSplit and MetaValueSplit.",
        remedy="Write `validations` in the pipeline's spec." if name == "Check" else "Do it in the model itself.",
    )


def _inference(content: Mapping[str, Any], rest: Sequence[_Named]) -> tuple[StepPlan, int]:
    models = _models(content.get("models"), "ModelInference")
    if len(models) == 1:
        return StepPlan(models), 1
    after = [name for name, _ in rest[:2]]
    if after[:1] == [_BESIDE]:
        _check_audit(rest[0][1])
        return StepPlan(models[:1], shadows=models[1:]), 3 if after == [_BESIDE, _ALL_OUT] else 2
    if after[:1] == [_PICK]:
        index = rest[0][1].get("index")
        if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < len(models):
            raise BadInput(f"Nth has the index {_shown(index)}; the step before it has {len(models)} models.")
        return StepPlan((models[index],)), 2
    raise BadInput(
        f"A ModelInference of {len(models)} models does not say which of them answers.",
        detail=f"Next comes {after[0] if after else 'nothing'}.",
        remedy="Let AuditResults from 1 follow (the others are shadows) or Nth (one is picked), or use RandomSplit.",
    )


def _check_audit(content: Mapping[str, Any]) -> None:
    if content.get("from") != 1 or content.get("to") is not None:
        raise BadInput(
            f"AuditResults from {_shown(content.get('from'))} to {_shown(content.get('to'))} can't be served here.",
            detail="The first model answers, and all others are logged: from 1, to null.",
        )


def _random_split(content: Mapping[str, Any]) -> StepPlan:
    arms, key = content.get("weights"), content.get("hash_key")
    if not isinstance(arms, list) or not arms or not all(isinstance(arm, dict) for arm in arms):
        raise BadInput("RandomSplit needs `weights`, a list with a model and its weight in each item.")
    weights = tuple(_weight(arm.get("weight")) for arm in arms)
    if not sum(weights):
        raise BadInput("Every weight of a RandomSplit is 0.", detail="No model would ever answer.")
    models = tuple(_model(arm.get("model"), "RandomSplit") for arm in arms)
    return StepPlan(models, ByWeight(weights, None if key is None else _key(key, "RandomSplit")))


def _weight(found: object) -> float:
    if isinstance(found, bool) or not isinstance(found, int | float) or not isfinite(found) or found < 0:
        raise BadInput(f"A weight of a RandomSplit must be a number from 0 on; {_shown(found)} came.")
    return found


def _value_split(content: Mapping[str, Any]) -> StepPlan:
    routes = content.get("routes")
    if not isinstance(routes, dict) or not all(isinstance(value, str) for value in routes):
        raise BadInput("MetaValueSplit needs `routes`, an object with a model for each value.")
    key = _key(content.get("split_key"), "MetaValueSplit")
    models = [_model(content.get("control"), "MetaValueSplit")]
    models += [_model(model, "MetaValueSplit") for model in routes.values()]
    return StepPlan(tuple(models), ByValue(key, {value: place for place, value in enumerate(routes, 1)}))


def _key(found: object, step: str) -> str:
    if not isinstance(found, str) or not found:
        raise BadInput(f"The key of a {step} must be the name of a column; {_shown(found)} came.")
    return found


def _models(found: object, step: str) -> tuple[ModelRef, ...]:
    if not isinstance(found, list | tuple) or not found:
        raise BadInput(f"{step} needs `models`, a list with one model at least.")
    return tuple(_model(one, step) for one in found)


def _model(found: object, step: str) -> ModelRef:
    """A model of a definition, as far as anybody may send anything."""
    if isinstance(found, dict) and all(isinstance(found.get(name), str) for name in ("name", "version")):
        return ModelRef(found["name"], found["version"], str(found.get("sha") or ""))
    raise BadInput(
        f"{step} has {_shown(found)} where a model belongs.",
        detail="A model is named by `name`, `version` (its UUID) and `sha`.",
    )


def _entry(model: ModelRef | ModelVersion) -> dict[str, Json]:
    return {"name": model.name, "version": model.version, "sha": model.sha}


def _check_shadow_names(plans: Sequence[StepPlan]) -> None:
    """Their outputs are told apart by the names of their models."""
    names = [model.name for plan in plans for model in plan.shadows]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise BadInput(
            f"The model {twice[0]!r} is a shadow more than once.",
            detail="The outputs of a shadow are logged under its name.",
            remedy="Upload the other version under another name, or leave it out.",
        )


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 100 else f"{text[:100]}..."
