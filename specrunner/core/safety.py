"""Safety rules: what is not done although it is declared."""

from __future__ import annotations

from collections.abc import Iterable

from specrunner.core.errors import Refused
from specrunner.core.fields import Action
from specrunner.core.plan import Step
from specrunner.core.resources import Safety

_NOT_CHANGED = frozenset({Action.CREATE, Action.ADOPT, Action.DELETE})
SMALLEST_BRAKED = 10  # a project of fewer live objects is not braked: any change is a large part of it


def brake(steps: Iterable[Step], live_count: int, safety: Safety) -> None:
    """Refuse a plan that would touch too large a part of what the project has live.

    Raises Refused with the numbers. `live_count` is the number of the project's own live objects; what is
    created or adopted was not among them, and a run of an object that stays as it is does not change it.
    """
    if live_count < SMALLEST_BRAKED:
        return
    work = [step for step in steps if not step.blocked_by]
    deletes = sum(step.deletes for step in work)
    updates = sum(bool(step.changes) and step.action not in _NOT_CHANGED for step in work)
    _check("delete", deletes, live_count, safety.max_delete_percent, "maxDeletePercent")
    _check("change", updates, live_count, safety.max_update_percent, "maxUpdatePercent")


def _check(verb: str, count: int, total: int, limit: float, setting: str) -> None:
    percent = 100 * count / total
    if percent > limit:
        raise Refused(
            f"This would {verb} {percent:.2f}% of the live objects, over {limit:.2f}% ({count}/{total}).",
            detail="So large a change is more often a mistake than meant.",
            remedy=f"If it is meant, say --force, or raise safety.{setting} in specrunner.yaml.",
        )
