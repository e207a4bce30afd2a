"""Records: where they go, what they tell, writing them after an apply, and `record`, which does so without one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from specrunner.cli.options import commit_option, push_option
from specrunner.cli.terminal import say
from specrunner.cli.wiring import STATE_FOLDER, directory_option, environment_option, load_desired, open_target
from specrunner.core.errors import Severity, SpecrunnerError, UsageError
from specrunner.core.interrupted import Interrupted
from specrunner.core.recorded import NO_RECORDS, Records
from specrunner.core.resources import Desired, Owner
from specrunner.report.diagnostics import diagnostic_lines
from specrunner.report.lines import Line

if TYPE_CHECKING:
    from specrunner.core.outcome import Outcome
    from specrunner.core.values import JsonObject
    from specrunner.record.batch import Policy
    from specrunner.record.branch import BranchStatus
    from specrunner.record.folder import FolderStatus
    from specrunner.record.followed import Followed
    from specrunner.targets.base import Target

BRANCH: Final = "specrunner-status"
FOLDER: Final = "status"


@dataclass(frozen=True, slots=True)
class Place:
    """Where the records of a spec repository go: `branch` or `folder`, one of the two; and what is wanted of them.

    `remote` is a name or an address, `none`, or empty, where it is to be found out. A branch that was not `declared` is
    pushed where that works, and nobody relies on it.
    """

    root: Path
    branch: str = ""
    folder: Path | None = None
    remote: str = ""
    logs: str = "tail"
    keep: int | None = None
    declared: bool = True
    _opened: list[Any] = field(default_factory=list, compare=False)
    _commits: list[bool] = field(default_factory=list, compare=False)

    @property
    def name(self) -> str:
        """What the place is called, in front of the path of a file."""
        return f"{self.branch}:" if self.folder is None else self.folder.relative_to(self.root).as_posix()

    @property
    def policy(self) -> Policy:
        """How much is recorded."""
        from specrunner.record.batch import Policy

        return Policy(self.logs, self.keep)

    @property
    def repository(self) -> FolderStatus | BranchStatus:
        """The adapter, opened once. Raises SpecrunnerError where there is no git."""
        if not self._opened:
            self._opened.append(self._open())
        found: FolderStatus | BranchStatus = self._opened[0]
        return found

    @property
    def shared(self) -> BranchStatus | None:
        """The adapter where it is a branch, which others may see; None for a folder."""
        found: Any = self.repository
        return found if self.folder is None else None

    @property
    def is_committed(self) -> bool:
        """Whether the folder was committed here, with news in it."""
        return any(self._commits)

    def commit(self, owner: Owner) -> None:
        """Commit the folder; a branch is commits already. Raises SpecrunnerError where git refuses."""
        from specrunner.record.committing import commit_folder

        if self.folder is not None:
            self._commits.append(commit_folder(self.folder, f"Status of {owner}"))

    def _open(self) -> FolderStatus | BranchStatus:
        if self.folder is not None:
            from specrunner.record.folder import FolderStatus

            return FolderStatus(self.folder)
        from specrunner.record.branch import BranchStatus
        from specrunner.record.plumbing import Plumbing
        from specrunner.record.remote import Remote

        git = Plumbing(self.root)
        name = self.remote or git.usual_remote
        return BranchStatus(git, self.branch, Remote(git, name, self.branch) if name not in {"", "none"} else None)


def status_place(root: Path, desired: Desired) -> Place | None:
    """Where status files go; None where the project wants none. Raises SpecrunnerError for a place that is not ours.

    Where nothing is declared, it is the branch `specrunner-status` inside git, and the folder `status` outside it
    and where that folder has been used before.
    """
    if desired.status == "none":
        return None
    declared: dict[str, Any] = desired.status if isinstance(desired.status, dict) else {}
    wants = {name: declared[name] for name in ("logs", "keep") if name in declared}
    if "branch" in declared or ("directory" not in declared and _uses_branch(root, desired)):
        name, remote = declared.get("branch", BRANCH), declared.get("remote", "")
        return Place(root, name, remote=remote, **wants, declared=bool(declared))
    return Place(root, folder=_folder(root, declared.get("directory", FOLDER)), **wants)


def _uses_branch(root: Path, desired: Desired) -> bool:
    from specrunner.record.names import to_file_name

    used = root / FOLDER / to_file_name(desired.owner.environment) / "README.md"
    return not used.is_file() and any((folder / ".git").exists() for folder in (root, *root.parents))


def _folder(root: Path, named: str) -> Path:
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
    from specrunner.record.names import to_file_name

    place = status_place(root, desired)
    if place is not None:
        place.repository.check(to_file_name(desired.owner.environment))


def records_of(root: Path, desired: Desired) -> Callable[[], Records]:
    """What the status files tell of a project's environment, read when it is asked for."""

    def read() -> Records:
        from specrunner.engine.clock import SystemClock
        from specrunner.record.recorded import recorded

        place = status_place(root, desired)
        if place is None:
            return NO_RECORDS
        found = recorded(place.repository, desired.owner, place.name, SystemClock().now())
        warn(place)
        return found

    return read


def warn(place: Place) -> None:
    """Say once what is to know of records that were read."""
    if place.shared is not None:
        say(diagnostic_lines(place.shared.warnings), stderr=True)
        place.shared.warnings.clear()


