"""How each field behaves when it changes: a table, each row with its reason.

A path is dotted (`schedule.cron`); the longest row that is a prefix of it holds, and a field without a row is
changed in place. Top-level `metadata` stands for labels, description and protection.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from specrunner.core.keys import Kind


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


@dataclass(frozen=True, slots=True)
class Rule:
    """One row: the field, what changing it does, and why.

    `compared` is False for fields that do not count, `unordered` True for lists whose order says nothing,
    `derived` True for fields that no one writes: they follow from another file, which the reason names.
    """

    path: str
    action: Action
    reason: str
    compared: bool = True
    unordered: bool = False
    derived: bool = False


_DEFAULT = Rule("", Action.UPDATE, "changed in place")

RULES: Mapping[Kind, tuple[Rule, ...]] = {
    Kind.WORKSPACE: (),
    Kind.CONNECTION: (Rule("workspaces", Action.UPDATE, "attached or detached in place", unordered=True),),
    Kind.MODEL: (
        Rule("path", Action.NONE, "only the file's content counts, not its place in the repository", compared=False),
        Rule("sha", Action.UPLOAD, "new content is a new version of the model", derived=True),
        Rule("framework", Action.UPLOAD, "a version is loaded with the framework it was uploaded for"),
        Rule("requirements", Action.UPLOAD, "requirements are part of a version's identity"),
        Rule("inputs", Action.UPLOAD, "the schema belongs to the version"),
        Rule("outputs", Action.UPLOAD, "the schema belongs to the version"),
    ),
    Kind.PIPELINE: (
        Rule("steps", Action.REDEPLOY, "other steps are a new version of the pipeline"),
        Rule("modelShas", Action.REDEPLOY, "a model of it has a new version", derived=True),
        Rule("resources", Action.REDEPLOY, "resources belong to a deployment"),
        Rule("validations", Action.REDEPLOY, "validations belong to a version"),
    ),
    Kind.ORCHESTRATION: (
        Rule("source", Action.NONE, "only the bundle's content counts, not its place", compared=False),
        Rule("include", Action.NONE, "only the bundle's content counts", compared=False),
        Rule("exclude", Action.NONE, "only the bundle's content counts", compared=False),
        Rule("sha", Action.UPLOAD, "new content is a new version of the orchestration", derived=True),
        Rule("python", Action.UPLOAD, "a version is packaged for one Python"),
    ),
    Kind.TASK: (
        Rule("orchestration", Action.RUN, "another orchestration is another order"),
        Rule("orchestrationSha", Action.RUN, "the orchestration has a new version", derived=True),
        Rule("args", Action.RUN, "other arguments are another order"),
        Rule("env", Action.RUN, "another environment is another order"),
        Rule("secretEnv", Action.RUN, "another environment is another order"),
        Rule("timeout", Action.RUN, "another time limit is another order"),
        Rule("retries", Action.RUN, "another retry rule is another order"),
        Rule("resources", Action.RUN, "other resources are another order"),
        Rule("workspaces", Action.RUN, "other workspaces to use are another order", unordered=True),
        Rule("executor", Action.RUN, "another executor is another order"),
        Rule("history", Action.UPDATE, "it only says how many records are kept"),
        Rule("schedule", Action.RESCHEDULE, "it runs at other times; what was missed before is not made up"),
        Rule("service", Action.RESCHEDULE, "the service starts anew"),
    ),
}


@functools.lru_cache(maxsize=10_000)
def rule_for(kind: Kind, path: str) -> Rule:
    """The row that holds for a dotted path."""
    matching = [rule for rule in RULES[kind] if path == rule.path or path.startswith(rule.path + ".")]
    return max(matching, key=lambda rule: len(rule.path), default=_DEFAULT)
