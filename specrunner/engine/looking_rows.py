"""All that a state folder holds, by plain SQL and no more than SQLite, for who only looks; see `looking`.

Each function reads one table, or a few that belong together, as the service of that noun would.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any, Final

from specrunner.core.keys import Key, Kind
from specrunner.core.lifecycle import ModelState, OrchestrationState, RunState, TaskState
from specrunner.core.resources import Owner
from specrunner.core.values import JsonObject, parse_iso
from specrunner.engine import sealed
from specrunner.engine.definitions import PLAIN_MODEL, identities
from specrunner.engine.holdings import Holdings
from specrunner.engine.records import (
    Connection,
    Deployment,
    ModelVersion,
    Orchestration,
    Ownership,
    Pipeline,
    PipelineVersion,
    Task,
)
from specrunner.engine.store.columns import decoded
from specrunner.engine.vault import Vault

_Row = tuple[Any, ...]
Ask = Callable[..., Iterable[_Row]]  # SQL and its values
_States = dict[str, dict[str, str]]  # by intent
_CONNECTIONS: Final = "select name, details from connections"
_TASKS: Final = "select w.name, t.name, t.secret_env from tasks t join workspaces w on w.id = t.workspace_id"


def holdings(ask: Ask, vault: Vault) -> Holdings | None:
    """Every object, with whose it is; None where that can't be told from the store alone."""
    runs = _intents(ask)
    if runs is None:
        return None
    intents, left = runs
    owners, tasks = _owners(ask), _tasks(ask)
    models, in_force = _models(ask)
    gone = {key for key in owners if key.kind is Kind.TASK} - {task.key for task in tasks}
    connections, details = _connections(ask, vault)
    return Holdings(
        owners=owners,
        workspaces=dict(ask("select id, name from workspaces order by id")),
        connections=connections,
        details=details,
        held=sealed.held(vault, owners, _sealed(ask, _CONNECTIONS), _sealed(ask, _TASKS)),
        models=models,
        in_force=in_force,
        identities=_identities(ask),
        pipelines=_pipelines(ask),
        deployments=_deployments(ask),
        orchestrations=_orchestrations(ask),
        tasks=tasks,
        intents=intents,
        left={key: left.get(str(key), {}) for key in gone},
    )


def _columns(rows: Iterable[_Row], width: int) -> list[Any]:
    """Rows turned: a sequence per column."""
    return list(zip(*rows, strict=True)) or [()] * width


def _owners(ask: Ask) -> dict[Key, Ownership]:
    rows = ask("select key, project, environment, applied, secrets, labels, description, protect from ownership")
    keys, projects, environments, *texts, descriptions, protected = _columns(rows, 8)
    owners = {pair: Owner(*pair) for pair in set(zip(projects, environments, strict=True))}
    whose = (owners[pair] for pair in zip(projects, environments, strict=True))
    records = map(Ownership, whose, *map(decoded, texts), descriptions, map(bool, protected))
    return dict(zip(map(Key.parse, keys), records, strict=True))


def _connections(ask: Ask, vault: Vault) -> tuple[list[Connection], dict[str, JsonObject]]:
    attached: dict[str, tuple[str, ...]] = {}
    pairs = ask(
        "select a.connection_id, w.name from attachments a join workspaces w on w.id = a.workspace_id order by w.name"
    )
    for identity, workspace in pairs:
        attached[identity] = (*attached.get(identity, ()), workspace)
    found, details = [], {}
    rows = ask("select id, name, type, created_at, details from connections order by created_at, name")
    for identity, name, kind, created, seal in rows:
        found.append(Connection(identity, name, kind, parse_iso(created), attached.get(identity, ())))
        details[name] = vault.decrypt(seal)["open"]
    return found, details


def _sealed(ask: Ask, query: str) -> Iterable[_Row]:
    """The rows, asked for when the first is wanted."""
    yield from ask(query)


