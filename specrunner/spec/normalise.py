"""The one form of a valid document: defaults filled in, durations in seconds, sizes in bytes, schedules in full.

What is a duration, a size or a default is read off the schema, so that a new field needs no line here.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from specrunner.core.keys import Kind
from specrunner.core.values import Json, JsonObject, parse_duration, parse_iso, parse_size
from specrunner.spec.findings import Finding, Reference, Trail, nearest
from specrunner.spec.mistakes import Mistake
from specrunner.spec.schedules import BadSchedule, check_timezone, plain_cron, plain_instant
from specrunner.spec.schema import property_schema, schema_of

_REFERENCE: Final = re.compile(r"([A-Z]\w*)/(.+)", re.DOTALL)

_SCHEDULE: Final[Trail] = ("spec", "schedule")

_Filler = Callable[[Json], Json]


def completed(document: JsonObject, kind: str) -> dict[str, Any]:
    """A valid document with the schema's defaults filled in, and its durations and sizes as numbers.

    Every mapping and list of the result is new: neither the document nor the schema is shared.
    """
    filled: dict[str, Any] = _filler_of(kind)(document)
    return filled


@functools.cache
def _filler_of(kind: str) -> _Filler:
    return _filler(schema_of(kind))


@functools.cache
def _schedule_filler() -> _Filler:
    return _filler(property_schema(property_schema(schema_of(Kind.TASK), "spec") or {}, "schedule") or {})


def _filler(schema: JsonObject) -> _Filler:
    """What completes a value of this schema: made once per place of the schema, called once per value."""
    known, free, items = schema.get("properties", {}), schema.get("additionalProperties"), schema.get("items")
    number = _NUMBERS.get(schema.get("x-def", "")) or (_whole if schema.get("type") == "integer" else None)
    if not known and not isinstance(free, dict) and items is None and number is None:
        return _copied
    parts = {name: _filler(part) for name, part in known.items()}
    defaults = {name: parts[name](part["default"]) for name, part in known.items() if "default" in part}
    plain = {name: value for name, value in defaults.items() if not isinstance(value, dict | list)}
    fresh = tuple((name, value) for name, value in defaults.items() if name not in plain)
    other = _filler(free) if isinstance(free, dict) else _copied
    one = _filler(items) if items is not None else _copied

    def filled(value: Json) -> Json:
        if isinstance(value, dict):
            result = plain.copy()
            for name, item in fresh:
                if name not in value:
                    result[name] = _copied(item)
            for name, item in value.items():
                result[name] = parts.get(name, other)(item)
            return result
        if isinstance(value, list):
            return [one(item) for item in value]
        return number(value) if number else value

    return filled


def _copied(value: Json) -> Json:
    if isinstance(value, dict):
        return {name: _copied(item) for name, item in value.items()}
    return [_copied(item) for item in value] if isinstance(value, list) else value


def _whole(value: Json) -> Json:
    """For JSON Schema 2.0 is an integer; for whoever counts replicas or seconds it is not."""
    return int(value) if isinstance(value, float) else value


# A repository has thousands of durations, and few that differ.
_NUMBERS: Final[Mapping[str, _Filler]] = {
    "duration": functools.lru_cache(1024, typed=True)(lambda value: parse_duration(_whole(value))),
    "size": functools.lru_cache(1024, typed=True)(lambda value: parse_size(_whole(value))),
}


def plain_task(spec: dict[str, Any], found: list[Finding]) -> list[Reference]:
    """Bring a completed task's spec into plain form, but for `settle`; what is wrong with it is added to `found`.

    Gives what its arguments refer to.
    """
    if "schedule" in spec:
        spec["schedule"] = full_schedule(spec["schedule"], found)
    if "args" not in spec:
        return []
    spec["args"], references = plain_arguments(spec["args"], found)
    return references


def full_schedule(schedule: Json, found: list[Finding]) -> dict[str, Any]:
    """A schedule in full, with a plain expression, completed; what is wrong with it is added to `found`."""
    short = not isinstance(schedule, dict)
    full: dict[str, Any] = _schedule_filler()({"cron": schedule} if short else schedule)
    try:
        full["cron"] = plain_cron(full["cron"])
    except BadSchedule as error:
        found.append(_bad(_SCHEDULE if short else (*_SCHEDULE, "cron"), error))
    return full


def settle(full: dict[str, Any], found: list[Finding]) -> None:
    """The times of a full schedule as instants, by the zones that this machine knows; what is wrong is added."""
    try:
        check_timezone(full["timezone"])
    except BadSchedule as error:
        found.append(_bad((*_SCHEDULE, "timezone"), error))
        return
    if "from" in full or "until" in full:
        _bound(full, _SCHEDULE, found)


def _bound(full: dict[str, Any], trail: Trail, found: list[Finding]) -> None:
    """`from` and `until` in plain form; what is wrong with them is added to `found`."""
    plain: dict[str, str] = {}
    for name in ("from", "until"):
        try:
            plain |= {name: plain_instant(full[name], full["timezone"])} if name in full else {}
        except BadSchedule as error:
            found.append(_bad((*trail, name), error))
    full |= plain
    if len(plain) == 2 and parse_iso(plain["until"]) <= parse_iso(plain["from"]):
        found.append(
            Finding(
                (*trail, "until"),
                "`until` is not after `from`",
                "Nothing could run between them.",
                "Choose a later `until`, or an earlier `from`.",
                code=Mistake.EMPTY_SPAN,
            )
        )


def _bad(trail: Trail, error: BadSchedule) -> Finding:
    detail = str(error)
    return Finding(trail, _SUMMARIES[error.code], f"{detail[0].upper()}{detail[1:]}.", error.remedy, code=error.code)


_SUMMARIES: Final[Mapping[Mistake, str]] = {
    Mistake.BAD_CRON: "this is no cron expression",
    Mistake.SECONDS: "a schedule has no seconds",
    Mistake.NEVER_FIRES: "this schedule never fires",
    Mistake.UNKNOWN_TIME_ZONE: "there is no such time zone",
    Mistake.BAD_INSTANT: "there is no such instant",
}


def plain_arguments(args: Json, found: list[Finding]) -> tuple[Json, list[Reference]]:
    """Arguments with `{ref: Pipeline/name}` replaced by the name, and what was referred to.

    A mapping counts as a reference where `ref` is its only key and its value begins with a kind, or nearly so;
    anything else, such as a git ref, is a plain argument.
    """
    references: list[Reference] = []
    return _plain(args, ("spec", "args"), references, found), references


def _plain(value: Json, trail: Trail, references: list[Reference], found: list[Finding]) -> Json:
    if isinstance(value, list):
        return [_plain(item, (*trail, index), references, found) for index, item in enumerate(value)]
    if not isinstance(value, dict):
        return value
    match = _REFERENCE.fullmatch(value["ref"]) if set(value) == {"ref"} and isinstance(value["ref"], str) else None
    if match is None:
        return {name: _plain(item, (*trail, name), references, found) for name, item in value.items()}
    if match[1] in set(Kind):
        references.append(((*trail, "ref"), Kind(match[1]), match[2]))
        return match[2]
    kind = nearest(match[1], Kind)
    if kind:
        found.append(
            Finding(
                (*trail, "ref"),
                f"there is no kind {match[1]!r}",
                "A reference is `Kind/name`.",
                f"Write `{{ref: {kind}/{match[2]}}}`.",
                code=Mistake.UNKNOWN_KIND,
            )
        )
    return value
