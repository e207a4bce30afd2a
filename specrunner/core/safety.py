"""Safety rules: what is not done although it is declared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from specrunner.core.errors import Diagnostic, Refused
from specrunner.core.fields import Action
from specrunner.core.plan import Step
from specrunner.core.resources import Live, Owner, Presence, Safety

_DELETING: Final = frozenset({Action.DELETE, Action.REPLACE})
_NOT_CHANGED: Final = _DELETING | {Action.CREATE, Action.ADOPT}
_NOT_THERE: Final = frozenset({Presence.MISSING, Presence.LEAVING})
SMALLEST_BRAKED = 10  # a project of fewer live objects is not braked: any change is a large part of it


def counted(live: Live, owner: Owner) -> int:
    """How many live objects the owner has; what somebody else removed and what is being deleted is not there."""
    return sum(found.owner == owner and found.presence not in _NOT_THERE for found in live.values())


def brake(steps: Iterable[Step], live_count: int, safety: Safety) -> None:
    """Refuse a plan that would touch too large a part of what the project has live.

    Raises Refused with the numbers.
    """
    for found in braked(steps, live_count, safety):
        raise Refused(found.summary, found.detail, found.remedy)


def braked(steps: Iterable[Step], live_count: int, safety: Safety) -> tuple[Diagnostic, ...]:
    """What the brake says of a plan; nothing where it would be carried out.

    `live_count` is the number of the project's own live objects (`counted`). What is created or adopted was not
    among them, and a run of an object that stays as it is does not change it. What is replaced is deleted; what is
    gone already is not.
    """
    if live_count < SMALLEST_BRAKED:
        return ()
    work = [step for step in steps if not step.blocked_by]
    deletes = sum(step.action in _DELETING and not step.gone for step in work)
    updates = sum(bool(step.changes) and step.action not in _NOT_CHANGED for step in work)
    return (
        *_over("delete", deletes, live_count, safety.max_delete_percent, "maxDeletePercent"),
        *_over("change", updates, live_count, safety.max_update_percent, "maxUpdatePercent"),
    )


def _over(verb: str, count: int, total: int, limit: float, setting: str) -> Iterator[Diagnostic]:
    percent = 100 * count / total
    if percent > limit:
        yield Diagnostic(
            f"This would {verb} {percent:.2f}% of the live objects, over {limit:.2f}% ({count}/{total}).",
            detail="So large a change is more often a mistake than meant.",
            remedy=f"If it is meant, say --force, or raise safety.{setting} in specrunner.yaml.",
        )
