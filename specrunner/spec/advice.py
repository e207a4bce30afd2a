"""What is valid and still worth a word: a schedule that has ended, patches that no environment uses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from specrunner.core.errors import Diagnostic, Place, Severity
from specrunner.core.keys import Kind
from specrunner.core.values import JsonObject, iso, parse_iso
from specrunner.spec.drafts import Draft
from specrunner.spec.findings import Finding, listed, nearest
from specrunner.spec.mistakes import Mistake
from specrunner.spec.positions import diagnose
from specrunner.spec.schedules import last_moment


def ended_schedules(drafts: Sequence[Draft], now: datetime) -> Iterator[Diagnostic]:
    """A warning for each task whose schedule has no instant from `now` on."""
    for draft in drafts:
        schedule = draft.spec.get("schedule")
        if draft.key and draft.key.kind is Kind.TASK and isinstance(schedule, dict):
            is_wrong = any(finding.trail[:2] == ("spec", "schedule") for finding in draft.findings)
            end = None if is_wrong else end_of(schedule)
            if end and end < now:
                yield diagnose(draft.manifest.layers, _ended(draft.manifest.value, schedule, end))


def end_of(schedule: JsonObject) -> datetime | None:
    """The instant after which a normalised schedule never fires, `until` or its year's last; None where it has none."""
    found = [parse_iso(schedule["until"])] if "until" in schedule else []
    moment = last_moment(schedule["cron"])
    if moment:
        found.append(moment.replace(tzinfo=ZoneInfo(schedule["timezone"])).astimezone(UTC))
    return min(found, default=None)


def _ended(value: JsonObject, schedule: JsonObject, end: datetime) -> Finding:
    is_full = isinstance(value["spec"].get("schedule"), dict)
    by_until = "until" in schedule and parse_iso(schedule["until"]) == end
    part = ("until" if by_until else "cron",) if is_full and (by_until or "cron" in value["spec"]["schedule"]) else ()
    remedy = "Choose a later `until`" if by_until else "Choose a later year"
    return Finding(
        ("spec", "schedule", *part),
        "the schedule has ended",
        f"Its last instant was at or before {iso(end)}: the task never runs by itself again.",
        f"{remedy}, or delete the task.",
        code=Mistake.ENDED_SCHEDULE,
        severity=Severity.WARNING,
    )


def unused_patches(root: Path, environments: Sequence[str]) -> Iterator[Diagnostic]:
    """A warning for each folder of patches below `environments/` whose name is no environment's."""
    folder = root / "environments"
    names = sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    for name in names:
        if name not in environments and not name.startswith("."):
            meant = nearest(name, environments)
            yield Diagnostic(
                f"there is no environment {name!r} for these patches",
                f"The project declares {listed(environments) or 'no environments'}; what stands here is never used.",
                f"Rename the folder to `environments/{meant}`."
                if meant
                else "Declare the environment in specrunner.yaml, or delete the folder.",
                Place(f"environments/{name}"),
                severity=Severity.WARNING,
                code=Mistake.UNUSED_PATCHES,
            )
