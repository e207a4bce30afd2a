"""Bringing what was recorded here on top of what others have recorded meanwhile: decided path by path.

Facts are replayed: each says how something is, so the later one holds. Only a run that has ended stays as it was told
first, and who does not know how a run-once order has ended does not tell of its task.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from specrunner.core.lifecycle import RunState
from specrunner.record.plumbing import Change
from specrunner.record.summary import intents_of, told_ends

_STATUS: Final = re.compile(rb"^status: ([a-z_]+)$", re.MULTILINE)
_ENDED: Final = frozenset(str(state).encode() for state in RunState if state.ended)


def tells_an_end(data: bytes) -> bool:
    """Whether this is the record of a run that has ended."""
    found = _STATUS.search(data)
    return found is not None and found[1] in _ENDED


def is_run(path: str) -> bool:
    """Whether the record of a run belongs at this path of a branch, below its environment."""
    return path.partition("/")[2].startswith("runs/")


def is_task(path: str) -> bool:
    """Whether the status of a task belongs at this path of a branch, below its environment."""
    return path.partition("/")[2].startswith("tasks/")


def news(
    changes: Iterable[Change], theirs: Mapping[str, str], content: Callable[[str], bytes]
) -> dict[str, str | None]:
    """What is left of our changes on top of `theirs`, blobs by path; what they hold already is no news.

    `content` gives the bytes of a blob.
    """
    found: dict[str, str | None] = {}
    for change in changes:
        there = theirs.get(change.path, "")
        if there == change.after:
            continue
        contested = bool(there) and there != change.before and bool(change.after)
        if contested and is_run(change.path) and tells_an_end(content(there)):
            continue
        if contested and is_task(change.path) and _knows_less(content(change.after), content(there)):
            continue
        found[change.path] = change.after or None
    return found


def _knows_less(ours: bytes, theirs: bytes) -> bool:
    return bool(told_ends(intents_of(theirs), intents_of(ours)))
