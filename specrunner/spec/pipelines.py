"""What is wrong with a pipeline's steps and validations that its schema can't say."""

from __future__ import annotations

from collections.abc import Iterator

from specrunner.core.expressions import BadExpression, parse_expression
from specrunner.core.values import JsonObject
from specrunner.spec.findings import Finding, Trail
from specrunner.spec.mistakes import Mistake


def pipeline_findings(spec: JsonObject) -> Iterator[Finding]:
    """Splits in which no model answers, shadows that can't be told apart, validations that can't be checked."""
    watching: set[str] = set()
    for index, step in enumerate(spec.get("steps", ())):
        trail: Trail = ("spec", "steps", index)
        if "split" in step and not any(arm["weight"] for arm in step["split"]):
            yield _no_weight((*trail, "split"))
        for place, name in enumerate(step.get("shadow", ())):
            if name in watching:
                yield _twice(
                    (*trail, "shadow", place), f"{name!r} is a shadow already", "A shadow's outputs go by its name."
                )
            watching.add(name)
    yield from _validations(spec)


def _validations(spec: JsonObject) -> Iterator[Finding]:
    names: set[str] = set()
    for index, validation in enumerate(spec.get("validations", ())):
        trail: Trail = ("spec", "validations", index)
        if validation["name"] in names:
            words = f"{validation['name']!r} names another validation already"
            yield _twice((*trail, "name"), words, "Each is counted in a column of its name.")
        names.add(validation["name"])
        try:
            parse_expression(validation["expression"])
        except BadExpression as error:
            yield Finding(
                (*trail, "expression"),
                str(error),
                error.detail,
                "Write a comparison of output columns, such as `out.price < 3000000`.",
                code=Mistake.BAD_EXPRESSION,
            )


def _no_weight(trail: Trail) -> Finding:
    return Finding(
        trail,
        "every arm of this split has the weight 0",
        "No model would ever answer.",
        "Give at least one arm a weight above 0.",
        at_key=True,
        code=Mistake.NO_WEIGHT,
    )


def _twice(trail: Trail, summary: str, detail: str) -> Finding:
    return Finding(trail, summary, detail, "Take it out here, or rename it.", code=Mistake.REPEATED_ITEM)
