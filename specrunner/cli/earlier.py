"""An apply that has left a journal: it was cut off, has ended without being recorded, or is still at work."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from specrunner.cli.terminal import say
from specrunner.cli.wiring import STATE_FOLDER
from specrunner.core.values import iso
from specrunner.report.diagnostics import diagnostic_lines
from specrunner.report.lines import Line

if TYPE_CHECKING:
    from datetime import datetime

    from specrunner.core.interrupted import Interrupted
    from specrunner.core.leases import Lease
    from specrunner.core.resources import Desired
    from specrunner.targets.base import Target


def interrupted_apply(root: Path, desired: Desired, *, clear: bool = False) -> Interrupted | None:
    """The apply of this environment that was cut off, if one was; a damaged journal is told on stderr.

    With `clear`, which is for who holds the lease, it is moved away, so that it is told once.
    """
    from specrunner.reconcile.journal import journal_path, set_aside
    from specrunner.reconcile.replay import unfinished

    path = journal_path(root / STATE_FOLDER, desired.owner.environment)
    found, warning = unfinished(path)
    if warning is not None and clear and (place := set_aside(path)):
        warning = replace(warning, remedy=f"There is nothing to do: it was moved to {place.name}, beside it.")
    say(diagnostic_lines([warning] if warning else []), stderr=True)
    return found


def earlier_apply(
    root: Path, desired: Desired, target: Target, now: datetime
) -> tuple[Interrupted | None, Lease | None]:
    """An apply that has left a journal, with the lease that it holds where it is still at work."""
    from specrunner.reconcile.lease import under_way

    if interrupted_apply(root, desired) is None:
        return None, None  # so that nobody need be asked for leases
    lease = under_way(target, desired.owner, now)
    return interrupted_apply(root, desired), lease  # it may have ended just now


def interrupted_lines(found: Interrupted | None, lease: Lease | None = None) -> Iterator[Line]:
    """What to know of an apply that has left a journal: it was cut off, unless there is a lease that it holds."""
    if found is None:
        return
    who = f" of {found.who}" if found.who else ""
    begun = iso(found.started.replace(microsecond=0))
    if lease is not None:
        where = f"process {lease.holder.pid} on {lease.holder.host}"
        yield Line(f"An apply{who}, begun at {begun}, is under way ({where}).", "warning")
        yield Line("    What is planned here may be done already when it has ended; plan again then.", "warning")
        yield Line()
        return
    if found.over:
        yield Line(f"An apply{who}, begun at {begun}, has ended and is not recorded; the next one does so.", "warning")
        yield Line()
        return
    yield Line(f"An apply{who}, begun at {begun}, was cut off.", "warning")
    keys = [str(step.key) for step in found.under_way]
    if keys:
        shown = ", ".join(keys[:5]) + (f" and {len(keys) - 5} more" if len(keys) > 5 else "")
        yield Line(f"    Under way was {shown}: whether it was done is read off the target.", "warning")
    yield Line("    What it did stands; `specrunner apply` does the rest, and nothing twice.", "warning")
    yield Line()
