"""What is live on a platform, by list calls alone, and how that reads as specs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any, Final

from specrunner.core.keys import Key, Kind
from specrunner.core.lifecycle import RunState
from specrunner.core.resources import LiveObject, Presence, is_run_once
from specrunner.core.values import Json, JsonObject, digest
from specrunner.targets.base import SUSPENDED
from specrunner.targets.wallaroo.http import Platform
from specrunner.targets.wallaroo.memory import Entry

Item = Mapping[str, Any]
CRON: Final = "CronJob"
ONCE: Final = "Oneshot"
_ENDED: Final = {
    "success": RunState.SUCCESS,
    "failure": RunState.FAILURE,
    "killed": RunState.KILLED,
    "timed_out": RunState.TIMED_OUT,
    "running": RunState.RUNNING,
}


class Scene:
    """What the platform lists, each list asked for once, when it is needed."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    @cached_property
    def workspaces(self) -> dict[str, Item]:
        """The workspaces, by name."""
        found = self._platform.ask_json("workspaces/list")["workspaces"]
        return {one["name"]: one for one in found if not one.get("archived")}

    @cached_property
    def names(self) -> dict[int, str]:
        """The names of the workspaces, by id."""
        return {one["id"]: name for name, one in self.workspaces.items()}

    @cached_property
    def connections(self) -> dict[str, Item]:
        """The connections, by name, without their details."""
        return {one["name"]: one for one in self._platform.ask_json("connections/list")["connections"]}

    @cached_property
    def models(self) -> dict[tuple[str, str], Item]:
        """The newest version of each model that did not fail."""
        asked = {"workspace_id": None, "workspace_name": None}
        found: dict[tuple[str, str], Item] = {}
        for one in self._platform.ask_json("models/list", asked)["models"]:
            versions = [held["model_version"] for held in one["model_versions"]]
            usable = [held for held in versions if held.get("status") != "error"] or versions
            if usable:
                found[one["workspace"]["name"], one["model"]["name"]] = max(usable, key=lambda held: held["id"])
        return found

    @cached_property
    def pipelines(self) -> dict[tuple[str, str], Item]:
        """The pipelines, each with the version in force."""
        found = self._platform.ask_json("pipelines/list_pipelines")["pipelines"]
        return {(one["workspace"]["name"], one["pipeline"]["name"]): one for one in found}

    @cached_property
    def versions(self) -> dict[str, Item]:
        """Every version of every orchestration, by id."""
        found = self._platform.ask_json("orchestration/list_all")["orchestrations"]
        return {one["orchestration"]["id"]: one["orchestration"] for one in found}

    @cached_property
    def orchestrations(self) -> dict[tuple[str, str], Item]:
        """The newest version of each orchestration that did not fail."""
        found: dict[tuple[str, str], Item] = {}
        for one in sorted(self.versions.values(), key=lambda version: str(version["created_at"])):
            place = self.names.get(one["workspace_id"], ""), str(one["name"])
            if one["status"] != "error" or place not in found or found[place]["status"] == "error":
                found[place] = one
        return found

    @cached_property
    def tasks(self) -> dict[tuple[str, str], list[Item]]:
        """The platform's tasks of each name, newest first."""
        found: dict[tuple[str, str], list[Item]] = {}
        listed: Iterable[Item] = self._platform.ask_json("task/list", {})
        for one in sorted(listed, key=lambda task: str(task["created_at"]), reverse=True):
            found.setdefault((self.names.get(one["workspace_id"], ""), str(one["name"])), []).append(one)
        return found

    def tasks_of(self, key: Key) -> list[Item]:
        """Those of one key."""
        return self.tasks.get((key.workspace, key.name), [])

    def task_by_id(self, identity: str) -> Item | None:
        """One of them by its id."""
        return next((one for held in self.tasks.values() for one in held if one["id"] == identity), None)

    def schedules_of(self, key: Key) -> list[Item]:
        """The platform's scheduled tasks of one key that are in force, newest first."""
        return [one for one in self.tasks_of(key) if one["run_type"] == CRON and not one["killed"]]


