"""One write: look at the object, refuse if it is another than planned for, change it, remember whose it is.

The platform has no transactions and no deletes for most kinds. What is begun is remembered as ours before it is there,
with nothing applied; what can't be removed is let go of, and is nobody's from then on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from specrunner.core.diff import changes, secret_changes
from specrunner.core.errors import Conflict, ModelFailed, NotFound, PackagingFailed, Transient, Unavailable
from specrunner.core.keys import Key, Kind
from specrunner.core.plan import Step
from specrunner.core.resources import LiveObject, Presence, is_run_once, references_of
from specrunner.core.values import Secret
from specrunner.targets.base import Note, PutOrder
from specrunner.targets.memory.writing import check_details
from specrunner.targets.stale import check
from specrunner.targets.wallaroo.http import Platform
from specrunner.targets.wallaroo.looking import ONCE, Item, Scene, mark_of, models_of, one_of, sha_of
from specrunner.targets.wallaroo.memory import Entry, Memory

PATIENCE: Final = 1800.0  # seconds; an environment may have to be downloaded
_GLANCE: Final = 0.5  # seconds between two questions
_NATIVE: Final = frozenset({"onnx", "tensorflow"})


@dataclass(frozen=True, slots=True)
class Place:
    """A platform, what is remembered of it, and whether somebody still waits."""

    platform: Platform
    memory: Memory
    stopped: Callable[[], bool]

    def entry(self, key: Key) -> Entry | None:
        """What is remembered of an object."""
        found = self.memory.get(key)
        return None if found is None else self.with_prints(key, found)

    def with_prints(self, key: Key, entry: Entry) -> Entry:
        """The entry; a secret that was applied from another machine is taken for what the platform has."""
        if entry.prints or not entry.applied.get("detailsFrom"):
            return entry
        try:
            found = self.platform.ask_json("connections/get", {"name": key.name})
        except NotFound:
            return entry
        plain = entry.applied.get("details") or {}
        secret = {name: value for name, value in (found.get("details") or {}).items() if name not in plain}
        return replace(entry, prints={"detailsFrom": self.memory.fingerprint(Secret(secret))})

    def until(self, ask: Callable[[], bool], what: str, patience: float = PATIENCE, *, leaves: bool = True) -> None:
        """Ask again and again until it is so. Raises Transient where it takes longer, or we leave before."""
        end = time.monotonic() + patience
        while not ask():
            if (leaves and self.stopped()) or time.monotonic() > end:
                raise Transient(f"{what} goes on at {self.platform.place}; nobody waits for it any more.")
            time.sleep(_GLANCE)


def put(place: Place, order: PutOrder, note: Note) -> None:
    """Carry out one `put`. Raises StalePlan where the object is no longer the one that was planned for."""
    scene, key = Scene(place.platform), order.resource.key
    check_details(order)
    live = _seen(place, scene, key)
    prints = {path: place.memory.fingerprint(secret) for path, secret in order.secrets.items()}
    if not _is_done(order, live, prints):
        ours = live is not None and live.presence is Presence.MISSING and live.owner == order.owner
        if not (ours and order.step.creates):
            check(order.step, live)
        _check_needs(place, scene, order)
        if live is None:
            place.memory.put(key, Entry(order.owner, {}))
        _MAKE[key.kind](place, scene, order, note)
    _remember(place.memory, order, prints)


def _seen(place: Place, scene: Scene, key: Key) -> LiveObject | None:
    return one_of(scene, key, place.entry(key), place.memory.left().get(key, ""))


def _check_needs(place: Place, scene: Scene, order: PutOrder) -> None:
    """Raise NotFound where something is not there that the object cannot do without."""
    for needed in references_of(order.resource.key, order.resource.spec):
        found = _seen(place, scene, needed)
        if found is None or found.presence is not Presence.PRESENT:
            raise NotFound(f"{order.resource.key} needs {needed}, which is not on {place.platform.place}.")


def _is_done(order: PutOrder, live: LiveObject | None, prints: Mapping[str, str]) -> bool:
    if live is None or live.owner != order.owner or live.presence is not Presence.PRESENT:
        return False
    return not changes(order.resource, live) and not secret_changes(order.resource, live, prints)


def _remember(memory: Memory, order: PutOrder, prints: Mapping[str, str]) -> None:
    resource, known = order.resource, memory.get(order.resource.key)
    memory.put(
        resource.key,
        Entry(
            owner=order.owner,
            applied=resource.spec,
            labels=resource.labels,
            description=resource.description,
            protect=resource.protect,
            prints=prints,
            orders=known.orders if known else {},
            ended=known.ended if known else {},
            begun=known.begun if known else {},
        ),
    )


def _workspace(place: Place, scene: Scene, order: PutOrder, _note: Note) -> None:
    name = order.resource.key.name
    if name not in scene.workspaces:
        place.platform.tell("workspaces/create", {"workspace_name": name})


def workspace_id(scene: Scene, name: str) -> int:
    """The platform's number of a workspace. Raises NotFound."""
    if name not in scene.workspaces:
        raise NotFound(f"There is no workspace {name!r} on the platform.")
    return int(scene.workspaces[name]["id"])


