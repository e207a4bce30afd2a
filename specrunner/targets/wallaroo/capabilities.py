"""What specs can say and the platform's API has no words for, each found at its place before anything is written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from specrunner.core.errors import Diagnostic, Severity
from specrunner.core.fields import plain, rule_for
from specrunner.core.keys import Kind
from specrunner.core.resources import Resource
from specrunner.core.sides import at
from specrunner.core.values import Json, is_nothing

# Fields without words on the platform, with the values that ask for nothing more than what it does anyway.
_SILENT: Final[Mapping[Kind, Mapping[str, tuple[Json, ...]]]] = {
    Kind.WORKSPACE: {},
    Kind.CONNECTION: {},
    Kind.MODEL: {"inputs": (), "outputs": (), "timeout": ()},
    Kind.PIPELINE: {
        "validations": (),
        "log": (),
        "resources.replicas": (1,),
        "resources.cpus": (),
        "resources.memory": (),
    },
    Kind.ORCHESTRATION: {"python": ()},
    Kind.TASK: {
        "service": (),
        "schedule.timezone": ("UTC",),
        "schedule.overlap": ("skip",),
        "schedule.catchUp": ("latest",),
        "schedule.startingDeadline": (3600,),
        "schedule.jitter": (0,),
        "schedule.suspend": (False,),
        "schedule.from": (),
        "schedule.until": (),
        "retries.limit": (0,),
        "env": (),
        "secretEnv": (),
        "resources": (),
        "workspaces": (),
        "executor": ("local",),
        "history": ({"succeeded": 10, "failed": 10},),
    },
}
_REMEDY: Final = "Leave it out, or write `onUnsupported: warn` in the target to go on without it."


def unsupported(resources: Iterable[Resource], place: str) -> list[Diagnostic]:
    """Everything that these declare and the platform called `place` can't express."""
    return [problem for resource in resources for problem in _of(resource, place)]


def as_warnings(problems: Iterable[Diagnostic]) -> list[Diagnostic]:
    """The same as what is left out, for who wants to go on."""
    return [
        Diagnostic(
            f"{one.summary} It is left out.", one.detail, place=one.place, source=one.source, severity=Severity.WARNING
        )
        for one in problems
    ]


def _of(resource: Resource, place: str) -> Iterator[Diagnostic]:
    def problem(trail: tuple[str, ...], detail: str = "") -> Diagnostic:
        where = resource.locate(trail) if resource.locate is not None else resource.place
        words = f"{resource.key}: {place} has no words for `{'.'.join(trail)}`."
        return Diagnostic(words, detail, _REMEDY, where)

    for path, usual in _SILENT[resource.key.kind].items():
        parts = tuple(path.split("."))
        value = plain(rule_for(resource.key.kind, path), at(resource.spec, parts))
        if not is_nothing(value) and value not in usual:
            yield problem(("spec", *parts))
    for name, words in _METADATA.items():
        if detail := words(resource):
            yield problem(("metadata", name), detail)
    if resource.key.kind is Kind.PIPELINE and not all(step.keys() == {"model"} for step in resource.spec["steps"]):
        yield problem(("spec", "steps"), "A step runs one model here; it neither splits nor shadows.")


_METADATA: Final[Mapping[str, Callable[[Resource], str]]] = {
    "labels": lambda one: "Objects of the platform have no labels." if one.labels else "",
    "protect": lambda one: "The platform lets everybody remove what they may use." if one.protect else "",
    "renamedFrom": lambda one: "An object of the platform keeps its name." if one.renamed_from is not None else "",
}
