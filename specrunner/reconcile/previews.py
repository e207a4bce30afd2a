"""What a plan shows beside its steps: who uses an object, when a schedule fires, which files of a bundle differ.

For people only: nothing is decided by it, it is no part of the hash, and what can't be found out is left out.
"""

from __future__ import annotations

import difflib
import io
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from specrunner.core.bundles import Manifest, ManifestChange, ManifestEntry
from specrunner.core.cron import Schedule, upcoming
from specrunner.core.errors import SpecrunnerError
from specrunner.core.impact import with_impact
from specrunner.core.keys import Key, Kind
from specrunner.core.plan import Edit, FileChange, Fires, Plan, Step, with_steps
from specrunner.core.recorded import Recorded
from specrunner.core.renames import renamed
from specrunner.core.resources import Desired, Live, LiveObject, Resource
from specrunner.core.values import Json, iso
from specrunner.reconcile.history import AtCommit, recorded_payload, unknown_commit
from specrunner.targets.base import Target

_INSTANTS: Final = 3
_LARGEST_TEXT: Final = 64 * 2**10  # bytes; a larger file is named, and not compared line by line
_MOST_LINES: Final = 200  # of the diff of one file


@dataclass(frozen=True, slots=True)
class Stores:
    """Where the bytes in force are: on the target, or where that has lost them, at the commit of the record."""

    target: Target
    recorded: Mapping[Key, Recorded] = field(default_factory=dict)
    at_commit: AtCommit = unknown_commit

    def bytes_of(self, key: Key) -> bytes | None:
        """The bytes of a model or an orchestration, by the key that it is live or recorded under."""
        if key not in self.recorded:
            stored = self.target.stored(key)
            return None if stored is None else stored.data
        payload = recorded_payload(self.recorded[key], self.at_commit)
        return None if payload is None else payload.read()


def previewed(plan: Plan, desired: Desired, live: Live, stores: Stores, now: datetime) -> Plan:
    """The same plan with previews. Opens only the bundles that differ; raises nothing."""
    seen, steps = renamed(desired, live), []
    for step in plan.steps:
        resource, before = desired.resources.get(step.key), seen.live.get(step.key)
        fires = _fires(step, resource, before, now)
        files = _files(step, resource, stores, seen.origin.get(step.key, step.key))
        steps.append(replace(step, fires=fires, files=files) if fires or files else step)
    return with_impact(with_steps(plan, steps), desired.resources)


def _fires(step: Step, resource: Resource | None, live: LiveObject | None, now: datetime) -> Fires | None:
    """For a task whose schedule is new, changed or gone."""
    if step.key.kind is not Kind.TASK or resource is None:
        return None
    if not step.creates and all(change.path.partition(".")[0] != "schedule" for change in step.changes):
        return None
    before = live.spec.get("schedule") if live is not None and not step.creates else None
    fires = Fires(_instants(before, now), _instants(resource.spec.get("schedule"), now))
    return fires if fires.before or fires.after else None


def _instants(schedule: Json, now: datetime) -> tuple[str, ...]:
    if not schedule or (isinstance(schedule, Mapping) and schedule.get("suspend")):
        return ()
    try:
        return tuple(iso(instant) for instant in upcoming(Schedule.of(schedule), now, _INSTANTS))
    except (ValueError, OverflowError):  # what is live may be of another version
        return ()


def _files(step: Step, resource: Resource | None, stores: Stores, live_key: Key) -> tuple[FileChange, ...]:
    """For an orchestration that gets other bytes; it may be live under another key, or in another workspace."""
    if step.key.kind is not Kind.ORCHESTRATION or resource is None or resource.payload is None:
        return ()
    if all(change.path != "sha" for change in step.changes):
        return ()
    try:
        before = stores.bytes_of(live_key)
        return () if before is None else file_changes(before, resource.payload.read())
    except (SpecrunnerError, ValueError, OSError):
        return ()


def file_changes(old: bytes, new: bytes) -> tuple[FileChange, ...]:
    """What differs between two zips, by file, text files with a unified diff.

    Raises ValueError for what is no zip or unpacks to more than is allowed.
    """
    changes = Manifest.of_zip(old).changes_to(Manifest.of_zip(new))
    try:
        with zipfile.ZipFile(io.BytesIO(old)) as before, zipfile.ZipFile(io.BytesIO(new)) as after:
            return tuple(_file_change(change, before, after) for change in changes)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as problem:
        raise ValueError(f"the zip can't be read: {problem}") from problem


def _file_change(change: ManifestChange, before: zipfile.ZipFile, after: zipfile.ZipFile) -> FileChange:
    edit = Edit.ADDED if change.old is None else Edit.REMOVED if change.new is None else Edit.CHANGED
    old, new = _lines(before, change.old), _lines(after, change.new)
    if old is None or new is None:
        return FileChange(change.name, edit)
    return FileChange(change.name, edit, _diff(old, new, change))


def _diff(old: Sequence[str], new: Sequence[str], change: ManifestChange) -> tuple[str, ...]:
    before = f"a/{change.name}" if change.old else "/dev/null"
    after = f"b/{change.name}" if change.new else "/dev/null"
    lines = list(difflib.unified_diff(old, new, before, after, lineterm=""))
    if len(lines) > _MOST_LINES:
        lines[_MOST_LINES:] = [f"… {len(lines) - _MOST_LINES} more lines"]
    return tuple(lines)


def _lines(archive: zipfile.ZipFile, entry: ManifestEntry | None) -> list[str] | None:
    """The lines of a text; none of a file that is not there, None for one that is large or no text."""
    if entry is None:
        return []
    if entry.size > _LARGEST_TEXT:
        return None
    data = archive.read(entry.name)
    if b"\0" in data:
        return None
    try:
        return data.decode("utf-8").splitlines()
    except UnicodeDecodeError:
        return None
