"""All that a state folder holds of objects, as of one instant: what a target shows of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from specrunner.core.keys import Key, Kind
from specrunner.core.values import JsonObject
from specrunner.engine.records import Connection, Deployment, ModelVersion, Orchestration, Ownership, Pipeline, Task

if TYPE_CHECKING:
    from specrunner.engine.engine import Engine
    from specrunner.engine.records import Run


@dataclass(frozen=True, slots=True)
class Holdings:
    """Every object that there is, and whose they are.

    `workspaces` are names by id, `details` those of connections by name that are no secrets. `models` are the newest
    version of each, `in_force` by a model's id the one that can be deployed where that isn't the newest, `identities`
    by a version's UUID what it is where that is more than its bytes. `deployments` are by the id of their pipeline,
    `orchestrations` every version, newest first. `intents` are, by the id of a task and by intent, the state of the
    last run of that intent; `left` those of owned tasks that are gone, by their keys. `held` are the fingerprints of
    the secrets that are stored now, where some were applied.
    """

    owners: Mapping[Key, Ownership] = field(default_factory=dict)
    workspaces: Mapping[int, str] = field(default_factory=dict)
    connections: Sequence[Connection] = ()
    details: Mapping[str, JsonObject] = field(default_factory=dict)
    models: Sequence[ModelVersion] = ()
    in_force: Mapping[int, ModelVersion] = field(default_factory=dict)
    identities: Mapping[str, str] = field(default_factory=dict)
    pipelines: Sequence[Pipeline] = ()
    deployments: Mapping[int, Deployment] = field(default_factory=dict)
    orchestrations: Sequence[Orchestration] = ()
    tasks: Sequence[Task] = ()
    intents: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    left: Mapping[Key, Mapping[str, str]] = field(default_factory=dict)
    held: Mapping[Key, Mapping[str, str]] = field(default_factory=dict)


def held_by(engine: Engine) -> Holdings:
    """What an open engine holds."""

    def observed(runs: Mapping[str, Run]) -> dict[str, str]:
        return {intent: str(engine.runs.observed(run)) for intent, run in runs.items()}

    with engine.snapshot():
        owners, tasks, models = engine.ownership.all(), engine.tasks.all(), engine.models.all()
        gone = {key for key in owners if key.kind is Kind.TASK} - {task.key for task in tasks}
        return Holdings(
            owners=owners,
            workspaces={found.id: found.name for found in engine.workspaces.all()},
            connections=engine.connections.all(),
            details=engine.connections.all_open_details(),
            models=models,
            in_force=engine.models.all_in_force(models),
            identities=engine.models.identities(),
            pipelines=engine.pipelines.all(),
            deployments={found.pipeline_id: found for found in engine.deployments.all()},
            orchestrations=engine.orchestrations.all(),
            tasks=tasks,
            intents={task: observed(runs) for task, runs in engine.history.last_per_intent().items()},
            left={key: observed(engine.history.intents_left(str(key))) for key in gone},
            held=engine.prints.all(owners),
        )
