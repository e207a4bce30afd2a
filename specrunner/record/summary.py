"""What the top of a status file says, read quickly: only the lines at the margin are looked at, never the whole.

There may be thousands of files, and each commit looks at all of them.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Final

from specrunner.core.lifecycle import RunState
from specrunner.core.values import parse_iso

_TOP: Final = re.compile(r"^(key|id|state|observedCommit|owner|specHash|settled): (.+)$", re.MULTILINE)
_DIGEST_LINE: Final = re.compile(r"^  ['\"]?([0-9a-f]{64})['\"]?: (.+)$", re.MULTILINE)
_BELOW: Final = re.compile(r"(?:  .*\n)+")
_FIRST_RUN: Final = re.compile(r"^lastRuns:\n- ((?:.+\n(?=  ))*.+)$", re.MULTILINE)
_RUNS: Final = re.compile(r"^lastRuns:\n(?:[- ] .*\n)+", re.MULTILINE)
_RUN: Final = re.compile(r"^- id: (.+)\n  status: (.+)$", re.MULTILINE)
_BLOCK: Final = re.compile(r"^active: (?:.*\n)*?(?=(?:labels|description|protect):|\Z)", re.MULTILINE)
_NEXT: Final = re.compile(r"^nextRuns:\n- (.+)$", re.MULTILINE)
_OLDER: Final = re.compile(r"^olderRuns:\n((?:  .*\n)+)", re.MULTILINE)
_ENDED: Final = frozenset(str(state) for state in RunState if state.ended)


@dataclass(frozen=True, slots=True)
class LastRun:
    """The newest run of a task, in short."""

    id: str
    status: str
    scheduled: str = ""
    ended: str = ""
    seconds: float | None = None


@functools.lru_cache(maxsize=16)
def head_of(data: bytes) -> str:
    """All of a status file but the spec as applied, which is never looked at here."""
    return data.partition(b"\napplied:")[0].decode("utf-8", "replace") + "\n"


@functools.lru_cache(maxsize=16)
def header_of(data: bytes) -> Mapping[str, str]:
    """`key`, `id`, `state`, `observedCommit`, `owner`, `specHash` and `settled`, as far as they are there."""
    return MappingProxyType({match[1]: _plain(match[2]) for match in _TOP.finditer(head_of(data))})


def last_runs(data: bytes) -> dict[str, str]:
    """The states of the newest runs that a task's file tells of, by their ids."""
    block = _RUNS.search(head_of(data))
    return {match[1].strip("'\""): match[2] for match in _RUN.finditer(block[0])} if block else {}


def runs_block(data: bytes) -> str:
    """All that a task's file says of runs, line by line as it stands there."""
    found = _BLOCK.search(head_of(data))
    return found[0] if found else ""


def last_run(data: bytes) -> LastRun | None:
    """The newest run that a task's file tells of."""
    found = _FIRST_RUN.search(head_of(data))
    if found is None:
        return None
    lines = (line.strip().partition(": ") for line in found[1].split("\n"))
    texts = {name: _plain(value) for name, _, value in lines if value != "null"}
    try:
        seconds = float(texts["seconds"]) if "seconds" in texts else None
        return LastRun(texts["id"], texts["status"], texts.get("scheduled", ""), texts.get("ended", ""), seconds)
    except (KeyError, ValueError):
        return None


def next_run(data: bytes) -> str:
    """The next instant of a task's schedule; empty where there is none."""
    found = _NEXT.search(head_of(data))
    return _plain(found[1]) if found else ""


def settled_of(data: bytes) -> datetime | None:
    """Up to where a task's schedule has come to runs and skips; None where that is not told."""
    try:
        return parse_iso(header_of(data)["settled"])
    except (KeyError, ValueError):
        return None


def older_runs(data: bytes) -> dict[str, dict[str, int]]:
    """The runs that are told of no longer, counted by month and state."""
    block = _OLDER.search(head_of(data))
    found: dict[str, dict[str, int]] = {}
    month = ""
    for line in block[1].splitlines() if block else ():
        name, _, count = line.partition(":")
        if line.startswith("    ") and month and count.strip().isdigit():
            found[month][_plain(name.strip())] = int(count)
        elif not line.startswith("    "):
            month = _plain(name.strip())
            found[month] = {}
    return found


def intents_of(data: bytes) -> dict[str, str]:
    """The state of the last run of each intent, of a task's status file."""
    return _digests(data, "intents")


def told_ends(old: Mapping[str, str], new: Mapping[str, str]) -> dict[str, str]:
    """What was told of intents and stays, though somebody tells otherwise now: who does so knows less.

    An order that was carried out well is done for good; one that ended otherwise may be tried again, and is only not
    forgotten.
    """
    return {
        intent: state
        for intent, state in old.items()
        if (state == RunState.SUCCESS and new.get(intent) != state) or (state in _ENDED and intent not in new)
    }


def intent_runs(data: bytes) -> dict[str, str]:
    """The id of the last run of each intent, of a task's status file."""
    return _digests(data, "intentRuns")


def ended_runs(data: bytes) -> frozenset[str]:
    """The ids of the last runs of a task's intents that had ended when this status file was written."""
    states = intents_of(data)
    return frozenset(run for intent, run in intent_runs(data).items() if states.get(intent) in _ENDED)


def _digests(data: bytes, name: str) -> dict[str, str]:
    """The lines of a mapping of digests to words that stands at the margin."""
    head, mark = head_of(data), f"\n{name}:\n"
    begin = head.find(mark)
    block = _BELOW.match(head, begin + len(mark)) if begin >= 0 else None
    return {match[1]: _plain(match[2]) for match in _DIGEST_LINE.finditer(block[0])} if block else {}


def _plain(text: str) -> str:
    return text.strip("'\"")
