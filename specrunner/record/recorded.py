"""Reading status files back: what they say of objects and runs, for a target that has lost its memory.

They are a projection that people may have edited or merged badly, so nothing in them is taken for granted: a file
that can't be used is a problem with its path, and the others are read all the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any, Final

import yaml

from specrunner.core.errors import Diagnostic, Place
from specrunner.core.keys import Key, Kind
from specrunner.core.lifecycle import Reason, RunState
from specrunner.core.outcome import RunView
from specrunner.core.ports import StatusRepository
from specrunner.core.recorded import Recorded, Records, RunTimes
from specrunner.core.resources import Owner
from specrunner.core.values import Json, digest, parse_iso
from specrunner.record.files import API_VERSION, claims_folder, is_object, object_path, runs_folder
from specrunner.record.listing import Files
from specrunner.record.names import to_file_name

_LARGEST: Final = 16 * 2**20  # bytes
_MARGIN: Final = re.compile(
    r"^(id|status|reason|scheduled|beside|created|started|ended|intent|first): (.+)$", re.MULTILINE
)
_UNTIL: Final = re.compile(r"^claim:\n(?:  .*\n)*?  until: (.+)$", re.MULTILINE)
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_FAULTS: Final = (ValueError, TypeError, KeyError, AttributeError, RecursionError, yaml.YAMLError)


def recorded(repository: StatusRepository, owner: Owner, folder: str = "", now: datetime | None = None) -> Records:
    """What the status files of this owner's environment say of objects; other owners' objects are among them.

    `folder` is what the place of the files is called; problems name them below it.
    """
    prefix = f"{to_file_name(owner.environment)}/"
    return recorded_in(Files(repository.read(prefix), prefix), folder, prefix, now)


def recorded_in(files: Files, folder: str = "", prefix: str = "", now: datetime | None = None) -> Records:
    """The same of the files of one environment, by their paths below `prefix`.

    An order that somebody has claimed counts as under way; with `now`, as lost where its time is over.
    """
    objects, problems = [], []
    for name in filter(is_object, files):
        try:
            found = _recorded(name, files[name])
            if found.applied or found.key.kind is Kind.WORKSPACE:  # else its making failed before anything was applied
                objects.append(replace(found, intents={**found.intents, **claimed(found, files, now)}))
        except _FAULTS as problem:
            problems.append(_unreadable(_place(folder, prefix + name), problem))
    files.need(path for found in objects for path in _run_paths(found).values())
    return Records(tuple(replace(found, times=_times(found, files)) for found in objects), tuple(problems))


def run_of(task: Key, data: bytes) -> RunView | None:
    """The run of a task that this record tells of, without arguments, results and log; None where it can't be read.

    The lines at the margin are all that is looked at, because there may be ten for each of thousands of tasks.
    """
    found = {match[1]: match[2].strip("'\"") for match in _MARGIN.finditer(data.decode("utf-8", "replace"))}
    texts = {name: text for name, text in found.items() if text != "null"}
    try:
        return RunView(
            id=texts["id"],
            task=task,
            status=RunState(texts["status"]),
            created=parse_iso(texts["created"]),
            reason=Reason(texts["reason"]) if "reason" in texts else None,
            scheduled=_instant(texts.get("scheduled")),
            beside=texts.get("beside") == "true",
            started=_instant(texts.get("started")),
            ended=_instant(texts.get("ended")),
            intent=texts.get("intent", ""),
            first=_instant(texts.get("first")),
        )
    except (KeyError, ValueError):
        return None


def _run_paths(found: Recorded) -> dict[str, str]:
    """Where the records of the runs of a task's intents lie, by their ids."""
    return {run: f"{runs_folder(found.key)}{run}.yaml" for run in found.runs.values()}


def _times(found: Recorded, files: Mapping[str, bytes]) -> dict[str, RunTimes]:
    """When the runs of a task's intents were, as far as their own records are there; by their ids."""
    records = [files[path] for path in _run_paths(found).values() if path in files]
    views = (run_of(found.key, data) for data in records)
    return {view.id: RunTimes(view.created, view.started, view.ended) for view in views if view is not None}


