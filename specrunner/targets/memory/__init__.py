"""The `memory` target: a full target without engine, disk or processes, for tests of specs and of reconciling.

`MemoryTarget` keeps the `Target` port over a `MemoryState`, which plays the server and which several targets may share.
`Hooks` say what happens in place of runs, packaging and inference; `Quirk`s make the server as awkward as real ones.
"""

from __future__ import annotations

from specrunner.targets.memory.quirks import Quirk
from specrunner.targets.memory.raw import RawObject, RawRun, Record
from specrunner.targets.memory.running import Ended, Job
from specrunner.targets.memory.state import MemoryState
from specrunner.targets.memory.target import Hooks, MemoryTarget

__all__ = ["Ended", "Hooks", "Job", "MemoryState", "MemoryTarget", "Quirk", "RawObject", "RawRun", "Record"]
