"""A plan inside a comment, small enough to stay with it, so that a later plan can be compared step by step."""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from dataclasses import replace
from typing import Final

from specrunner.core.errors import SpecrunnerError
from specrunner.core.plan import Plan, from_json, to_json

_MOST: Final = 16_000  # characters: a comment has 65,536, and people are to read the rest
_MOST_BYTES: Final = 4 * 1024 * 1024  # of what is unpacked


def packed(plan: Plan) -> str:
    """The steps of a plan without what is only shown beside them; empty where that is too long."""
    steps = tuple(replace(step, files=(), fires=None, used_by=()) for step in plan.steps)
    slim = to_json(replace(plan, steps=steps, notices=(), restores=()))
    text = base64.b64encode(zlib.compress(json.dumps(slim, separators=(",", ":")).encode(), 9)).decode()
    return text if len(text) <= _MOST else ""


def unpacked(text: str, expected: str) -> Plan | None:
    """The plan of that hash; None where it is not there, can't be read, or is another."""
    try:
        data = zlib.decompressobj().decompress(base64.b64decode(text, validate=True), _MOST_BYTES)
        plan = from_json(json.loads(data))
    except (ValueError, RecursionError, binascii.Error, zlib.error, SpecrunnerError):
        return None
    return plan if plan.hash == expected else None