def everything(scene: Scene, entries: Mapping[Key, Entry], left: Mapping[Key, str]) -> dict[Key, LiveObject]:
    """All that is live, and what is remembered of it; what is remembered and gone is missing.

    `left` are the marks of objects that were let go of because the platform can't remove them: as long as nobody has
    changed them since, they count as gone.
    """
    keys = {Key(Kind.WORKSPACE, "", name) for name in scene.workspaces}
    keys |= {Key(Kind.CONNECTION, "", name) for name in scene.connections}
    listed: dict[Kind, Iterable[tuple[str, str]]] = {
        Kind.MODEL: scene.models,
        Kind.PIPELINE: scene.pipelines,
        Kind.ORCHESTRATION: scene.orchestrations,
        Kind.TASK: scene.tasks,
    }
    for kind, places in listed.items():
        keys |= {Key(kind, *place) for place in places if all(place)}
    found = {key: one_of(scene, key, entries.get(key), left.get(key, "")) for key in (*keys, *entries)}
    return {key: live for key, live in found.items() if live is not None}


def one_of(scene: Scene, key: Key, entry: Entry | None, left: str = "") -> LiveObject | None:
    """One object as it is live, with what is remembered of it; None where it is neither there nor remembered."""
    told = _TELL[key.kind](scene, key, entry)
    if told is None and entry is None:
        return None
    identity, spec, state = told or ("", {}, "")
    if entry is None:
        live = LiveObject(key, spec, identity, state, opaque=_OPAQUE.get(key.kind, frozenset()))
        return None if left == mark_of(live) else live
    return LiveObject(
        key=key,
        spec={**entry.applied, **spec} if told is not None else {},
        id=identity,
        state=state,
        detail=_detail(scene, key),
        owner=entry.owner,
        applied=entry.applied,
        protect=entry.protect,
        labels=entry.labels,
        description=entry.description,
        secrets=entry.prints,
        intents=_intents(scene, entry) if key.kind is Kind.TASK else {},
        presence=Presence.PRESENT if told is not None else Presence.MISSING,
    )


def mark_of(live: LiveObject) -> str:
    """What tells an object from what it is after somebody has changed it."""
    return digest([live.id, live.spec])


def _detail(scene: Scene, key: Key) -> str:
    """Why the newest version of an orchestration can't be run, where it can't."""
    if key.kind is not Kind.ORCHESTRATION or key.workspace not in scene.workspaces:
        return ""
    place = scene.workspaces[key.workspace]["id"], key.name
    versions = [one for one in scene.versions.values() if (one["workspace_id"], one["name"]) == place]
    newest = newest_of(versions)
    return str(newest.get("error_summary") or "") if newest is not None and newest["status"] == "error" else ""


_Told = tuple[str, JsonObject, str]
_OPAQUE: Final = {Kind.CONNECTION: frozenset({"details"}), Kind.ORCHESTRATION: frozenset({"python"})}


def _workspace(scene: Scene, key: Key, _entry: Entry | None) -> _Told | None:
    found = scene.workspaces.get(key.name)
    return None if found is None else (str(found["id"]), {}, "ready")


def _connection(scene: Scene, key: Key, _entry: Entry | None) -> _Told | None:
    found = scene.connections.get(key.name)
    if found is None:
        return None
    return str(found["id"]), {"type": found["type"], "workspaces": list(found["workspace_names"])}, "ready"


def _model(scene: Scene, key: Key, entry: Entry | None) -> _Told | None:
    found = scene.models.get((key.workspace, key.name))
    if found is None:
        return None
    spec: dict[str, Json] = {"sha": sha_of(found)}
    if entry is None:
        spec["framework"] = (found.get("conversion") or {}).get("framework", "onnx")
    return str(found.get("models_pk_id", found["id"])), spec, str(found.get("status", ""))


