"""What a host tells of the runs that end under it: read off the engine's events, apart from all that starts runs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from specrunner.cli.notifying import TAIL, declared_notifications, secrets_at, tell
from specrunner.cli.repeating import repeated
from specrunner.core.keys import Key
from specrunner.core.news import news_of_run
from specrunner.core.outcome import RunView

if TYPE_CHECKING:
    from specrunner.core.notifications import News
    from specrunner.core.resources import Owner
    from specrunner.engine.engine import Engine
    from specrunner.engine.records import Run

Specs = Callable[[], Path | None]
EVERY: Final = 2.0  # seconds between two looks at the events
_BEFORE: Final = 20  # runs of a task among which the one before is looked for
_logger = logging.getLogger(__name__)


def telling(engine: Engine, specs: Specs, every: float = EVERY) -> AbstractContextManager[None]:
    """While inside, those whom the specs name are told of runs that end. The specs may move, or not be there yet."""
    return repeated("notifications", Teller(engine, specs).look, every, patience=every)


class Teller:
    """Tells of every run that has ended since it was made, once."""

    def __init__(self, engine: Engine, specs: Specs) -> None:
        self._engine = engine
        self._specs = specs
        self._seen = engine.history.last_event()

    def look(self) -> None:
        """Tell what is new. What goes wrong is logged, and what was not told then is not told again."""
        try:
            self._seen, ended = self._engine.history.ended_after(self._seen)
            for run in ended:
                self._tell(run)
        except Exception:  # a host must not end because nobody could be told
            _logger.exception("action=notify failed")

    def _tell(self, run: Run) -> None:
        owned, root = self._engine.ownership.get(Key.parse(run.task_key)), self._specs()
        declared = declared_notifications(root, owned.owner) if owned and root else ()
        if owned and root and declared:
            tell(declared, self._news(owned.owner, run), secrets_at(root))

    def _news(self, owner: Owner, run: Run) -> Iterator[News]:
        from specrunner.targets.local import following

        before = [one.status for one in self._engine.history.newest(run.task_id, _BEFORE) if one.id != run.id]
        lines = [text for _, text in following.lines(self._engine, run.id, None)]
        task = Key.parse(run.task_key)
        view = RunView(run.id, task, run.status, run.created_at, detail=run.detail, log_tail=tuple(lines[-TAIL:]))
        return news_of_run(owner, view, before)
