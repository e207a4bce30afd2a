"""Writing down what an apply did, how runs went, and what is live after it: one batch of files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Final, Protocol

from specrunner.core.interrupted import Interrupted
from specrunner.core.keys import Key
from specrunner.core.outcome import Fate, Outcome, RunView
from specrunner.core.ports import StatusRepository
from specrunner.core.resources import Live, LiveObject, Owner, Presence
from specrunner.core.uncollected import uncollected
from specrunner.core.values import JsonObject
from specrunner.record.badges import WHOLE, is_badge
from specrunner.record.batch import USUAL, Batch, Files, Log, Policy
from specrunner.record.files import (
    apply_file,
    apply_path,
    interrupted_file,
    is_object,
    is_ours,
    object_path,
)
from specrunner.record.followed import CONTROLLER, Followed, controller_file
from specrunner.record.listing import Files as RecordedFiles
from specrunner.record.listing import folder_of
from specrunner.record.names import to_file_name
from specrunner.record.page import PAGE
from specrunner.record.summary import header_of
from specrunner.record.writing import to_yaml

NOTHING: Final[JsonObject] = MappingProxyType({})


class Views(Protocol):
    """The part of a target that records are written from."""

    def read(self) -> Live:
        """Everything live."""

    def runs(self, task: Key | None = None) -> Sequence[RunView]:
        """Runs, newest first."""

    def log(self, run_id: str) -> Iterator[tuple[float, str]]:
        """The lines of a run's log."""


@uncollected()
def record(
    repository: StatusRepository,
    owner: Owner,
    outcome: Outcome | None,
    target: Views,
    *,
    now: datetime | None = None,
    interrupted: Interrupted | None = None,
    who: str = "",
    policy: Policy = USUAL,
    revision: JsonObject = NOTHING,
    followed: Followed | None = None,
) -> str | None:
    """Write the status of everything that `owner` has live; the path of the page, None where nothing was to write.

    `outcome` is that of an apply, None where there was none and `now` says the time. `interrupted` is an apply that
    could not record itself, `who` carried this one out; `revision` is what git knows of the files,
    `followed` what a controller has to tell, None where there is none. Files that say the same as before are not
    touched, so that a file's change is always news.
    """
    prefix = f"{to_file_name(owner.environment)}/"
    views = target.runs()  # notices what has ended meanwhile, and the states that are read next follow from it
    live = {key: found for key, found in target.read().items() if found.owner == owner}
    old = RecordedFiles(repository.read(prefix), prefix)
    if not (live or old or (outcome and outcome.steps) or interrupted or followed):
        return None
    moment = outcome.ended if outcome is not None else now
    assert moment is not None, "the time is known"  # noqa: S101 (whoever calls this has a clock)
    batch = Batch(owner, old, moment, target.log, outcome.plan.commit if outcome else "", policy, _done(outcome))
    present = {key: found for key, found in live.items() if found.presence is Presence.PRESENT}
    files = batch.files(present, views) | _applies(owner, interrupted, old)
    if followed is not None:
        files[CONTROLLER] = to_yaml(controller_file(owner, followed))
    if outcome is not None and (outcome.steps or outcome.problems):
        files[apply_path(outcome.started, outcome.plan.hash)] = to_yaml(apply_file(outcome, who, revision))
    rows = [row for row in batch.rows(files) if row.key in present]
    files |= batch.pages(files, rows)
    if outcome is None or not outcome.unrestored:  # else a record may be all that is left of an object
        files |= _gone(owner, old, files, live)
    _write(repository, prefix, old, files, _message(owner, outcome))
    return prefix + PAGE


@uncollected()
def record_runs(
    repository: StatusRepository,
    owner: Owner,
    tasks: Mapping[Key, LiveObject],
    runs: Sequence[RunView],
    log: Log,
    now: datetime,
    *,
    message: str,
    policy: Policy = USUAL,
) -> None:
    """Write how runs of these tasks went, and nothing of anything else; for who has not all of the project at hand."""
    prefix = f"{to_file_name(owner.environment)}/"
    old = RecordedFiles(repository.read(prefix), prefix)
    batch = Batch(owner, old, now, log, policy=policy)
    files = batch.files(tasks, runs)
    files |= batch.pages(files, batch.rows(files))
    _write(repository, prefix, old, files, message)


def _write(repository: StatusRepository, prefix: str, old: Mapping[str, bytes], files: Files, message: str) -> None:
    news = {prefix + name: data for name, data in files.items() if data != old.get(name)}
    if news:
        repository.write(news, message)


def _message(owner: Owner, outcome: Outcome | None) -> str:
    return f"Status of {owner}" + (f" after apply {outcome.plan.hash[:12]}" if outcome is not None else "")


def _done(outcome: Outcome | None) -> frozenset[Key]:
    return frozenset(one.step.key for one in outcome.with_fate(Fate.DONE)) if outcome is not None else frozenset()


def _applies(owner: Owner, interrupted: Interrupted | None, old: Mapping[str, bytes]) -> Files:
    """The records of applies that could not write their own."""
    files: Files = {}
    while interrupted is not None:
        path = apply_path(interrupted.started, interrupted.plan)
        if path not in old:  # else it was killed between its record and the end of its journal
            files[path] = to_yaml(interrupted_file(owner, interrupted))
        interrupted = interrupted.earlier
    return files


def _others(owner: Owner, old: Mapping[str, bytes]) -> Callable[[str], bool]:
    """Whether a path is that of another project's object, its runs, or what it shares with us."""
    heads = {name: header_of(old[name]) for name in old if is_object(name)}
    others = {name for name, head in heads.items() if head.get("owner", str(owner)) != str(owner)}
    names = [name.removeprefix("tasks/").removesuffix(".yaml") for name in others if name.startswith("tasks/")]
    runs = tuple(f"{folder}/{name}" for name in names for folder in ("runs", "logs", "claims", "badges"))
    return lambda path: path in others or (bool(others) and (path == WHOLE or path.startswith(runs)))


def _gone(owner: Owner, old: RecordedFiles, files: Files, live: Live) -> Files:
    """Records of objects that are gone, with their runs, logs and badges; what we did not write stays.

    An object that somebody else removed keeps its record while it is ours.
    """
    kept = {object_path(key) for key, found in live.items() if found.presence is Presence.MISSING}
    names = [path.removeprefix("tasks/").removesuffix(".yaml") for path in {*kept, *files} if path.startswith("tasks/")]
    kept |= {f"badges/{name}.svg" for name in names}
    of_tasks = {f"{folder}/{name}/" for name in names for folder in ("runs", "logs", "claims")}
    maybe = [path for path in old if path not in files and path not in kept and folder_of(path) not in of_tasks]
    if all(path.startswith("applies/") for path in maybe):
        return {}
    is_other = _others(owner, old)
    return {path: None for path in maybe if not is_other(path) and _is_ours(path, old)}


def _is_ours(path: str, old: Mapping[str, bytes]) -> bool:
    if path.startswith("applies/") or ("/" not in path and path != WHOLE):
        return False
    return path.startswith("logs/") or is_ours(path, old[path]) or is_badge(path, old[path])