def sha_of(version: Item) -> str:
    """The sha256 of a version of a model."""
    return str(version["file_info"]["sha"])


def _pipeline(scene: Scene, key: Key, _entry: Entry | None) -> _Told | None:
    found = scene.pipelines.get((key.workspace, key.name))
    if found is None:
        return None
    models = models_of(found)
    deployed = bool((found.get("deployment") or {}).get("deployed"))
    spec: dict[str, Json] = {
        "steps": [{"model": name} for name, _ in models],
        "modelShas": dict(models),
        "deployed": deployed,
    }
    return str(found["pipeline"]["id"]), spec, "deployed" if deployed else "undeployed"


def models_of(pipeline: Item) -> list[tuple[str, str]]:
    """Name and sha256 of the models of a pipeline's steps, in their order."""
    definition = (pipeline.get("pipeline_version") or {}).get("definition") or {}
    steps = [step["ModelInference"]["models"] for step in definition.get("steps", ()) if "ModelInference" in step]
    return [(str(model["name"]), str(model.get("sha", ""))) for models in steps for model in models]


def _orchestration(scene: Scene, key: Key, _entry: Entry | None) -> _Told | None:
    found = scene.orchestrations.get((key.workspace, key.name))
    return None if found is None else (str(found["id"]), {"sha": found["sha"]}, str(found["status"]))


def _task(scene: Scene, key: Key, entry: Entry | None) -> _Told | None:
    schedules = scene.schedules_of(key)
    if schedules:
        return _scheduled(scene, schedules[0], entry)
    if entry is None:
        alive = [one for one in scene.tasks_of(key) if not one["killed"]]
        return (str(alive[0]["id"]), {**_order(scene, alive[0])}, str(alive[0]["status"])) if alive else None
    if not entry.applied or not is_run_once(entry.applied) or key.workspace not in scene.workspaces:
        return None
    # An order is a task of the platform of its own; what is there before it is given is what is remembered.
    return str(key), {}, "completed" if entry.orders else "pending"


def _scheduled(scene: Scene, item: Item, entry: Entry | None) -> _Told:
    known = (entry.applied.get("schedule") or {}) if entry is not None else {}
    schedule: Json = {**known, "cron": str(item["schedule"])}
    state = SUSPENDED if item["status"] == "paused" else str(item["status"])
    return str(item["id"]), {**_order(scene, item), "schedule": schedule}, state


def _order(scene: Scene, item: Item) -> dict[str, Json]:
    version = scene.versions.get(str(item["orch_id"]))
    told: dict[str, Json] = {"args": dict(item.get("input_data") or {})}
    if version is not None:
        told |= {"orchestration": version["name"], "orchestrationSha": version["sha"]}
    return told


def state_of(item: Item, runs: Iterable[Item]) -> RunState:
    """How a task that runs once is, by its newest run."""
    newest = newest_of(runs)
    if newest is not None:
        return _ENDED.get(str(newest["status"]), RunState.LOST)
    return RunState.KILLED if item["killed"] else RunState.PENDING


def newest_of(runs: Iterable[Item]) -> Item | None:
    """The run that was made last; platforms list them in either order."""
    return max(runs, key=lambda run: str(run["created_at"]), default=None)


def _intents(scene: Scene, entry: Entry) -> dict[str, str]:
    found = dict(entry.ended)
    for intent, identity in entry.orders.items():
        item = scene.task_by_id(identity)
        if item is not None:
            found[intent] = str(state_of(item, item.get("last_runs") or ()))
        elif intent not in found:
            found[intent] = str(RunState.LOST)
    return found


_TELL: Final = {
    Kind.WORKSPACE: _workspace,
    Kind.CONNECTION: _connection,
    Kind.MODEL: _model,
    Kind.PIPELINE: _pipeline,
    Kind.ORCHESTRATION: _orchestration,
    Kind.TASK: _task,
}
