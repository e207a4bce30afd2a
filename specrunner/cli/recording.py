"""Status files: where they go, what they tell, and writing them after an apply."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from specrunner.cli.wiring import STATE_FOLDER
from specrunner.core.errors import SpecrunnerError
from specrunner.core.interrupted import Interrupted
from specrunner.core.recorded import NO_RECORDS, Records
from specrunner.core.resources import Desired

if TYPE_CHECKING:
    from specrunner.core.outcome import Outcome
    from specrunner.targets.base import Target


def status_folder(root: Path, desired: Desired) -> Path | None:
    """Where status files go; None where the project wants none. Raises SpecrunnerError for a place that is not ours."""
    if desired.status == "none":
        return None
    named = status_name(desired)
    folder = (root / named).resolve()
    if folder == root or not folder.is_relative_to(root) or folder.is_file():
        raise SpecrunnerError(
            f"Status files can't go to {named!r}.",
            detail="They need a folder of their own below the spec repository.",
            remedy="Write `status: {directory: status}` in specrunner.yaml.",
        )
    return folder


def check_status(root: Path, desired: Desired) -> None:
    """Raises SpecrunnerError if status files are wanted, and can't be written."""
    from specrunner.record.folder import FolderStatus
    from specrunner.record.names import to_file_name

    folder = status_folder(root, desired)
    if folder is not None:
        FolderStatus(folder).check(to_file_name(desired.owner.environment))


def status_name(desired: Desired) -> str:
    """The name of the folder as declared."""
    declared = desired.status
    return str(declared.get("directory", "status") if isinstance(declared, dict) else "status")


def records_of(root: Path, desired: Desired) -> Callable[[], Records]:
    """What the status files tell of a project's environment, read when it is asked for."""

    def read() -> Records:
        from specrunner.record.folder import FolderStatus
        from specrunner.record.recorded import recorded

        folder = status_folder(root, desired)
        if folder is None:
            return NO_RECORDS
        return recorded(FolderStatus(folder), desired.owner, folder.relative_to(root).as_posix())

    return read


def commit_of(root: Path, desired: Desired) -> str:
    """The commit that holds the specs just as they are; empty outside git and where they were edited since.

    What specrunner itself writes beside them makes no difference.
    """
    from specrunner.spec.revisions import head

    revision = head(root, (status_name(desired), STATE_FOLDER))
    return "" if revision is None or revision.dirty else revision.commit


def write_status(
    root: Path, desired: Desired, outcome: Outcome, target: Target, interrupted: Interrupted | None, who: str
) -> Path | None:
    """Write the status files; the page that people open, or None where none was written."""
    from specrunner.record.folder import FolderStatus
    from specrunner.record.status import record

    folder = status_folder(root, desired)
    if folder is None:
        return None
    page = record(FolderStatus(folder), desired.owner, outcome, target, interrupted=interrupted, who=who)
    return folder / page if page else None
