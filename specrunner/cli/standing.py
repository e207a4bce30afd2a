"""What the controller of a state folder tells: for people, for scripts and for the records."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from specrunner.cli.wiring import STATE_FOLDER
from specrunner.core.values import Json, parse_iso
from specrunner.report.lines import Line
from specrunner.report.sizes import ago

if TYPE_CHECKING:
    from specrunner.controller.memory import Memory
    from specrunner.record.followed import Followed

FOLDER: Final = "controller"  # in the state folder
_SHOWN: Final = 12  # digits of a commit
_STANDINGS: Final = {
    "live": ("it is live", ""),
    "pending": ("not applied yet", ""),
    "partly": ("applied in part", "warning"),
    "refused": ("refused", "error"),
}


def remembered(root: Path) -> Memory | None:
    """What the controller of this folder knows; None where nothing was ever followed."""
    from specrunner.controller import memory

    found = memory.load(root / STATE_FOLDER / FOLDER)
    return found if found.repository else None


def for_records(known: Memory | None) -> Followed | None:
    """The part that others are told: nothing that changes without news."""
    from specrunner.record.followed import Followed

    if known is None or not known.seen:
        return None
    return Followed(
        repository=known.repository,
        branch=known.branch,
        live=known.good,
        seen=known.seen,
        standing=str(known.standing),
        problem=known.problem,
        since=known.since,
        unhealed=known.unhealed,
        unhealed_since=known.unhealed_since,
    )


def standing_json(known: Memory) -> Mapping[str, Json]:
    """The same for scripts; what is not known is null."""
    return {
        "repository": known.repository,
        "branch": known.branch,
        "live": known.good or None,
        "seen": known.seen or None,
        "standing": str(known.standing),
        "problem": known.problem or None,
        "since": known.since or None,
        "looked": known.looked or None,
        "unreachable": known.unreachable or None,
        "unreachable_since": known.unreachable_since or None,
        "unhealed": known.unhealed or None,
        "unhealed_since": known.unhealed_since or None,
    }


def standing_lines(known: Memory, now: datetime) -> list[Line]:
    """The same for people, with an empty line after it."""
    looked = f", looked at {_ago(known.looked, now)}" if known.looked else ""
    lines = [Line(f"Follows branch {known.branch} of {known.repository}{looked}.", "bold")]
    if known.unreachable:
        lines.append(
            Line(f"It can't be fetched, first {_ago(known.unreachable_since, now)}: {known.unreachable}", "error")
        )
    lines.append(Line(f"live    {known.good[:_SHOWN] or 'nothing yet'}"))
    if known.seen:
        words, style = _STANDINGS[known.standing]
        since = f", first {_ago(known.since, now)}" if known.since else ""
        lines.append(Line(f"newest  {known.seen[:_SHOWN]}  {words}{since}", style))
    lines += [Line(f"    {line}") for line in known.problem.strip().splitlines()]
    if known.unhealed:
        since = _ago(known.unhealed_since, now)
        lines.append(Line(f"What is live can't be put as {known.good[:_SHOWN]} declares it, first {since}:", "error"))
        lines += [Line(f"    {line}") for line in known.unhealed.strip().splitlines()]
    return [*lines, Line()]


def _ago(instant: str, now: datetime) -> str:
    try:
        return ago(now - parse_iso(instant))
    except ValueError:
        return "some time ago"
