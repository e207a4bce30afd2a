"""Whether an object is still the one that a step was planned for."""

from __future__ import annotations

from specrunner.core.errors import StalePlan
from specrunner.core.plan import Step
from specrunner.core.resources import LiveObject


def check(step: Step, live: LiveObject | None) -> None:
    """Refuse to write to another object than the one that was planned for. Raises StalePlan."""
    if (live.fingerprint if live else "") != step.live:
        raise StalePlan(
            f"{step.key} is no longer as it was when this was planned.",
            detail="Somebody else has changed, made or removed it meanwhile." if step.live else "It exists by now.",
            remedy="Run `specrunner plan` again and look at what it says now.",
        )
