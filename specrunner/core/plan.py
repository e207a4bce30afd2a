"""The plan: a small plain record that is printed, saved, hashed, approved and applied. One and the same object.

Its JSON is versioned (`schemas/plan.schema.json`); a reader refuses unknown versions and unknown fields.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass, fields, replace
from enum import StrEnum
from typing import Any, Final, TypeVar

from specrunner.core.diff import SECRET, FieldChange
from specrunner.core.errors import SpecrunnerError
from specrunner.core.fields import Action
from specrunner.core.keys import Key
from specrunner.core.values import Json, JsonObject, digest

VERSION: Final = 1
_STEP_TEXTS: Final = ("blocked_by", "intent", "live", "declared", "gone")  # and flags: left out where empty
_STEP_KEYS: Final = ("depends_on", "after", "used_by")
_AGAIN: Final = "Make the plan anew with `specrunner plan`."


class Edit(StrEnum):
    """What becomes of a file of a bundle."""

    ADDED = "added"
    CHANGED = "changed"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class FileChange:
    """One file of a bundle that differs; `diff` holds the lines of a unified diff, none for what is no text."""

    path: str
    edit: Edit
    diff: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Fires:
    """The next instants of a schedule as it is live and as it is declared, ISO 8601 in UTC."""

    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """What would be done to one object, and why.

    `depends_on` are steps that must succeed first; `after` only come first, whatever becomes of them.
    `blocked_by` says in words why the step is not carried out. `intent` is set where it starts a run.
    `live` is the fingerprint of the live object that the step was planned for, empty where there was none.
    `declared` is the digest of all that is declared for an object to be created, which has no field changes.
    `renamed_from` is the key under which the object is live now. `used_by`, `fires` and `files` are previews, for
    people only: what uses the object, when a schedule fires, which files of a bundle differ.
    `gone` says that somebody else has removed the object from the target: what creates it makes it again, what
    deletes it only removes its record.
    """

    key: Key
    action: Action
    reason: str
    changes: tuple[FieldChange, ...] = ()
    depends_on: tuple[Key, ...] = ()
    after: tuple[Key, ...] = ()
    blocked_by: str = ""
    intent: str = ""
    live: str = ""
    declared: str = ""
    renamed_from: Key | None = None
    used_by: tuple[Key, ...] = ()
    fires: Fires | None = None
    files: tuple[FileChange, ...] = ()
    gone: bool = False

    @property
    def creates(self) -> bool:
        """Whether the object is not there yet."""
        return self.action is Action.CREATE

    @property
    def deletes(self) -> bool:
        """Whether the object is gone afterwards."""
        return self.action is Action.DELETE

    @property
    def drifts(self) -> bool:
        """Whether somebody else has changed or removed the object."""
        return self.gone or any(change.drift or change.live is not None for change in self.changes)


@dataclass(frozen=True, slots=True)
class Notice:
    """Something worth knowing about an object that needs no step, with what to type about it."""

    key: Key
    text: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """Every step of one apply, in an order that respects what depends on what.

    `target` is as declared, before variables; `commit` the revision of the files, empty where unknown;
    `unchanged` counts the objects that are as declared. `restores` are objects that only the status files know,
    because the target has lost its memory: they are brought back first, which is no change.
    """

    project: str
    environment: str
    target: Json
    steps: tuple[Step, ...]
    notices: tuple[Notice, ...] = ()
    unchanged: int = 0
    commit: str = ""
    version: int = VERSION
    restores: tuple[Key, ...] = ()

    @property
    def hash(self) -> str:
        """What is approved: environment, target, and per step key, action, (path, old, new), the former key, what is
        created or run, whether it is blocked, and whether only a record is deleted.

        Left out: order, commit, reasons, places, live values, previews, restores, notices; a secret enters by its
        source only, and a step caused by a secret's value alone not at all.
        """
        steps = [digest(told(step)) for step in self.steps if not _only_secret_values(step)]
        return digest({"environment": self.environment, "target": self.target, "steps": sorted(steps)})

    @property
    def work(self) -> tuple[Step, ...]:
        """The steps that will be carried out."""
        return tuple(step for step in self.steps if not step.blocked_by)

    @property
    def blocked(self) -> tuple[Step, ...]:
        """The steps that a rule forbids."""
        return tuple(step for step in self.steps if step.blocked_by)

    @property
    def has_changes(self) -> bool:
        """Whether anything would be carried out; what is only brought back is no change."""
        return any(not step.blocked_by for step in self.steps)

    @property
    def drifted(self) -> tuple[Step, ...]:
        """The steps about objects that somebody else has changed or removed."""
        return tuple(step for step in self.steps if step.drifts)

    def counts(self) -> dict[Action, int]:
        """How many steps of each action will be carried out, mildest first."""
        found = {action: sum(step.action is action for step in self.work) for action in Action}
        return {action: count for action, count in found.items() if count}


def told(step: Step) -> JsonObject:
    """What of a step is approved: equal for two steps of which one may stand for the other."""
    changed = [[change.path, change.old, change.new] for change in step.changes if not _is_secret_value(change)]
    found: dict[str, Json] = {"key": str(step.key), "action": step.action}
    found["changes"] = sorted(changed, key=digest)
    found |= {"intent": step.intent, "declared": step.declared, "blocked": bool(step.blocked_by)}
    if step.renamed_from is not None:
        found["renamed_from"] = str(step.renamed_from)
    if step.gone and step.deletes:
        found["gone"] = True
    return found


def _only_secret_values(step: Step) -> bool:
    does_more = step.intent or step.action is Action.ADOPT or step.renamed_from
    return bool(step.changes) and not does_more and all(map(_is_secret_value, step.changes))


def _is_secret_value(change: FieldChange) -> bool:
    return bool(change.old == change.new == SECRET)


def with_steps(plan: Plan, steps: Iterable[Step]) -> Plan:
    """The same plan with other steps."""
    return replace(plan, steps=tuple(steps))


def to_json(plan: Plan) -> dict[str, Json]:
    """The plan as JSON; `hash` is there for readers and is computed anew when read."""
    return {
        "version": plan.version,
        "project": plan.project,
        "environment": plan.environment,
        "commit": plan.commit,
        "target": plan.target,
        "hash": plan.hash,
        "unchanged": plan.unchanged,
        "restores": [str(key) for key in plan.restores],
        "steps": [_step_json(step) for step in plan.steps],
        "notices": [{"key": str(n.key), "text": n.text, "remedy": n.remedy} for n in plan.notices],
    }


def _step_json(step: Step) -> dict[str, Json]:
    found: dict[str, Json] = {"key": str(step.key), "action": str(step.action), "reason": step.reason}
    if step.changes:
        found["changes"] = [_change_json(change) for change in step.changes]
    found |= {name: list(map(str, keys)) for name in _STEP_KEYS if (keys := getattr(step, name))}
    found |= {name: value for name in _STEP_TEXTS if (value := getattr(step, name))}
    if step.renamed_from is not None:
        found["renamed_from"] = str(step.renamed_from)
    if step.fires is not None:
        found["fires"] = {"before": list(step.fires.before), "after": list(step.fires.after)}
    if step.files:
        found["files"] = [_file_json(change) for change in step.files]
    return found


def _file_json(change: FileChange) -> dict[str, Json]:
    found: dict[str, Json] = {"path": change.path, "edit": str(change.edit)}
    return found | ({"diff": list(change.diff)} if change.diff else {})


def _change_json(change: FieldChange) -> dict[str, Json]:
    found: dict[str, Json] = {"path": change.path, "action": str(change.action), "reason": change.reason}
    found |= {"old": change.old, "new": change.new}
    if change.live is not None:
        found["live"] = change.live
    return found | ({"drift": True} if change.drift else {})


def from_json(data: JsonObject) -> Plan:
    """Read what `to_json` wrote.

    Raises SpecrunnerError for another version, for unknown, missing and malformed fields, where the hash is not
    that of the steps, and where a step waits for what is no earlier step.
    """
    version = data.get("version") if isinstance(data, Mapping) else None
    if type(version) is not int or version != VERSION:
        raise SpecrunnerError(
            f"This plan has version {version!r}; this specrunner reads version {VERSION}.",
            remedy="Make the plan anew with `specrunner plan`, using the same specrunner as for apply.",
        )
    try:
        plan = _read_plan(data)
    except (TypeError, ValueError) as problem:
        raise SpecrunnerError("This plan can't be read.", detail=f"{problem}.", remedy=_AGAIN) from problem
    if _taken(data, "hash") != plan.hash:
        raise SpecrunnerError(
            "This plan was changed after it was written: its hash does not fit its steps.", remedy=_AGAIN
        )
    _check_order(plan)
    return plan


def _check_order(plan: Plan) -> None:
    seen: set[Key] = set()
    for step in plan.steps:
        strange = {*step.depends_on, *step.after} - seen
        if strange or step.key in seen:
            what = f"{step.key} waits for {min(strange)}" if strange else f"{step.key} is there twice"
            detail = f"{what}, which is no step before it." if strange else f"{what}."
            raise SpecrunnerError("The steps of this plan are in no order that can be carried out.", detail, _AGAIN)
        seen.add(step.key)


def _read_plan(data: JsonObject) -> Plan:
    steps = tuple(_read_step(step) for step in _objects(_taken(data, "steps"), "steps"))
    notices = tuple(
        _read(Notice, {**notice, "key": _key(_taken(notice, "key"))})
        for notice in _objects(_taken(data, "notices"), "notices")
    )
    plain = {name: value for name, value in data.items() if name != "hash"}
    restores = _keys(_taken(data, "restores"), "restores")
    return _read(Plan, {**plain, "steps": steps, "notices": notices, "restores": restores})


def _read_step(data: JsonObject) -> Step:
    step = {**data, "key": _key(_taken(data, "key")), "action": Action(_taken(data, "action"))}
    step["changes"] = tuple(_read_change(change) for change in _objects(data.get("changes", []), "changes"))
    step["files"] = tuple(_read_file(change) for change in _objects(data.get("files", []), "files"))
    step |= {name: _keys(data.get(name, []), name) for name in _STEP_KEYS}
    if "renamed_from" in data:
        step["renamed_from"] = _key(data["renamed_from"])
    if "fires" in data:
        step["fires"] = _read_fires(data["fires"])
    return _read(Step, step)


def _read_fires(data: Json) -> Fires:
    (fires,) = _objects([data], "fires")
    return _read(Fires, {**fires, **{name: _texts(_taken(fires, name), name) for name in ("before", "after")}})


def _read_file(data: JsonObject) -> FileChange:
    edit, lines = Edit(_taken(data, "edit")), _texts(data.get("diff", []), "diff")
    return _read(FileChange, {**data, "edit": edit, "diff": lines})


def _read_change(data: JsonObject) -> FieldChange:
    return _read(FieldChange, {**data, "action": Action(_taken(data, "action"))})


def _taken(data: JsonObject, name: str) -> Json:
    if name not in data:
        raise SpecrunnerError(f"The plan lacks the field {name!r}.", remedy=_AGAIN)
    return data[name]


def _key(value: Json) -> Key:
    if not isinstance(value, str):
        raise TypeError(f"a key is text, which {value!r} is not")
    return Key.parse(value)


def _list(value: Json, name: str) -> list[Json]:
    if not isinstance(value, list):
        raise TypeError(f"{name!r} is {value!r}, which is no list")
    return value


def _keys(value: Json, name: str) -> tuple[Key, ...]:
    return tuple(map(_key, _list(value, name)))


def _texts(value: Json, name: str) -> tuple[str, ...]:
    for item in _list(value, name):
        if not isinstance(item, str):
            raise TypeError(f"{name!r} holds {item!r}, which is no text")
    return tuple(value)


def _objects(value: Json, name: str) -> list[JsonObject]:
    for item in _list(value, name):
        if not isinstance(item, Mapping):
            raise TypeError(f"{name!r} holds {item!r}, which is no object")
    return _list(value, name)


_Record = TypeVar("_Record", Plan, Step, FieldChange, Notice, Fires, FileChange)
_PLAIN_TYPES: Final[Mapping[str, type]] = {"str": str, "int": int, "bool": bool}


def _read(record: type[_Record], values: Mapping[str, Any]) -> _Record:
    known = {field.name: field for field in fields(record)}
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise SpecrunnerError(
            f"The plan has fields that version {VERSION} does not know: {', '.join(unknown)}.", remedy=_AGAIN
        )
    for name, field in known.items():
        if name not in values:
            if field.default is MISSING:
                raise SpecrunnerError(f"The plan lacks the field {name!r}.", remedy=_AGAIN)
        elif type(values[name]) is not _PLAIN_TYPES.get(str(field.type), type(values[name])):
            raise TypeError(f"{name!r} is {values[name]!r}, which is no {field.type}")
    return record(**values)
