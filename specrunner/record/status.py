"""Writing down what an apply did and what is live after it: one batch of files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Protocol

from specrunner.core.errors import NotFound
from specrunner.core.interrupted import Interrupted
from specrunner.core.keys import Key, Kind
from specrunner.core.outcome import Fate, Outcome, RunView
from specrunner.core.ports import StatusRepository
from specrunner.core.resources import Live, LiveObject, Owner, Presence
from specrunner.record.files import (
    apply_file,
    apply_path,
    interrupted_file,
    is_object,
    is_ours,
    object_file,
    object_path,
    run_file,
    run_path,
    runs_folder,
)
from specrunner.record.names import to_file_name
from specrunner.record.page import page
from specrunner.record.recorded import ended_runs, header_of, intent_runs, run_of
from specrunner.record.writing import to_yaml

_DEFAULT_HISTORY: Final = 10

Files = dict[str, bytes | None]


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
    outcome: Outcome,
    target: Views,
    *,
    interrupted: Interrupted | None = None,
    who: str = "",
) -> str | None:
    """Write the status of everything that `owner` has live; the path of the page, None where nothing was to write.

    `interrupted` is an apply that could not record itself, `who` carried this one out. Files that say the same as
    before are not touched, so that a file's change is always news.
    """
    prefix = f"{to_file_name(owner.environment)}/"
    target.runs()  # notices what has ended meanwhile, and the states that are read next follow from it
    live = {key: found for key, found in target.read().items() if found.owner == owner}
    old = {name.removeprefix(prefix): data for name, data in repository.read(prefix).items()}
    if not live and not old and not outcome.steps and interrupted is None:
        return None
    batch = _Batch(owner, outcome, target, {key: f for key, f in live.items() if f.presence is Presence.PRESENT}, old)
    files = batch.files() | _applies(owner, outcome, interrupted, who, old)
    gone = _gone(_of(owner, old), files, live, keep_objects=bool(outcome.unrestored))
    news = {prefix + name: data for name, data in (files | gone).items() if data != old.get(name)}
    if news:
        repository.write(news, f"Status of {owner} after apply {outcome.plan.hash[:12]}")
    return prefix + "README.md"


@dataclass(slots=True)
class _Batch:
    """The files of what is there, beside those that were there before (`old`)."""

    owner: Owner
    outcome: Outcome
    target: Views
    objects: Mapping[Key, LiveObject]
    old: Mapping[str, bytes]
    done: frozenset[Key] = frozenset()

    def __post_init__(self) -> None:
        self.done = frozenset(outcome.step.key for outcome in self.outcome.with_fate(Fate.DONE))

    def files(self) -> Files:
        """Objects, runs and the page."""
        known = self._runs_by_task()
        runs = {key: _shown(views.values(), self.objects[key]) for key, views in known.items()}
        files: Files = {}
        for key, found in self.objects.items():
            path = object_path(key)
            files[path] = self._object(found, path, runs.get(key, ()))
        for views in runs.values():
            files |= self._run_files([view for view in views if view.status.ended])
        return files | {"README.md": page(self.owner, self.objects, runs)}

    def _object(self, found: LiveObject, path: str, runs: Sequence[RunView]) -> bytes:
        """The commit is that which changed the spec last, and the id that of then: another one is no news.

        On each fresh machine the object has another id, because it was brought back.
        """
        old = self.old.get(path, b"")
        ids = {**intent_runs(old), **{run.intent: run.id for run in reversed(runs) if run.intent}}
        written = object_file(found, self.outcome.plan.commit, runs, ids)
        before = header_of(old)
        if before.get("specHash") == written["specHash"]:
            commit = before.get("observedCommit", "")
            identity = found.id if found.key in self.done else before.get("id", found.id)
            written = object_file(replace(found, id=identity), commit, runs, ids)
        return to_yaml(written)

    def _runs_by_task(self) -> dict[Key, dict[str, RunView]]:
        """The runs of each task, by their paths; what is recorded of one counts, for the target may have forgotten."""
        found: dict[Key, dict[str, RunView]] = {key: {} for key in self.objects if key.kind is Kind.TASK}
        for view in self.target.runs():
            if view.task in found:
                found[view.task][run_path(view)] = view
        for key, views in found.items():
            for view in self._pruned(key, views):
                del views[run_path(view)]
        tasks = {runs_folder(key): key for key in found}
        for path, data in self.old.items():
            task = tasks.get(path[: path.rfind("/") + 1])
            known = run_of(task, data) if task is not None else None
            if task is not None and known is not None:
                found[task][path] = _merged(found[task].get(path), known)
        return found

    def _pruned(self, task: Key, views: Mapping[str, RunView]) -> list[RunView]:
        """Runs whose records had been removed for their age, and that a target knows again since they were restored."""
        before = self.old.get(object_path(task))
        ended = ended_runs(before) if before is not None else frozenset()
        return [view for path, view in views.items() if view.id in ended and path not in self.old]

    def _run_files(self, runs: Sequence[RunView]) -> Files:
        """The records of these runs; one that is written already stays as it is: an ended run never changes."""
        files: Files = {}
        for run in runs:
            path = run_path(run)
            files[path] = self.old[path] if path in self.old else to_yaml(run_file(self._with_tail(run)))
        return files

    def _with_tail(self, run: RunView) -> RunView:
        with suppress(NotFound):  # a run that was brought back from its record has no log
            return replace(run, log_tail=tuple(text for _, text in self.target.log(run.id)))
        return run


def _merged(run: RunView | None, known: RunView) -> RunView:
    if run is None:
        return known
    run = replace(run, status=known.status, reason=known.reason)
    return replace(run, created=known.created, started=known.started, ended=known.ended)


def _created(run: RunView) -> datetime:
    return run.created


def _shown(runs: Iterable[RunView], task: LiveObject) -> list[RunView]:
    """The runs that are told of, newest first: those that go on, and of the ended ones as many as `history` says."""
    history = task.spec.get("history", {})
    newest = sorted(runs, key=_created, reverse=True)
    ended = [run for run in newest if run.status.ended]
    good = [run for run in ended if run.succeeded][: history.get("succeeded", _DEFAULT_HISTORY)]
    bad = [run for run in ended if not run.succeeded][: history.get("failed", _DEFAULT_HISTORY)]
    kept = {run.id for run in (*good, *bad)}
    return [run for run in newest if run.id in kept or not run.status.ended]


def _applies(
    owner: Owner, outcome: Outcome, interrupted: Interrupted | None, who: str, old: Mapping[str, bytes]
) -> Files:
    files: Files = {}
    while interrupted is not None:
        path = apply_path(interrupted.started, interrupted.plan)
        if path not in old:  # else it was killed between its record and the end of its journal
            files[path] = to_yaml(interrupted_file(owner, interrupted))
        interrupted = interrupted.earlier
    if outcome.steps or outcome.problems:
        files[apply_path(outcome.started, outcome.plan.hash)] = to_yaml(apply_file(outcome, who))
    return files


def _of(owner: Owner, old: Mapping[str, bytes]) -> Mapping[str, bytes]:
    """The files without those of another project's objects and their runs."""
    heads = {name: header_of(data) for name, data in old.items() if is_object(name)}
    others = {name: head for name, head in heads.items() if head.get("owner", str(owner)) != str(owner)}
    runs = tuple(f"runs/{name.removeprefix('tasks/').removesuffix('.yaml')}/" for name in others)
    return {name: data for name, data in old.items() if name not in others and not name.startswith(runs)}


def _gone(old: Mapping[str, bytes], files: Files, live: Live, *, keep_objects: bool) -> Files:
    """Records of objects that are gone and of runs that are no longer kept; what we did not write stays.

    An object that somebody else removed keeps its record while it is ours. Where something could not be brought back,
    no record is removed: it is all that is left.
    """
    kept = {object_path(key) for key, found in live.items() if found.presence is Presence.MISSING}
    gone = (name for name, data in old.items() if name not in files and name not in kept and is_ours(name, data))
    return {name: None for name in gone if not (keep_objects and (is_object(name) or name.startswith("runs/")))}
