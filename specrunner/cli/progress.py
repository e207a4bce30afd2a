"""Progress of an apply: a line per step that ends and, on a terminal, what goes on right now."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from specrunner.cli.terminal import console, say
from specrunner.core.outcome import StepOutcome
from specrunner.core.plan import Step
from specrunner.report.text import step_ended_line

if TYPE_CHECKING:
    from rich.status import Status


class Progress:
    """Listener of an apply, and a context while it lasts."""

    def __init__(self, *, stderr: bool) -> None:
        self._running: dict[str, str] = {}
        # One console for both: what is printed beside a line that is drawn anew must know of it.
        self._stream = console(stderr=stderr)
        live = (sys.stderr if stderr else sys.stdout).isatty()
        self._status: Status | None = self._stream.status("") if live else None

    def __enter__(self) -> Progress:
        self._context().__enter__()
        return self

    def __exit__(self, *exception: Any) -> None:
        self._context().__exit__(*exception)

    def started(self, step: Step) -> None:
        """A step has begun."""
        self._running[str(step.key)] = ""
        self._show()

    def noted(self, step: Step, text: str) -> None:
        """Something goes on inside a step."""
        self._running[str(step.key)] = text
        self._show()

    def ended(self, outcome: StepOutcome) -> None:
        """A step has ended."""
        self._running.pop(str(outcome.step.key), None)
        say([step_ended_line(outcome)], on=self._stream)
        self._show()

    def _context(self) -> AbstractContextManager[Any]:
        return self._status if self._status is not None else nullcontext()

    def _show(self) -> None:
        if self._status is not None:
            doing = [f"{key}: {text}" if text else key for key, text in self._running.items()]
            self._status.update("; ".join(doing))
