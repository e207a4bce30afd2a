"""Reading the journal of an apply that was cut off. A torn last line is what a kill leaves, and is passed over."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from specrunner.core.errors import Diagnostic, Severity
from specrunner.core.fields import Action
from specrunner.core.interrupted import Interrupted, InterruptedStep
from specrunner.core.keys import Key
from specrunner.core.resources import Owner
from specrunner.core.values import Json, JsonObject, iso, parse_iso

VERSION: Final = 1
_LARGEST: Final = 256 * 2**20  # bytes; the journal of a million steps stays below


def unfinished(path: Path, owner: Owner | None = None) -> tuple[Interrupted | None, Diagnostic | None]:
    """The apply that this journal tells of, and a warning where the file can't be used; both None without a file.

    One that came to its end is told too: its journal is there, so it is not recorded. Writes nothing.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST)
    except FileNotFoundError:
        return None, None
    except OSError as problem:
        return None, _unusable(path, f"it can't be read: {problem.strerror}")
    try:
        found = _replayed(_lines(data))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as problem:
        return None, _unusable(path, f"it is no journal of this specrunner ({type(problem).__name__}: {problem})")
    if found is not None and owner is not None and found.owner != str(owner):
        return None, _unusable(path, f"it tells of an apply of {found.owner}")
    return found, None


def as_json(interrupted: Interrupted) -> JsonObject:
    """The apply as it stands in the journal of the next one."""
    return {
        "apply": interrupted.apply,
        "owner": interrupted.owner,
        "plan": interrupted.plan,
        "commit": interrupted.commit,
        "started": iso(interrupted.started),
        "who": interrupted.who,
        "steps": [_step_json(step) for step in interrupted.steps],
        "over": interrupted.over,
        "earlier": as_json(interrupted.earlier) if interrupted.earlier else None,
    }


def _lines(data: bytes) -> list[JsonObject]:
    """The whole lines. What stands behind the last newline was never finished."""
    lines = [json.loads(line) for line in data.split(b"\n")[:-1] if line.strip()]
    if not all(isinstance(line, dict) for line in lines):
        raise ValueError("a line is no object")
    return lines


def _replayed(lines: Sequence[JsonObject]) -> Interrupted | None:
    if not lines:
        return None  # killed before the header was written: nothing had begun
    header, *rest = lines
    if header["event"] != "apply" or header["version"] != VERSION:
        raise ValueError(f"it begins with {header['event']!r}, version {header.get('version')!r}")
    found = _from_json(header)
    steps: dict[tuple[str, bool], InterruptedStep] = {}
    for line in rest:
        if line["event"] == "cut":
            found = replace(found, earlier=_from_json(line["apply"]))
        elif line["event"] in {"begin", "end"}:
            place = (line["key"], bool(line.get("restored")))
            steps[place] = _read_step(line) if line["event"] == "begin" else _ended(steps[place], line)
    return replace(found, steps=tuple(steps.values()), over=any(line["event"] == "over" for line in rest))


def _ended(step: InterruptedStep, line: JsonObject) -> InterruptedStep:
    return replace(step, fate=_text(line["fate"]), run=_text(line.get("run", "")))


def _from_json(data: JsonObject) -> Interrupted:
    return Interrupted(
        apply=_text(data["apply"]),
        owner=_text(data["owner"]),
        plan=_text(data["plan"]),
        commit=_text(data["commit"]),
        started=parse_iso(data["started"]),
        who=_text(data["who"]),
        steps=tuple(_read_step(step) for step in data.get("steps", ())),
        earlier=_from_json(data["earlier"]) if data.get("earlier") else None,
        over=bool(data.get("over")),
    )


def _read_step(data: JsonObject) -> InterruptedStep:
    return InterruptedStep(
        key=Key.parse(data["key"]),
        action=Action(data["action"]),
        token=_text(data.get("token", "")),
        content=_text(data.get("content", "")),
        restored=bool(data.get("restored")),
        **{name: _text(data[name]) for name in ("fate", "run") if name in data},
    )


def _step_json(step: InterruptedStep) -> JsonObject:
    return {
        "key": str(step.key),
        "action": str(step.action),
        "fate": step.fate,
        "run": step.run,
        "token": step.token,
        "content": step.content,
        "restored": step.restored,
    }


def _text(value: Json) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _unusable(path: Path, why: str) -> Diagnostic:
    return Diagnostic(
        f"The journal {path} of an earlier apply is not used: {why}.",
        detail="Nothing depends on it: what is live says what is still to be done.",
        remedy="There is nothing to do: the next apply moves it away.",
        severity=Severity.WARNING,
    )
