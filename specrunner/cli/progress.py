"""Progress of an apply: a line per step that ends and, on a terminal, a row for each that runs and a bar for all."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from specrunner.cli.terminal import console, say
from specrunner.core.errors import Diagnostic
from specrunner.core.keys import Key
from specrunner.core.outcome import StepOutcome
from specrunner.core.plan import Step
from specrunner.report.diagnostics import harmless
from specrunner.report.lines import Line
from specrunner.report.text import step_ended_line

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Rows
    from rich.progress import TaskID

_FEW = 2  # fewer steps need no bar


class Progress:
    """Listener of an apply of `total` steps, and a context while it lasts."""

    def __init__(self, *, stderr: bool, total: int = 0) -> None:
        # One console for both: what is printed beside rows that are drawn anew must know of them.
        self._stream = console(stderr=stderr)
        live = (sys.stderr if stderr else sys.stdout).isatty()
        self._rows = _rows(self._stream) if live else None
        self._running: dict[Key, TaskID] = {}
        self._total = total
        self._all: TaskID | None = None

    def __enter__(self) -> Progress:
        if self._rows is not None:
            self._rows.start()
            if self._total >= _FEW:
                self._all = self._rows.add_task("all steps", total=self._total, note=f"of {self._total}")
        return self

    def __exit__(self, *_exception: Any) -> None:
        if self._rows is not None:
            self._rows.stop()

    def started(self, step: Step) -> None:
        """A step has begun."""
        self._show(step.key, "")

    def noted(self, step: Step, text: str) -> None:
        """Something goes on inside a step."""
        self._show(step.key, text)

    def ended(self, outcome: StepOutcome) -> None:
        """A step has ended."""
        say([step_ended_line(outcome)], on=self._stream)
        self._hide(outcome.step.key)
        if self._rows is not None and self._all is not None and not outcome.step.blocked_by:
            self._rows.advance(self._all)

    def restoring(self, key: Key, text: str) -> None:
        """A recorded object is being brought back."""
        self._show(key, text or "bringing back")

    def restored(self, key: Key, problem: Diagnostic | None) -> None:
        """It is back, of which a word is said at the end, or could not be brought back."""
        self._hide(key)
        if problem is not None:
            say([Line(harmless(f"  ✗ {problem.summary}"), "error")], on=self._stream)

    def _show(self, key: Key, text: str) -> None:
        if self._rows is None:
            return
        if key not in self._running:
            self._running[key] = self._rows.add_task(str(key), total=None, note=text)
        else:
            self._rows.update(self._running[key], note=text)

    def _hide(self, key: Key) -> None:
        row = self._running.pop(key, None)
        if self._rows is not None and row is not None:
            self._rows.remove_task(row)


def _rows(stream: Console) -> Rows:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        SpinnerColumn,
        Task,
        TextColumn,
        TimeElapsedColumn,
    )
    from rich.table import Column
    from rich.text import Text

    class Count(MofNCompleteColumn):
        """Only the row of all steps has a number to reach."""

        def render(self, task: Task) -> Text:
            return super().render(task) if task.total is not None else Text("")

    class Bar(BarColumn):
        def render(self, task: Task) -> Any:
            return super().render(task) if task.total is not None else Text(str(task.fields["note"]), "dim")

    return Progress(
        SpinnerColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis")),
        Bar(bar_width=30, table_column=Column(ratio=1)),
        Count(),
        console=stream,
        transient=True,
    )
