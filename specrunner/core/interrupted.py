"""An apply that was cut off, as its journal tells it: what had been done, and what was under way when it ended."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from specrunner.core.fields import Action
from specrunner.core.keys import Key

UNDER_WAY: Final = "under way"  # begun, and nobody knows how it ended


@dataclass(frozen=True, slots=True)
class InterruptedStep:
    """One step that an interrupted apply had begun.

    `fate` is how it ended, or `under way`; `run` the id of the run it started, empty where none is known. `token`
    is its idempotency key and `content` the digest of what it was to do: whoever does the very same again uses the
    same key, so that a create whose effect nobody saw makes no twin. `restored` tells bringing back a recorded object
    from a step of the plan.
    """

    key: Key
    action: Action
    fate: str = UNDER_WAY
    run: str = ""
    token: str = ""
    content: str = ""
    restored: bool = False


@dataclass(frozen=True, slots=True)
class Interrupted:
    """An apply that was not recorded. `earlier` was cut off before it and is not recorded yet either.

    `over` says that it had come to its end and only its record is missing.
    """

    apply: str
    owner: str
    plan: str
    commit: str
    started: datetime
    who: str
    steps: tuple[InterruptedStep, ...] = ()
    earlier: Interrupted | None = None
    over: bool = False

    @property
    def under_way(self) -> tuple[InterruptedStep, ...]:
        """The steps of which nobody knows how they ended."""
        return tuple(step for step in self.steps if step.fate == UNDER_WAY)