def _connection(place: Place, scene: Scene, order: PutOrder, note: Note) -> None:
    """The platform has no way to change a connection, so that one with other details is made anew."""
    spec, name = order.resource.spec, order.resource.key.name
    secret: Any = order.secrets["detailsFrom"].reveal() if "detailsFrom" in order.secrets else {}
    details = {**(spec.get("details") or {}), **secret}
    wanted = {one: workspace_id(scene, one) for one in spec.get("workspaces") or ()}
    found = place.platform.ask_json("connections/get", {"name": name}) if name in scene.connections else None
    attached = set(found["workspace_names"]) if found else set()
    if found is not None and (found["type"], found.get("details") or {}) != (spec["type"], details):
        note("making it anew: the platform can't change one")
        place.platform.tell("connections/delete", {"name": name})
        found, attached = None, set()
    if found is None:
        found = place.platform.tell("connections/create", {"name": name, "type": spec["type"], "details": details})
    for one in sorted(wanted.keys() - attached):
        _attach(place, "add_to_workspace", found["id"], wanted[one])
    for one in sorted(attached - wanted.keys()):
        _attach(place, "remove_from_workspace", found["id"], workspace_id(scene, one))


def _attach(place: Place, how: str, connection: str, workspace: int) -> None:
    place.platform.tell(f"connections/{how}", {"connection_id": connection, "workspace_id": workspace})


def _model(place: Place, scene: Scene, order: PutOrder, note: Note) -> None:
    resource, spec = order.resource, order.resource.spec
    key, payload = resource.key, resource.payload
    newest = scene.models.get((key.workspace, key.name))
    if payload is None or (order.step.creates and newest is not None and sha_of(newest) == payload.sha):
        return
    framework = str(spec.get("framework", "onnx"))
    conversion = {
        "framework": framework,
        "framework_config": None,
        "arch": "x86",
        "accel": "none",
        "python_version": "3.8",
        "requirements": list(spec.get("requirements") or ()),
    }
    metadata = {"name": key.name, "visibility": "private", "workspace_id": workspace_id(scene, key.workspace)}
    note(f"uploading {payload.file_name}")
    route = "models/upload" if framework in _NATIVE else "models/upload_and_convert"
    sent = place.platform.upload(route, {**metadata, "conversion": conversion}, payload.file_name, payload.read())
    version = sent["insert_models"]["returning"][0]["models"][0]["id"]

    def ready() -> bool:
        told = place.platform.ask_json("models/get_version_by_id", {"model_version_id": version})
        found = told["model_version"]["model_version"]
        if found.get("status") == "error":
            raise ModelFailed(f"{key} can't be used.", str(found.get("error_summary") or ""))
        return bool(found.get("status", "ready") == "ready")

    place.until(ready, f"Making {key} ready")


