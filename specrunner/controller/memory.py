"""What the controller knows across restarts: a small JSON file beside its clone, replaced whole."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

_FILE: Final = "memory.json"


class Standing(StrEnum):
    """What has become of the newest commit of a branch; `PARTLY`: it is live, but for some of its steps."""

    PENDING = "pending"
    LIVE = "live"
    PARTLY = "partly"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Memory:
    """`seen` is the branch's newest commit and `valid` what became of judging it; `good` the last one applied.

    `problem` says what stands against `seen`, in words for people, and `since` from when on, as text in UTC.
    `failures` counts tries in a row that did not come to a good end.

    `repository` and `branch` are what is followed, and `looked` is when that was fetched last. `unreachable` says why
    it can't be since `unreachable_since`. `unhealed` says why what somebody else changed on the target can't be put as
    `good` declares it, since `unhealed_since`.
    """

    seen: str = ""
    valid: bool = False
    good: str = ""
    problem: str = ""
    since: str = ""
    failures: int = 0
    repository: str = ""
    branch: str = ""
    looked: str = ""
    unreachable: str = ""
    unreachable_since: str = ""
    unhealed: str = ""
    unhealed_since: str = ""

    @property
    def standing(self) -> Standing:
        """What has become of `seen`."""
        if not self.problem:
            return Standing.LIVE if self.seen and self.good == self.seen else Standing.PENDING
        return Standing.PARTLY if self.good == self.seen else Standing.REFUSED


def load(folder: Path) -> Memory:
    """What is known; nothing, where nothing was ever written or what is there can't be read."""
    try:
        found: Any = json.loads((folder / _FILE).read_bytes())
        known = {one.name: type(one.default) for one in fields(Memory)}
        return Memory(**{name: found[name] for name, kind in known.items() if type(found.get(name)) is kind})
    except (OSError, ValueError, AttributeError, TypeError):
        return Memory()


def save(folder: Path, memory: Memory) -> None:
    """Replace what is known."""
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f".{_FILE}-{os.getpid()}"
    part.write_text(f"{json.dumps(asdict(memory), indent=2)}\n", encoding="utf-8")
    part.replace(folder / _FILE)
