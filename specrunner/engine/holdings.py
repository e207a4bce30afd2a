"""All that a state folder holds of objects, as of one instant: what a target shows of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from specrunner.core.keys import Key
from specrunner.core.values import JsonObject
from specrunner.engine.records import Connection, Deployment, ModelVersion, Orchestration, Ownership, Pipeline, Task


@dataclass(frozen=True, slots=True)
class Holdings:
    """Every object that there is, and whose they are.

    `workspaces` are names by id, `details` those of connections by name that are no secrets, `models` the newest
    version of each, `deployments` by the id of their pipeline, `orchestrations` every version, newest first. `intents`
    are, by the id of a task and by intent, the state of the last run of that intent.
    """

    owners: Mapping[Key, Ownership] = field(default_factory=dict)
    workspaces: Mapping[int, str] = field(default_factory=dict)
    connections: Sequence[Connection] = ()
    details: Mapping[str, JsonObject] = field(default_factory=dict)
    models: Sequence[ModelVersion] = ()
    pipelines: Sequence[Pipeline] = ()
    deployments: Mapping[int, Deployment] = field(default_factory=dict)
    orchestrations: Sequence[Orchestration] = ()
    tasks: Sequence[Task] = ()
    intents: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