def _pipeline(place: Place, scene: Scene, order: PutOrder, note: Note) -> None:
    key, spec = order.resource.key, order.resource.spec
    live = scene.pipelines.get((key.workspace, key.name))
    wanted = [_newest(scene, key.workspace, step["model"]) for step in spec["steps"]]
    steps = [{"ModelInference": {"models": [model]}} for model in wanted]
    current = models_of(live) if live is not None else None
    version = live["pipeline_version"]["id"] if live is not None and live.get("pipeline_version") else None
    deployed = live is not None and bool((live.get("deployment") or {}).get("deployed"))
    same = current == [(model["name"], model["sha"]) for model in wanted]
    if version is None or not same:
        body = {"pipeline_id": key.name, "workspace_id": workspace_id(scene, key.workspace)}
        made = place.platform.tell("pipelines/create", {**body, "definition": {"id": key.name, "steps": steps}})
        version = made["pipeline_variant_pk_id"]
    if spec.get("deployed"):
        if not (deployed and same):
            note("deploying")
            _deploy(place, key, version)
    elif deployed and live is not None:
        _undeploy(place, live)


def _newest(scene: Scene, workspace: str, name: str) -> dict[str, str]:
    found = scene.models.get((workspace, name))
    if found is None:
        raise NotFound(f"There is no model {name!r} in the workspace {workspace!r}.")
    return {"name": name, "version": str(found["file_info"]["version"]), "sha": sha_of(found)}


def _deploy(place: Place, key: Key, version: int) -> None:
    body = {"deploy_id": key.name, "engine_config": {}, "pipeline_version_pk_id": version}
    deployment = f"{key.name}-{place.platform.tell('pipelines/deploy', body)['id']}"

    def up() -> bool:
        told = place.platform.ask_json("status/get_deployment", {"name": deployment})
        if told["status"] == "Error":
            raise Unavailable(f"{key} does not come up.", "; ".join(map(str, told.get("details") or ())))
        return bool(told["status"] == "Running")

    place.until(up, f"Deploying {key}")


def _undeploy(place: Place, live: Item) -> None:
    place.platform.tell("pipelines/undeploy", {"deployment_id": live["deployment"]["id"]})


def _orchestration(place: Place, scene: Scene, order: PutOrder, note: Note) -> None:
    key, payload = order.resource.key, order.resource.payload
    newest = scene.orchestrations.get((key.workspace, key.name))
    if payload is None:
        return
    if newest is not None and newest["sha"] == payload.sha and newest["status"] != "error":
        identity = newest["id"]  # an upload whose answer was lost, or one that is taken over
    else:
        note(f"uploading {payload.file_name}")
        metadata = {"name": key.name, "workspace_id": workspace_id(scene, key.workspace)}
        identity = place.platform.upload("orchestration/upload", metadata, payload.file_name, payload.read())["id"]

    def packaged() -> bool:
        found = place.platform.ask_json("orchestration/get_by_id", {"id": identity})
        if found["status"] == "error":
            raise PackagingFailed(f"{key} can't be packaged.", str(found.get("error_summary") or ""))
        return bool(found["status"] == "ready")

    place.until(packaged, f"Packaging {key}")


def _task(place: Place, scene: Scene, order: PutOrder, note: Note) -> None:
    """A schedule is a task of the platform; an order that runs once becomes one when it is given."""
    key, spec = order.resource.key, order.resource.spec
    former = scene.schedules_of(key)
    if not is_run_once(spec):
        version = ready_version(scene, key, spec)
        cron = str((spec.get("schedule") or {}).get("cron", ""))
        same = former and (former[0]["schedule"], former[0]["orch_id"], former[0].get("input_data") or {}) == (
            cron,
            version["id"],
            dict(spec.get("args") or {}),
        )
        if not same or _timeout_changes(order):
            note("scheduling")
            place.platform.tell("task/run_scheduled", {**order_body(key, spec, version), "schedule": cron})
        else:
            former = former[1:]
    for one in former:
        kill(place, one["id"])


