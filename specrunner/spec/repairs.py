"""What somebody who wrote a name, a duration or a size wrongly most likely meant, as the schema would take it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from specrunner.core.keys import Kind
from specrunner.core.values import Json, JsonObject, format_duration

_SECONDS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_SPOKEN: Final = re.compile(
    r"([0-9]{1,9}(?:\.[0-9]{1,3})?)\s*(?:(s|m|h|d|w)|(s)ec(?:ond)?s?|(m)in(?:ute)?s?|(h)(?:ou)?rs?|(d)ays?|(w)eeks?)",
    re.IGNORECASE,
)
_CLOCK: Final = re.compile(r"([0-9]{1,4}):([0-5]?[0-9])(?::([0-5]?[0-9]))?")
_SIZE: Final = re.compile(r"([0-9]{1,15})\s*([kmgt])(i?)(?:b|\w*bytes?)?", re.IGNORECASE)


def repaired(value: Json, schema: JsonObject) -> str | None:
    """A text close to `value` that fits the schema's pattern, or None where none is at hand."""
    if not isinstance(value, str):
        return None
    repair = _REPAIRS.get(schema.get("x-def", ""))
    if repair is None:
        repair = _variable if str(schema.get("pattern", "")).startswith("^[A-Za-z_]") else None
    meant = repair(value) if repair else ""
    fits = bool(meant) and re.search(schema.get("pattern", ""), meant) and len(meant) <= schema.get("maxLength", 1000)
    return meant if fits and meant != value else None


def _label(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.casefold()).strip("-")


def _plain(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-._")


def _printable(text: str) -> str:
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def _without_slash(text: str) -> str:
    return _printable(text).replace("/", "-")


def _variable(text: str) -> str:
    name = re.sub(r"[^A-Za-z0-9_]+", "_", text).strip("_")
    return f"_{name}" if name[:1].isdecimal() else name


def _key(text: str) -> str:
    return f"{Kind.TASK}/{text}" if text and "/" not in text else ""


def _duration(text: str) -> str:
    spoken = _SPOKEN.fullmatch(text.strip())
    if spoken:
        unit = next(part for part in spoken.groups()[1:] if part)
        return format_duration(round(float(spoken[1]) * _SECONDS[unit.lower()]))
    clock = _CLOCK.fullmatch(text.strip())
    if clock:
        # Two parts may be hours and minutes or minutes and seconds: only three are beyond doubt.
        hours, minutes, seconds = clock.groups()
        return format_duration(int(hours) * 3600 + int(minutes) * 60 + int(seconds)) if seconds else ""
    return ""


def _size(text: str) -> str:
    match = _SIZE.fullmatch(text.strip())
    return f"{match[1]}{match[2].upper()}{match[3].lower()}" if match else ""


_REPAIRS: Final[Mapping[str, Callable[[str], str]]] = {
    "dnsName": _label,
    "freeName": _printable,
    "workspaceName": _without_slash,
    "plainName": _plain,
    "duration": _duration,
    "size": _size,
    "key": _key,
}
