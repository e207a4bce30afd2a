"""Recording what a host does, while it does it: one commit for all that came about within some seconds."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from specrunner.cli.planning import clock
from specrunner.cli.projects import readable_project
from specrunner.cli.recording import Place, record_now, status_place
from specrunner.cli.repeating import repeated
from specrunner.cli.watching import Specs
from specrunner.core.errors import SpecrunnerError

if TYPE_CHECKING:
    from specrunner.core.resources import Owner
    from specrunner.engine.engine import Engine
    from specrunner.record.followed import Followed

WINDOW: Final = 5.0  # seconds
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Follows:
    """What a controller tells now, None for nothing; and the environment that it applies, None for the usual one."""

    told: Callable[[], Followed | None]
    environment: str | None = None


def recorded(
    specs: Specs, engine: Engine, follows: Follows | None = None, window: float = WINDOW
) -> AbstractContextManager[None]:
    """Record meanwhile, in a thread of its own that nothing waits for, and once more at the end.

    The specs say where to; they may move, or not be there yet. `follows` is there where a controller is.

    Only a branch is written: a folder of the work tree is the user's, and is written when he applies.
    """
    return repeated("records", _Keeper(specs, engine, follows or Follows(lambda: None)).keep, window)


class _Keeper:
    """Records what is news since it did so last; what can't be recorded now is tried again."""

    def __init__(self, specs: Specs, engine: Engine, follows: Follows) -> None:
        self._specs = specs
        self._engine = engine
        self._follows = follows
        self._seen: tuple[int, Followed | None] = (-1, None)
        self._said = ""

    def keep(self) -> None:
        """Record once, if there is anything new; whatever goes wrong is logged once and stops nothing."""
        latest = self._engine.facts.last_event(), self._follows.told()
        if latest == self._seen:
            return
        try:
            self._record(latest[1])
            self._seen, self._said = latest, ""
        except SpecrunnerError as problem:
            words = f"{problem.diagnostics[0].summary} {problem.diagnostics[0].detail}"
            if words != self._said:
                _logger.warning("action=record it is kept and tried again: %s", words)
            self._said = words
        except Exception:
            _logger.exception("action=record it is tried again")

    def _record(self, followed: Followed | None) -> None:
        from specrunner.targets.local.target import LocalTarget

        root = self._specs()
        if root is None:
            return
        target = LocalTarget(self._engine)
        desired = readable_project(root, self._follows.environment)
        place: Place | None = status_place(root, desired)
        if place is None or place.shared is None:
            return
        owners: set[Owner] = {found.owner for found in target.read().values() if found.owner is not None}
        if followed is not None:
            owners.add(desired.owner)
        for owner in sorted(owners, key=str):
            if owner.project == desired.owner.project:
                told = followed if owner == desired.owner else None
                record_now(place, owner, target, clock().now(), told)
        place.shared.push()
