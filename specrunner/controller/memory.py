"""What the controller knows across restarts: a small JSON file beside its clone, replaced whole."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final

_FILE: Final = "memory.json"


@dataclass(frozen=True, slots=True)
class Memory:
    """`seen` is the branch's newest commit and `valid` what became of judging it; `good` the last one applied.

    `problem` says what stands against `seen`, in words for people, and `since` from when on, as text in UTC.
    `failures` counts tries in a row that did not come to a good end.
    """

    seen: str = ""
    valid: bool = False
    good: str = ""
    problem: str = ""
    since: str = ""
    failures: int = 0


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
