"""Writing down what an apply did, how runs went, and what is live after it: one batch of files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Final, Protocol

from specrunner.core.interrupted import Interrupted
from specrunner.core.keys import Key
from specrunner.core.outcome import Fate, Outcome, RunView
from specrunner.core.ports import StatusRepository
from specrunner.core.resources import Live, LiveObject, Owner, Presence
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
) -> str | None:
    """Write the status of everything that `owner` has live; the path of the page, None where nothing was to write.

    `outcome` is that of an apply, None where there was none and `now` says the time. `interrupted` is an apply that
    could not record itself, `who` carried this one out; `revision` is what git knows of the files. Files that say the
    same as before are not touched, so that a file's change is always news.
    """
    prefix = f"{to_file_name(owner.environment)}/"
    views = target.runs()  # notices what has ended meanwhile, and the states that are read next follow from it
    live = {key: found for key, found in target.read().items() if found.owner == owner}
    old = {name.removeprefix(prefix): data for name, data in repository.read(prefix).items()}
    if not live and not old and not (outcome and outcome.steps) and interrupted is None:
        return None
    moment = outcome.ended if outcome is not None else now
    assert moment is not None, "the time is known"  # noqa: S101 (whoever calls this has a clock)
    batch = Batch(owner, old, moment, target.log, outcome.plan.commit if outcome else "", policy, _done(outcome))
    present = {key: found for key, found in live.items() if found.presence is Presence.PRESENT}
    files = batch.files(present, views) | _applies(owner, interrupted, old)
    if outcome is not None and (outcome.steps or outcome.problems):
        files[apply_path(outcome.started, outcome.plan.hash)] = to_yaml(apply_file(outcome, who, revision))
    rows = [row for row in batch.rows(files) if row.key in present]
    files |= batch.pages(files, rows)
    files |= _gone(_of(owner, old), files, live, keep_objects=bool(outcome and outcome.unrestored))
    _write(repository, prefix, old, files, _message(owner, outcome))
    return prefix + PAGE


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
    old = {name.removeprefix(prefix): data for name, data in repository.read(prefix).items()}
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


def _of(owner: Owner, old: Mapping[str, bytes]) -> Mapping[str, bytes]:
    """The files without those of another project's objects and their runs."""
    heads = {name: header_of(data) for name, data in old.items() if is_object(name)}
    others = {name: head for name, head in heads.items() if head.get("owner", str(owner)) != str(owner)}
    names = [name.removeprefix("tasks/").removesuffix(".yaml") for name in others]
    runs = tuple(f"{folder}/{name}" for name in names for folder in ("runs", "logs", "claims", "badges"))
    shared = {WHOLE} if others else set()
    return {
        name: data
        for name, data in old.items()
        if name not in others and name not in shared and not name.startswith(runs)
    }


def _gone(old: Mapping[str, bytes], files: Files, live: Live, *, keep_objects: bool) -> Files:
    """Records of objects that are gone, with their runs, logs and badges; what we did not write stays.

    An object that somebody else removed keeps its record while it is ours. Where something could not be brought back,
    no record is removed: it is all that is left.
    """
    if keep_objects:
        return {}
    kept = {object_path(key) for key, found in live.items() if found.presence is Presence.MISSING}
    names = [path.removeprefix("tasks/").removesuffix(".yaml") for path in {*kept, *files} if path.startswith("tasks/")]
    of_tasks = {f"{folder}/{name}/" for name in names for folder in ("runs", "logs", "claims")}
    return {
        name: None
        for name, data in old.items()
        if name not in files and name not in kept and f"{name.rpartition('/')[0]}/" not in of_tasks
        if is_ours(name, data) or is_badge(name, data) or name.startswith("logs/")
    }