def _recorded(name: str, data: bytes) -> Recorded:
    found = _loaded(data)
    if found["apiVersion"] != API_VERSION:
        raise ValueError(f"it is of version {found['apiVersion']!r}, and {API_VERSION} is expected")
    key = Key.parse(_text(found["key"]))
    if found["kind"] != f"{key.kind}Status" or name != object_path(key):
        raise ValueError(f"it tells of {key}, which belongs elsewhere")
    applied = _object(found["applied"])
    if found["specHash"] != digest(applied):
        raise ValueError("its `specHash` is not that of `applied`: it was edited, or badly merged")
    project, _, environment = _text(found["owner"]).rpartition("/")
    return Recorded(
        key=key,
        owner=Owner(project, environment),
        applied=applied,
        id=_text(found["id"]),
        commit=_text(found.get("observedCommit", "")),
        protect=found.get("protect") is True,
        labels=_texts(found.get("labels", {})),
        description=_text(found.get("description", "")),
        intents={intent: str(RunState(state)) for intent, state in _texts(found.get("intents", {})).items()},
        runs=_texts(found.get("intentRuns", {})),
        state=str(found.get("state", "")),
    )


def claimed(found: Recorded, files: Files, now: datetime | None) -> dict[str, str]:
    """The states of the orders of a run-once task that somebody has claimed and that have not ended, by intent."""
    if found.key.kind is not Kind.TASK:
        return {}
    claims = [files[path] for path in files.inside(claims_folder(found.key))]
    views = [(run_of(found.key, data), data) for data in claims]
    states = {view.intent: _claim_state(data, now) for view, data in views if view is not None and view.intent}
    ended = {intent for intent, state in found.intents.items() if RunState(state).ended}
    return {intent: str(state) for intent, state in states.items() if intent not in ended}


def _claim_state(data: bytes, now: datetime | None) -> RunState:
    until = claimed_until(data)
    return RunState.LOST if now is not None and until is not None and until < now else RunState.RUNNING


def claimed_until(data: bytes) -> datetime | None:
    """When a claim counts as lost; None for what is no claim."""
    found = _UNTIL.search(data.decode("utf-8", "replace"))
    try:
        return parse_iso(found[1].strip("'\"")) if found else None
    except ValueError:
        return None


def _place(folder: str, path: str) -> str:
    return f"{folder}{path}" if folder.endswith(":") else str(PurePosixPath(folder, path))


def _loaded(data: bytes) -> Mapping[str, Json]:
    if len(data) > _LARGEST:
        raise ValueError(f"it has {len(data):,} bytes")
    found = yaml.load(data, Loader=_Loader)  # noqa: S506 (a safe loader, libyaml's where there is one)
    for count, _ in enumerate(_values(found)):
        if count > len(data):  # only aliases make more values than there are bytes
            raise ValueError("its aliases stand for more than it holds")
    return _object(found)


def _values(value: Json) -> Iterator[Json]:
    pending = [value]
    while pending:
        one = pending.pop()
        yield one
        if isinstance(one, Mapping):
            pending += one.values()
        elif isinstance(one, list):
            pending += one


def _object(value: Json) -> Mapping[str, Json]:
    if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
        raise TypeError("it has no mapping where one belongs")
    return value


def _texts(value: Json) -> dict[str, str]:
    return {name: _text(item) for name, item in _object(value).items()}


def _text(value: Json) -> str:
    if not isinstance(value, str):
        raise TypeError(f"it has {value!r} where a text belongs")
    return value


def _instant(text: str | None) -> datetime | None:
    return parse_iso(text) if text else None


def _unreadable(path: str, problem: Exception) -> Diagnostic:
    what = f"`{problem.args[0]}` is missing" if isinstance(problem, KeyError) else str(problem).partition("\n")[0]
    return Diagnostic(
        f"The status file {path} can't be used: {what}.",
        detail="The target has lost its memory, and what this file tells of would be made anew, its runs included.",
        remedy="Put the file back as it was, from git; or delete it if the object is to be made anew.",
        place=Place(path),
    )
