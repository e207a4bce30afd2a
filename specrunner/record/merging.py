"""Bringing what was recorded here on top of what others have recorded meanwhile: decided path by path.

Facts are replayed: each says how something is, so the later one holds. Only a run that has ended stays as it was told
first.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from specrunner.core.lifecycle import RunState
from specrunner.record.plumbing import Change

_STATUS: Final = re.compile(rb"^status: ([a-z_]+)$", re.MULTILINE)
_ENDED: Final = frozenset(str(state).encode() for state in RunState if state.ended)


def tells_an_end(data: bytes) -> bool:
    """Whether this is the record of a run that has ended."""
    found = _STATUS.search(data)
    return found is not None and found[1] in _ENDED


def is_run(path: str) -> bool:
    """Whether the record of a run belongs at this path of a branch, below its environment."""
    return path.partition("/")[2].startswith("runs/")


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
        found[change.path] = change.after or None
    return found