def _timeout_changes(order: PutOrder) -> bool:
    return any(change.path == "timeout" for change in order.step.changes)


def ready_version(scene: Scene, task: Key, spec: Mapping[str, Any]) -> Item:
    """The version of the orchestration that a task is to run. Raises NotFound."""
    name, sha = spec.get("orchestration"), spec.get("orchestrationSha")
    workspace = scene.workspaces.get(task.workspace, {}).get("id")
    fits = [one for one in scene.versions.values() if one["workspace_id"] == workspace and one["name"] == name]
    ready = [one for one in fits if one["status"] == "ready" and sha in {None, one["sha"]}]
    if not ready:
        raise NotFound(f"There is no orchestration {name!r} that is ready, for {task}.")
    return max(ready, key=lambda one: str(one["created_at"]))


def order_body(key: Key, spec: Mapping[str, Any], version: Item, args: Any = None) -> dict[str, Any]:
    """What a request for a task says."""
    body = {"name": key.name, "orch_id": version["id"], "workspace_id": version["workspace_id"]}
    body["json"] = dict((spec.get("args") or {}) if args is None else args)
    if spec.get("timeout"):
        body["timeout"] = int(spec["timeout"])
    return body


def kill(place: Place, identity: str) -> None:
    """End a task of the platform, and wait until nothing of it runs."""
    place.platform.tell("task/kill", {"id": identity})

    def quiet() -> bool:
        runs = place.platform.ask_json("task/list_task_runs", {"task_id": identity})
        return not any(run["status"] == "running" for run in runs)

    place.until(quiet, "The end of a task", patience=120.0, leaves=False)


def delete(place: Place, step: Step, note: Note) -> None:
    """Carry out one `delete`: end and remove what the platform can, and let go of the rest."""
    note("removing")
    scene, key = Scene(place.platform), step.key
    entry = place.memory.get(key)
    live = _seen(place, scene, key)
    if live is None:
        return
    if live.presence is Presence.PRESENT:
        check(step, live)
        _check_unused(place, key)
        if entry is not None and key.kind in _REMOVE:
            _REMOVE[key.kind](place, scene, key, entry)
    left = one_of(Scene(place.platform), key, None)
    place.memory.forget(key, mark_of(left) if left is not None else "")


def _check_unused(place: Place, key: Key) -> None:
    """Raise Conflict where something that was applied cannot do without it."""
    entries = place.memory.entries()
    users = sorted(str(other) for other, entry in entries.items() if key in references_of(other, entry.applied))
    if users:
        raise Conflict(f"{key} can't be removed: {', '.join(users)} can't do without it.")


def _remove_connection(place: Place, _scene: Scene, key: Key, _entry: Entry) -> None:
    place.platform.tell("connections/delete", {"name": key.name})


def _remove_pipeline(place: Place, scene: Scene, key: Key, _entry: Entry) -> None:
    live = scene.pipelines[key.workspace, key.name]
    if (live.get("deployment") or {}).get("deployed"):
        _undeploy(place, live)


def _remove_task(place: Place, scene: Scene, key: Key, entry: Entry) -> None:
    ours = set(entry.orders.values())
    for one in scene.tasks_of(key):
        if not one["killed"] and (one["run_type"] != ONCE or one["id"] in ours):
            kill(place, one["id"])


_MAKE: Final[Mapping[Kind, Callable[[Place, Scene, PutOrder, Note], None]]] = {
    Kind.WORKSPACE: _workspace,
    Kind.CONNECTION: _connection,
    Kind.MODEL: _model,
    Kind.PIPELINE: _pipeline,
    Kind.ORCHESTRATION: _orchestration,
    Kind.TASK: _task,
}
_REMOVE: Final[Mapping[Kind, Callable[[Place, Scene, Key, Entry], None]]] = {
    Kind.CONNECTION: _remove_connection,
    Kind.PIPELINE: _remove_pipeline,
    Kind.TASK: _remove_task,
}