def _models(ask: Ask) -> tuple[list[ModelVersion], dict[int, ModelVersion]]:
    """The newest version of each model, and as `Models.all_in_force` finds them those in force where these are not."""
    newest: dict[int, ModelVersion] = {}
    ready: dict[int, ModelVersion] = {}
    for *plain, config, created, status, error, lock in ask(
        "select v.id, v.model_id, m.workspace_id, m.name, v.version, v.sha, v.size, v.file_name,"
        " v.config, v.created_at, v.status, v.error, v.lock from model_versions v join models m on m.id = v.model_id"
        " where v.id in (select max(id) from model_versions group by model_id union all"
        " select max(id) from model_versions where status = 'ready' group by model_id) order by v.id"
    ):
        found = ModelVersion(*(*plain, json.loads(config), parse_iso(created), ModelState(status), error, lock))
        newest[found.model_id] = found
        if found.status is ModelState.READY:
            ready[found.model_id] = found
    waiting = [model for model in newest.values() if model.status is not ModelState.READY]
    in_force = {model.model_id: ready.get(model.model_id, model) for model in waiting}
    return sorted(newest.values(), key=lambda model: model.id), in_force


def _identities(ask: Ask) -> dict[str, str]:
    rows = ask("select version, sha, config from model_versions where config != ?", json.dumps(PLAIN_MODEL))
    return identities((version, sha, json.loads(config)) for version, sha, config in rows)


def _pipelines(ask: Ask) -> list[Pipeline]:
    versions: dict[int, list[PipelineVersion]] = {}
    for *plain, definition, created, config in ask(
        "select id, pipeline_id, version, definition, created_at, config from pipeline_versions order by id desc"
    ):
        version = PipelineVersion(*(*plain, json.loads(definition), parse_iso(created), json.loads(config)))
        versions.setdefault(version.pipeline_id, []).append(version)
    rows = ask("select id, workspace_id, name, settings, created_at, updated_at from pipelines order by id desc")
    return [
        Pipeline(
            identity,
            workspace,
            name,
            json.loads(settings),
            parse_iso(created),
            parse_iso(updated),
            tuple(versions.get(identity, ())),
        )
        for identity, workspace, name, settings, created, updated in rows
    ]


def _deployments(ask: Ask) -> dict[int, Deployment]:
    holders: dict[tuple[int, bool], list[str]] = {}
    for deployment, holder, given_back in ask("select deployment_id, holder, given_back from holds order by holder"):
        holders.setdefault((deployment, bool(given_back)), []).append(holder)
    rows = ask(
        "select d.id, d.pipeline_id, p.name, d.version_id from deployments d join pipelines p on p.id = d.pipeline_id"
    )
    return {
        pipeline: Deployment(
            identity,
            pipeline,
            name,
            version,
            tuple(holders.get((identity, False), ())),
            tuple(holders.get((identity, True), ())),
        )
        for identity, pipeline, name, version in rows
    }


def _orchestrations(ask: Ask) -> list[Orchestration]:
    rows = ask(
        "select id, workspace_id, name, file_name, sha, entry, status, error, lock, environment, created_at, updated_at"
        " from orchestrations order by created_at desc, id desc"
    )
    return [
        Orchestration(*(*plain, OrchestrationState(status), *texts, parse_iso(created), parse_iso(updated)))
        for *plain, status, error, lock, environment, created, updated in rows
        for texts in [(error, lock, environment)]
    ]


def _tasks(ask: Ask) -> list[Task]:
    rows = ask(
        "select t.id, t.workspace_id, w.name, t.name, t.orchestration_id, t.spec, t.status, t.created_at, t.updated_at,"
        " t.since, t.suspended from tasks t join workspaces w on w.id = t.workspace_id"
    )
    *plain, specs, states, created, updated, since, suspended = _columns(rows, 11)
    known = {str(state): state for state in TaskState}
    instants = (map(parse_iso, texts) for texts in (created, updated, since))
    return list(map(Task, *plain, decoded(specs), map(known.__getitem__, states), *instants, map(bool, suspended)))


def _intents(ask: Ask) -> tuple[_States, _States] | None:
    """By the ids of tasks, and by the keys of those that are gone, the state of each intent's last run.

    As `History.last_per_intent` and `intents_left` find them; None while one of them runs.
    """
    rows = ask(
        "select r.task_id, r.task_key, t.id is null, r.intent, r.status, r.code_started"
        " from runs r left join tasks t on t.id = r.task_id where r.intent is not null"
        " order by r.created_at desc, r.scheduled_at desc, r.id"
    )
    found: _States = {}
    left: _States = {}
    for task, key, is_gone, intent, status, begun in reversed(list(rows)):
        if intent and (status != RunState.LOST or begun):
            found.setdefault(task, {})[intent] = str(RunState(status))
            if is_gone:
                left.setdefault(key, {})[intent] = str(RunState(status))
    running = any(RunState.RUNNING in states.values() for states in found.values())
    return None if running else (found, left)