def commit_of(root: Path, desired: Desired) -> str:
    """The commit that holds the specs just as they are; empty outside git and where they were edited since.

    What specrunner itself writes beside them makes no difference.
    """
    found = revision_of(root, desired)
    return "" if not found or found["dirty"] else str(found["commit"])


def revision_of(root: Path, desired: Desired) -> JsonObject:
    """The commit that is checked out, its author, and whether the specs were edited since; empty outside git."""
    from specrunner.spec.revisions import head

    status: Any = desired.status
    folder = status.get("directory", FOLDER) if isinstance(status, dict) else FOLDER
    revision = head(root, (folder, STATE_FOLDER))
    return {} if revision is None else {"commit": revision.commit, "author": revision.author, "dirty": revision.dirty}


@dataclass(frozen=True, slots=True)
class Written:
    """What was recorded: where, of whose objects, and whether everybody can see it."""

    place: Place
    page: str
    owner: Owner

    def __str__(self) -> str:
        if self.place.folder is not None:
            return f"{self.place.folder / self.page}{', committed' if self.place.is_committed else ''}"
        branch = self.place.shared
        pushed = f", pushed to {branch.remote.shown}" if branch and branch.remote and branch.is_shared else ""
        return f"{self.page} on branch {self.place.branch}{pushed}"


def write_status(
    root: Path, desired: Desired, outcome: Outcome, target: Target, interrupted: Interrupted | None, who: str
) -> Written | None:
    """Write the status files; where the page that people open is, or None where none was written.

    A branch is written here; `share` brings it to others.
    """
    from specrunner.record.status import record

    place = status_place(root, desired)
    if place is None:
        return None
    page = record(
        place.repository,
        desired.owner,
        outcome,
        target,
        interrupted=interrupted,
        who=who,
        policy=place.policy,
        revision=revision_of(root, desired),
    )
    warn(place)
    return Written(place, page, desired.owner) if page else None


def share(written: Written | None) -> None:
    """Push what was recorded, where it is a branch with a remote. Raises Unpushed; it is kept then.

    Where the project did not ask for the branch, that it can't be pushed is a warning.
    """
    if written is None or written.place.shared is None:
        return
    try:
        written.place.shared.push()
    except SpecrunnerError as problem:
        if written.place.declared:
            raise
        warnings = [replace(one, severity=Severity.WARNING) for one in problem.diagnostics]
        say(diagnostic_lines(warnings), stderr=True)


def check_commit(place: Place | None, *, wanted: bool) -> None:
    """Raises UsageError where a commit is wanted of what is no folder."""
    if wanted and (place is None or place.folder is None):
        raise UsageError(
            "--commit is for status files in a folder of the work tree.",
            detail="This project records on a branch, which is committed and pushed by itself."
            if place is not None
            else "This project wants no records.",
            remedy="Leave --commit out, or write `status: {directory: status}` in specrunner.yaml.",
        )


def commit(written: Written | None) -> None:
    """Commit what was recorded, where it is a folder. Raises SpecrunnerError; it is written then."""
    if written is not None:
        written.place.commit(written.owner)


def record_by_hand(root: Path, target: Target, owner: Owner | None, *, push: bool) -> None:
    """Record how a run went that a person has asked for, where the project has a branch for that.

    What goes wrong is a warning: the run is what was asked for, and the next record brings it along.
    """
    from specrunner.cli.wiring import read_specs
    from specrunner.engine.clock import SystemClock

    try:
        desired = read_specs(root, owner.environment if owner is not None else None, offline=True)
        place = status_place(root, desired)
        if place is None or place.shared is None or not place.declared or owner != desired.owner:
            return
        record_now(place, desired.owner, target, SystemClock().now())
        if push:
            place.shared.push()
    except SpecrunnerError as problem:
        warnings = [replace(one, severity=Severity.WARNING) for one in problem.diagnostics]
        say(diagnostic_lines(warnings), stderr=True)


def record_now(
    place: Place, owner: Owner, target: Target, now: datetime, followed: Followed | None = None
) -> str | None:
    """Write what is live, how runs went, and what a controller tells; the path of the page, None where nothing was."""
    from specrunner.record.status import record as write

    page = write(place.repository, owner, None, target, now=now, policy=place.policy, followed=followed)
    warn(place)
    return page


@click.command("record")
@directory_option
@environment_option
@push_option
@commit_option
def record(root: Path, environment: str | None, push: bool, commit: bool) -> int:
    """Record what is live and how runs went, and push what could not be pushed before.

    `apply`, `run` and `tick` do so by themselves; this is for what happened since, and after a failure. On a machine
    that has lost its memory nothing but the push is done.
    """
    from specrunner.cli.planning import clock

    desired = load_desired(root, environment, offline=True)
    place = status_place(root, desired)
    check_commit(place, wanted=commit)
    if place is None:
        say([Line("This project wants no records: `status: none` stands in specrunner.yaml.")])
        return 0
    with open_target(root, desired) as target:
        page = None
        if target.remembers(desired.owner):
            page = record_now(place, desired.owner, target, clock().now())
        else:
            say([Line("Nothing of this project was applied here, so nothing new is recorded.", "dim")])
    warn(place)
    if push and place.shared is not None:
        place.shared.push()
    if commit:
        place.commit(desired.owner)
    if page:
        say([Line(f"Status: {Written(place, page, desired.owner)}")])
    return 0
