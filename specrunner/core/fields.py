"""How each field behaves when it changes: a table, each row with its reason.

A path is dotted (`schedule.cron`); the longest row that is a prefix of it holds, and a field without a row is
changed in place. Top-level `metadata` stands for labels, description and protection. What a server fills in where no
file names a field counts nowhere and needs no row.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Flag, StrEnum, auto
from typing import Final

from specrunner.core.keys import Kind
from specrunner.core.values import Json, canonical, parse_duration, parse_size


class Action(StrEnum):
    """What a step does, from the mildest to the gravest; the worst field decides the step."""

    NONE = "none"  # nothing, only the ordering or a notice refers to it
    ADOPT = "adopt"  # take over an object that nobody owns
    UPDATE = "update"  # change in place
    RUN = "run"  # start a run of a run-once task
    RESCHEDULE = "reschedule"  # change when it runs; missed instants are not made up
    UPLOAD = "upload"  # a new version of the same object, from new bytes
    REDEPLOY = "redeploy"  # a new version of a pipeline; a running one is exchanged
    REPLACE = "replace"  # delete and create anew
    KILL = "kill"  # stop what runs, keep the object
    DELETE = "delete"  # remove it; what runs of it is killed first
    CREATE = "create"  # it is not there yet

    @property
    def severity(self) -> int:
        """Position in the order above."""
        return _SEVERITY[self]


_SEVERITY = {action: rank for rank, action in enumerate(Action)}


class Trait(Flag):
    """How a field is compared, beside what changing it does."""

    UNORDERED = auto()  # a list whose order says nothing
    DERIVED = auto()  # no one writes it: it follows from another file, which the reason names
    IGNORED = auto()  # it counts when the object is made; once it is live, neither side of it is compared
    WRITE_ONLY = auto()  # the target takes it and never tells it: what was applied counts as live
    VOLATILE = auto()  # it moves by itself on the target: what was applied counts as live
    DEFAULTED = auto()  # where no file names it the target chooses, and chooses as it likes
    DURATION = auto()  # a target may tell it in its own writing, `60s` or `1m0s` for 60
    SIZE = auto()  # likewise, `512Mi` for 536870912
    NUMBER = auto()  # likewise, `"2"` or `"2.0"` for 2


VERBATIM: Final = frozenset({"args", "env", "details"})  # their content means something to the user's code only
PLAIN: Final = Trait(0)
NORMALISED: Final = Trait.DURATION | Trait.SIZE | Trait.NUMBER
UNTOLD: Final = Trait.WRITE_ONLY | Trait.VOLATILE
_FLAGS: Final[Mapping[str, Trait]] = {
    "unordered": Trait.UNORDERED,
    "derived": Trait.DERIVED,
    "untold": UNTOLD,
    "shaped": NORMALISED | Trait.UNORDERED,
}


@dataclass(frozen=True, slots=True)
class Rule:
    """One row: the field, what changing it does, why, and how it is compared.

    `off` is what turning it off does, from true to false, where that is something else. What follows the traits is
    read off them, once: these are asked for every field of every object.
    """

    path: str
    action: Action
    reason: str
    traits: Trait = PLAIN
    off: Action | None = None
    compared: bool = field(init=False)  # a difference counts at all
    unordered: bool = field(init=False)
    derived: bool = field(init=False)
    untold: bool = field(init=False)  # what was applied counts as live, whatever the target tells
    shaped: bool = field(init=False)  # a value has several writings that mean the same

    def __post_init__(self) -> None:
        """Read the traits."""
        for name, traits in _FLAGS.items():
            object.__setattr__(self, name, bool(self.traits & traits))
        object.__setattr__(self, "compared", not self.traits & Trait.IGNORED)


_DEFAULT = Rule("", Action.UPDATE, "changed in place")

RULES: Mapping[Kind, tuple[Rule, ...]] = {
    Kind.WORKSPACE: (),
    Kind.CONNECTION: (
        Rule("type", Action.REPLACE, "another type is another connection"),
        Rule("workspaces", Action.UPDATE, "attached or detached in place", Trait.UNORDERED),
        Rule("detailsFrom", Action.UPDATE, "a target never tells where a secret came from", Trait.WRITE_ONLY),
    ),
    Kind.MODEL: (
        Rule("path", Action.NONE, "only the file's content counts, not its place in the repository", Trait.IGNORED),
        Rule("sha", Action.UPLOAD, "new content is a new version of the model", Trait.DERIVED),
        Rule("framework", Action.UPLOAD, "a version is loaded with the framework it was uploaded for"),
        Rule("requirements", Action.UPLOAD, "requirements are part of a version's identity"),
        Rule("timeout", Action.UPLOAD, "its time limit belongs to the version", Trait.DURATION),
        Rule("inputs", Action.UPLOAD, "the schema belongs to the version"),
        Rule("outputs", Action.UPLOAD, "the schema belongs to the version"),
    ),
    Kind.PIPELINE: (
        Rule("deployed", Action.UPDATE, "it stops what runs, and keeps the object", Trait.DEFAULTED, off=Action.KILL),
        Rule("steps", Action.REDEPLOY, "other steps are a new version of the pipeline"),
        Rule("modelShas", Action.REDEPLOY, "a model of it has a new version", Trait.DERIVED),
        Rule("resources", Action.REDEPLOY, "resources belong to a deployment"),
        Rule("resources.replicas", Action.REDEPLOY, "replicas belong to a deployment", Trait.NUMBER),
        Rule("resources.cpus", Action.REDEPLOY, "resources belong to a deployment", Trait.DEFAULTED | Trait.NUMBER),
        Rule("resources.memory", Action.REDEPLOY, "resources belong to a deployment", Trait.DEFAULTED | Trait.SIZE),
        Rule("validations", Action.REDEPLOY, "validations belong to a version"),
        Rule("log.retention", Action.UPDATE, "it only says how long records are kept", Trait.DURATION),
        Rule("log.maxSize", Action.UPDATE, "it only says how many records are kept", Trait.DEFAULTED | Trait.SIZE),
    ),
    Kind.ORCHESTRATION: (
        Rule("source", Action.NONE, "only the bundle's content counts, not its place", Trait.IGNORED),
        Rule("include", Action.NONE, "only the bundle's content counts", Trait.IGNORED),
        Rule("exclude", Action.NONE, "only the bundle's content counts", Trait.IGNORED),
        Rule("sha", Action.UPLOAD, "new content is a new version of the orchestration", Trait.DERIVED),
        Rule("python", Action.UPLOAD, "a version is packaged for one Python", Trait.DEFAULTED),
    ),
    Kind.TASK: (
        Rule("orchestration", Action.UPDATE, "only the content of an orchestration makes another order, not its name"),
        Rule("orchestrationSha", Action.RUN, "the orchestration has a new version", Trait.DERIVED),
        Rule("args", Action.RUN, "other arguments are another order"),
        Rule("env", Action.RUN, "another environment is another order"),
        Rule("secretEnv", Action.RUN, "another environment is another order", Trait.WRITE_ONLY),
        Rule("timeout", Action.RUN, "another time limit is another order", Trait.DURATION),
        Rule("retries", Action.RUN, "another retry rule is another order"),
        Rule("retries.limit", Action.RUN, "another retry rule is another order", Trait.NUMBER),
        Rule("retries.backoff", Action.RUN, "another retry rule is another order", Trait.DURATION),
        Rule("resources", Action.RUN, "other resources are another order"),
        Rule("resources.cpus", Action.RUN, "other resources are another order", Trait.DEFAULTED | Trait.NUMBER),
        Rule("resources.memory", Action.RUN, "other resources are another order", Trait.DEFAULTED | Trait.SIZE),
        Rule("workspaces", Action.UPDATE, "what its code may use is no part of the order", Trait.UNORDERED),
        Rule("executor", Action.RUN, "another executor is another order", Trait.DEFAULTED),
        Rule("history", Action.UPDATE, "it only says how many records are kept"),
        Rule("schedule", Action.RESCHEDULE, "it runs at other times; what was missed before is not made up"),
        Rule("schedule.startingDeadline", Action.RESCHEDULE, "it starts late at other times", Trait.DURATION),
        Rule("schedule.jitter", Action.RESCHEDULE, "it starts at other times", Trait.DURATION),
        Rule("service", Action.RESCHEDULE, "the service starts anew"),
        Rule("service.port", Action.RESCHEDULE, "the service starts anew", Trait.DEFAULTED | Trait.NUMBER),
    ),
}


@functools.lru_cache(maxsize=10_000)
def rule_for(kind: Kind, path: str) -> Rule:
    """The row that holds for a dotted path."""
    matching = [rule for rule in RULES[kind] if path == rule.path or path.startswith(rule.path + ".")]
    return max(matching, key=lambda rule: len(rule.path), default=_DEFAULT)


@functools.cache
def shaped_rules(kind: Kind) -> tuple[tuple[tuple[str, ...], Rule], ...]:
    """The rows whose values have several writings, with their paths."""
    return tuple((tuple(rule.path.split(".")), rule) for rule in RULES[kind] if rule.shaped)


@functools.cache
def untold_rules(kind: Kind) -> tuple[str, ...]:
    """The paths at which what was applied counts as live."""
    return tuple(rule.path for rule in RULES[kind] if rule.untold)


def plain(rule: Rule, value: Json) -> Json:
    """The one writing of a value; what can't be read stays as it is, and so is seen as a difference."""
    if not rule.shaped:
        return value
    if rule.unordered and isinstance(value, list | tuple):
        return sorted(value, key=canonical)
    if not isinstance(value, str):
        return value
    for trait, parse in _PARSERS.items():
        if rule.traits & trait:
            try:
                return parse(value)
            except ValueError:
                return value
    return value


_PARSERS: Mapping[Trait, Callable[[str], Json]] = {
    Trait.DURATION: parse_duration,
    Trait.SIZE: parse_size,
    Trait.NUMBER: float,
}
