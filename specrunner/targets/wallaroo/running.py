"""Runs: an order becomes a task of the platform, a schedule has made its own; both are looked at by lists.

A run that was ordered goes by the id of the platform's task, which is known before it has begun; one that a schedule
has made goes by its own.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from specrunner.core.errors import Conflict, NotFound
from specrunner.core.keys import Key, Kind
from specrunner.core.lifecycle import RunState
from specrunner.core.outcome import RunView
from specrunner.core.values import JsonObject, parse_iso
from specrunner.targets.base import Note
from specrunner.targets.wallaroo.looking import ONCE, Item, Scene, newest_of, state_of
from specrunner.targets.wallaroo.memory import Entry
from specrunner.targets.wallaroo.writing import Place, kill, order_body, ready_version

_GLANCE: Final = 0.5  # seconds between two questions
_TAIL: Final = 40  # lines
_WHOLE: Final = 1_000_000  # lines


def run(place: Place, task: Key, intent: str | None, args: JsonObject | None, note: Note) -> RunView:
    """Give an order, or find the one that was given for this intent. Raises NotFound."""
    entry = place.memory.get(task)
    if entry is None:
        raise NotFound(f"There is no task {task.name!r} that was applied to {place.platform.place}.")
    if intent is None:
        identity = _ordered(place, Scene(place.platform), task, entry, None, args)
    else:
        with place.memory.ordering():  # or two who ask for the same at once would both give the order
            identity = _once_only(place, task, intent, args)
    note(f"running, task {identity[:8]}, on {place.platform.place}")
    return _seen(place, task, identity, intent or "")


def _once_only(place: Place, task: Key, intent: str, args: JsonObject | None) -> str:
    """The platform's task of an intent: the one that carries it out or did, else a new one."""
    scene, entry = Scene(place.platform), place.memory.entries()[task]
    known = scene.task_by_id(entry.orders.get(intent, ""))
    if known is not None:
        state = state_of(known, known.get("last_runs") or ())
        if state is RunState.SUCCESS or not state.ended:
            return str(known["id"])
    identity = _lost(scene, task, entry, intent) or _ordered(place, scene, task, entry, intent, args)
    place.memory.change(task, orders={**entry.orders, intent: identity}, begun={})
    return identity


def _lost(scene: Scene, task: Key, entry: Entry, intent: str | None) -> str:
    """The platform's task of an order whose answer was lost; empty where there is none."""
    if intent is None or intent not in entry.begun:
        return ""
    known = {*entry.begun[intent], *entry.orders.values()}
    fits = [one for one in scene.tasks_of(task) if one["run_type"] == ONCE and one["id"] not in known]
    return str(fits[-1]["id"]) if fits else ""


def _ordered(place: Place, scene: Scene, task: Key, entry: Entry, intent: str | None, args: JsonObject | None) -> str:
    version = ready_version(scene, task, entry.applied)
    if intent is not None:
        there = [str(one["id"]) for one in scene.tasks_of(task)]
        place.memory.change(task, begun={**entry.begun, intent: there})
    return str(place.platform.tell("task/run_once", order_body(task, entry.applied, version, args))["id"])


def started(place: Place, found: RunView) -> RunView:
    """The run once its code was started, or as it is where nobody waits any more."""
    while found.status is RunState.PENDING and not place.stopped():
        time.sleep(_GLANCE)
        found = find(place, found.id, found.intent)
    return found


def wait(place: Place, found: RunView) -> RunView:
    """The run once it has ended, with the end of its log; or as it is where nobody waits any more."""
    while not found.status.ended:
        if place.stopped():
            return found
        time.sleep(_GLANCE)
        found = find(place, found.id, found.intent)
    if found.intent:
        ended = place.memory.entries()[found.task].ended
        place.memory.change(found.task, ended={**ended, found.intent: str(found.status)})
    return replace(found, log_tail=tuple(text for _, text in log(place, found.id))[-_TAIL:])


def runs(place: Place, task: Key | None) -> list[RunView]:
    """The runs of a task, or all of them, newest first."""
    scene, entries = Scene(place.platform), place.memory.entries()
    found: list[RunView] = []
    for (workspace, name), items in scene.tasks.items():
        if not workspace or (task is not None and task != Key(Kind.TASK, workspace, name)):
            continue
        key = Key(Kind.TASK, workspace, name)
        entry = entries.get(key)
        intents = {identity: intent for intent, identity in (entry.orders if entry else {}).items()}
        for item in items:
            found += _views(place, scene, key, item, intents.get(str(item["id"]), ""))
    return sorted(found, key=lambda view: view.created, reverse=True)


