"""The line of JSON for machines that a comment or issue of ours begins with, and how it is read again."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Final

from specrunner.core.values import JsonObject

_LINE: Final = re.compile(r"\A\s*<!-- (?P<name>[a-z-]+) (?P<json>\{.*?\}) -->[ \t]*(?:\r?\n|\Z)")


def header_of(body: str | None, name: str) -> JsonObject | None:
    """The JSON in the first line of a body, where it is a comment of that name; None where it is not."""
    found = _LINE.match(body or "")
    if found is None or found["name"] != name:
        return None
    try:
        value = json.loads(found["json"])
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def is_about(header: JsonObject | None, subject: Mapping[str, str]) -> bool:
    """Whether a header names this project and environment."""
    return header is not None and all(header.get(name) == value for name, value in subject.items())
