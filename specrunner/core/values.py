"""Plain values: JSON, canonical text and digests, durations, sizes, secrets, instants."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

# What YAML and JSON can say. `Any` inside: mypy has no practical recursive JSON type for nested indexing.
Json = Any
JsonObject = Mapping[str, Any]

MASK = "*****"

_LONGEST_NUMBER = 12  # digits; more is a mistake, and Python itself refuses very many
_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", re.ASCII)
_DURATION_UNITS = (86_400, 3_600, 60, 1)
_SIZE = re.compile(r"(\d{1,18})(?:\.(\d{1,6}))?\s*([kKMGT]i?)?B?", re.ASCII)
_SIZE_UNITS: Mapping[str, int] = {
    "": 1,
    **{prefix: 1000**power for power, prefix in enumerate("KMGT", 1)},
    **{f"{prefix}i": 1024**power for power, prefix in enumerate("KMGT", 1)},
}


class Secret:
    """A value that never prints: `str`, `repr` and formatting show `*****`; it is never serialised.

    `reveal()` gives the value; a reader who looks for leaks greps for it. Copies are the secret itself.
    """

    __slots__ = ("_value",)

    def __init__(self, value: Json) -> None:
        self._value = value

    def reveal(self) -> Json:
        """The value itself, for the one place that needs it."""
        return self._value

    def __repr__(self) -> str:
        return MASK

    def __str__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return MASK

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and canonical(self._value) == canonical(other._value)

    def __hash__(self) -> int:
        return hash(canonical(self._value))

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, _memo: object) -> Secret:
        return self

    def __reduce__(self) -> str | tuple[Any, ...]:
        raise TypeError("a secret is not serialised")


def canonical(value: Json) -> str:
    """The one JSON text of a value: sorted keys, no spaces, ASCII. Source: RFC 8259, with Python's float repr.

    A whole float is written as an integer: stores and languages disagree on which of the two it is. Raises
    ValueError for NaN and infinities, TypeError for what JSON cannot say.
    """
    return json.dumps(_plain(value), sort_keys=True, separators=(",", ":"), allow_nan=False)


def _plain(value: Json) -> Json:
    if value is None or isinstance(value, str):  # nearly all of them
        return value
    if isinstance(value, Mapping):
        return {_name(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _name(name: object) -> str:
    if not isinstance(name, str):
        raise TypeError(f"the name {name!r} in a mapping is no text")
    return name


def is_nothing(value: Json) -> bool:
    """Null, or an empty text, list or mapping: what a field says that is as good as absent."""
    return value is None or (isinstance(value, str | list | tuple | Mapping) and not value)


def digest(value: Json) -> str:
    """sha256 of the canonical text, as 64 hexadecimal digits."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def short_sha(sha: str) -> str:
    """A sha as people see it: the first six, `...`, the last six characters."""
    return f"{sha[:6]}...{sha[-6:]}"


def parse_duration(value: str | int) -> int:
    """Seconds of `30s`, `10m`, `1h30m`, `7d`, or of whole seconds.

    Raises ValueError for anything else, a sign or a fraction included.
    """
    text = str(value).strip()
    if text.isascii() and text.isdecimal() and len(text) <= _LONGEST_NUMBER:
        return int(text)
    match = _DURATION.fullmatch(text)
    if not text or match is None or len(text) > 4 * _LONGEST_NUMBER:
        raise ValueError(f"{value!r} is not a duration such as 30s, 10m, 1h30m or 7d")
    return sum(int(part or 0) * unit for part, unit in zip(match.groups(), _DURATION_UNITS, strict=True))


def format_duration(seconds: float) -> str:
    """A duration as people write it; below ten seconds with one decimal."""
    if seconds < 0:
        text = format_duration(-seconds)
        return text if text == "0s" else f"-{text}"
    if seconds < 9.95 and round(seconds, 1) != round(seconds):
        return f"{seconds:.1f}s"
    rest, parts = round(seconds), []
    for unit, letter in zip(_DURATION_UNITS, "dhms", strict=True):
        count, rest = divmod(rest, unit)
        if count:
            parts.append(f"{count}{letter}")
    return "".join(parts) or "0s"


def parse_size(value: str | int) -> int:
    """Bytes of `512Mi`, `1G`, `1.5GiB`, or of a whole number; a part of a byte is cut off.

    Raises ValueError for anything else, a fraction of bytes included.
    """
    match = _SIZE.fullmatch(str(value).strip())
    if match is None or (match[2] and not match[3]):
        raise ValueError(f"{value!r} is not a size such as 512Mi or 1Gi")
    unit, decimals = _SIZE_UNITS[(match[3] or "").replace("k", "K")], match[2] or ""
    # In whole numbers: floats lose the last digits of large sizes.
    return int(match[1] + decimals) * unit // int("1" + "0" * len(decimals))


def utc(moment: datetime) -> datetime:
    """The same instant in UTC. Raises ValueError for a naive datetime."""
    if moment.tzinfo is UTC:
        return moment
    if moment.utcoffset() is None:
        raise ValueError(f"{moment} has no time zone")
    return moment.astimezone(UTC)


def iso(moment: datetime) -> str:
    """An instant as ISO 8601 in UTC with a `Z`, to the microsecond where it has them."""
    return utc(moment).isoformat().replace("+00:00", "Z")


def parse_iso(text: str) -> datetime:
    """The instant that `iso` wrote. Raises ValueError for text without a time zone."""
    found = datetime.fromisoformat(text)
    return found if found.tzinfo is UTC else utc(found)