def _views(place: Place, scene: Scene, key: Key, item: Item, intent: str) -> list[RunView]:
    if item["run_type"] == ONCE:
        return [_once(scene, key, item, item.get("last_runs") or (), intent)]
    return [_of_schedule(scene, key, item, one) for one in _all_runs(place, item)]


def _all_runs(place: Place, item: Item) -> list[Item]:
    found: list[Item] = place.platform.ask_json("task/list_task_runs", {"task_id": item["id"]})
    return found


def _once(scene: Scene, key: Key, item: Item, made: Any, intent: str) -> RunView:
    newest, state = newest_of(made), state_of(item, made)
    view = RunView(
        id=str(item["id"]),
        task=key,
        status=state,
        created=parse_iso(item["created_at"]),
        intent=intent,
        args=dict(item.get("input_data") or {}),
        sha=str((scene.versions.get(str(item["orch_id"])) or {}).get("sha", "")),
    )
    return _timed(view, newest)


def _of_schedule(scene: Scene, key: Key, item: Item, made: Item) -> RunView:
    view = _once(scene, key, item, [made], "")
    return replace(view, id=str(made["run_id"]), created=parse_iso(made["created_at"]))


def _timed(view: RunView, made: Item | None) -> RunView:
    if made is None:
        return replace(view, ended=view.created) if view.status.ended else view
    ended = parse_iso(made["updated_at"]) if view.status.ended else None
    code = {RunState.SUCCESS: 0}.get(view.status)
    return replace(view, started=parse_iso(made["created_at"]), ended=ended, exit_code=code)


def _seen(place: Place, task: Key, identity: str, intent: str) -> RunView:
    scene = Scene(place.platform)
    item = place.platform.ask_json("task/get_by_id", {"id": identity})
    return _once(scene, task, item, item.get("last_runs") or (), intent)


def find(place: Place, run_id: str, intent: str = "") -> RunView:
    """One run. Raises NotFound."""
    scene = Scene(place.platform)
    key, item, made = _located(place, scene, run_id)
    if made is not None:
        return _of_schedule(scene, key, item, made)
    return _once(scene, key, item, item.get("last_runs") or (), intent)


def _located(place: Place, scene: Scene, run_id: str) -> tuple[Key, Item, Item | None]:
    """The task of the platform that a run is one of, and the run where a schedule has made it. Raises NotFound."""
    for (workspace, name), items in scene.tasks.items():
        for item in items if workspace else ():
            if item["id"] == run_id and item["run_type"] == ONCE:
                return Key(Kind.TASK, workspace, name), item, None
            made = () if item["run_type"] == ONCE else _all_runs(place, item)
            for one in made:
                if one["run_id"] == run_id:
                    return Key(Kind.TASK, workspace, name), item, one
    raise NotFound(f"There is no run {run_id!r}.")


def log(place: Place, run_id: str) -> list[tuple[float, str]]:
    """The lines of a run's log so far. Raises NotFound."""
    _, item, made = _located(place, Scene(place.platform), run_id)
    made = made if made is not None else newest_of(_all_runs(place, item))
    if made is None:
        return []
    told = place.platform.ask_json("task/get_logs_for_run", {"id": made["run_id"], "lines": _WHOLE})
    return [_line(text) for text in told["logs"]]


def _line(text: str) -> tuple[float, str]:
    """One line as container logs are written: when, on which stream, whether whole, and what."""
    moment, _, rest = text.partition(" ")
    try:
        return parse_iso(moment).timestamp(), rest.split(" ", 2)[-1]
    except ValueError:
        return 0.0, text


def follow(place: Place, run_id: str) -> Iterator[tuple[float, str]]:
    """The lines of a log, also those to come, until the run has ended or nobody waits."""
    told = 0
    while True:
        ended = find(place, run_id).status.ended
        lines = log(place, run_id)
        yield from lines[told:]
        told = len(lines)
        if ended or place.stopped():
            return
        time.sleep(_GLANCE)


def end(place: Place, run_id: str) -> RunView:
    """End a run. Raises NotFound, and Conflict for one of a schedule: the platform ends those with all of it."""
    _, item, made = _located(place, Scene(place.platform), run_id)
    found = find(place, run_id)
    if found.status.ended:
        return found
    if made is not None:
        raise Conflict(
            f"{place.platform.place} can't end one run of a schedule and keep the others.",
            remedy="Remove the task from the files and apply, which ends its schedule and what runs of it.",
        )
    kill(place, str(item["id"]))
    return find(place, run_id)
