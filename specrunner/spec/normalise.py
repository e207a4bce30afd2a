"""The one form of a valid document: defaults filled in, durations in seconds, sizes in bytes, schedules in full.

What is a duration, a size or a default is read off the schema, so that a new field needs no line here.
"""

from __future__ import annotations

import re
from typing import Any, Final

from specrunner.core.keys import Kind
from specrunner.core.values import Json, JsonObject, parse_duration, parse_size
from specrunner.spec.findings import Finding, Trail, nearest
from specrunner.spec.schedules import BadSchedule, check_timezone, plain_cron, plain_instant
from specrunner.spec.schema import property_schema, schema_of

_REFERENCE: Final = re.compile(r"([A-Z]\w*)/(.+)", re.DOTALL)

Reference = tuple[Trail, Kind, str]


def completed(document: JsonObject, kind: str) -> dict[str, Any]:
    """A valid document with the schema's defaults filled in, and its durations and sizes as numbers.

    Every mapping and list of the result is new: neither the document nor the schema is shared.
    """
    filled: dict[str, Any] = _completed(document, schema_of(kind))
    return filled


def _completed(value: Json, schema: JsonObject) -> Json:
    if isinstance(value, dict):
        known = schema.get("properties", {})
        missing = {name: part["default"] for name, part in known.items() if name not in value and "default" in part}
        return {
            name: _completed(item, property_schema(schema, name) or {}) for name, item in {**missing, **value}.items()
        }
    if isinstance(value, list):
        return [_completed(item, schema.get("items", {})) for item in value]
    return _number(value, schema)


def _number(value: Json, schema: JsonObject) -> Json:
    match schema.get("x-def"):
        case "duration":
            return parse_duration(value)
        case "size":
            return parse_size(value)
    return value


def full_schedule(schedule: Json, found: list[Finding]) -> dict[str, Any]:
    """A schedule in full and plain form, completed; what is wrong with it is added to `found`."""
    trail: Trail = ("spec", "schedule")
    short = not isinstance(schedule, dict)
    schema = property_schema(property_schema(schema_of(Kind.TASK), "spec") or {}, "schedule") or {}
    full: dict[str, Any] = _completed({"cron": schedule} if short else schedule, schema)
    try:
        full["cron"] = plain_cron(full["cron"])
    except BadSchedule as error:
        found.append(_bad(trail if short else (*trail, "cron"), error))
    try:
        check_timezone(full["timezone"])
    except BadSchedule as error:
        found.append(_bad((*trail, "timezone"), error))
        return full
    for name in ("from", "until"):
        try:
            full |= {name: plain_instant(full[name], full["timezone"])} if name in full else {}
        except BadSchedule as error:
            found.append(_bad((*trail, name), error))
    return full


def _bad(trail: Trail, error: BadSchedule) -> Finding:
    return Finding(trail, "the schedule can't be used", f"{error}.", error.remedy)


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
            )
        )
    return value
