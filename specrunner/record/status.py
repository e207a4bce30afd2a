"""Writing down what an apply did and what is live after it: one batch of files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from specrunner.core.keys import Key, Kind
from specrunner.core.outcome import Outcome, RunView
from specrunner.core.ports import StatusRepository
from specrunner.core.resources import Live, LiveObject, Owner
from specrunner.record.files import (
    apply_file,
    apply_path,
    is_ours,
    object_file,
    object_path,
    run_file,
    run_path,
    to_yaml,
)
from specrunner.record.names import to_file_name
from specrunner.record.page import page

_DEFAULT_HISTORY = 10

Files = dict[str, bytes | None]


class Views(Protocol):
    """The part of a target that records are written from."""

    def read(self) -> Live:
        """Everything live."""

    def runs(self, task: Key | None = None) -> Sequence[RunView]:
        """Runs, newest first."""

    def log(self, run_id: str) -> Iterator[tuple[float, str]]:
        """The lines of a run's log."""


def record(repository: StatusRepository, owner: Owner, outcome: Outcome, target: Views) -> str | None:
    """Write the status of everything that `owner` has live; the path of the page, None where nothing was to write.

    Files that say the same as before are not touched, so that a file's change is always news.
    """
    prefix = f"{to_file_name(owner.environment)}/"
    objects = {key: found for key, found in target.read().items() if found.owner == owner}
    old = repository.read(prefix)
    if not objects and not old and not outcome.steps:
        return None
    runs = _runs_by_task(target, objects)
    files: Files = {}
    for key, found in objects.items():
        files[object_path(key)] = to_yaml(object_file(found, outcome.plan.commit, runs.get(key, ())))
    for key, views in runs.items():
        files |= _run_files(target, _kept(views, objects[key]), old, prefix)
    files["README.md"] = page(owner, objects, runs)
    gone = _gone(old, prefix, files)
    if outcome.steps:
        files[apply_path(outcome)] = to_yaml(apply_file(outcome))
    batch: Files = {prefix + name: data for name, data in (files | gone).items()}
    repository.write(batch, f"Status of {owner} after apply {outcome.plan.hash[:12]}")
    return prefix + "README.md"


def _runs_by_task(target: Views, objects: Mapping[Key, LiveObject]) -> dict[Key, list[RunView]]:
    found: dict[Key, list[RunView]] = {key: [] for key in objects if key.kind is Kind.TASK}
    for view in target.runs():
        if view.task in found:
            found[view.task].append(view)
    return found


def _kept(runs: Sequence[RunView], task: LiveObject) -> list[RunView]:
    """The ended runs whose records are kept, by the task's `history`."""
    history = task.spec.get("history", {})
    ended = [run for run in runs if run.status.ended]
    good = [run for run in ended if run.succeeded][: history.get("succeeded", _DEFAULT_HISTORY)]
    bad = [run for run in ended if not run.succeeded][: history.get("failed", _DEFAULT_HISTORY)]
    return good + bad


def _run_files(target: Views, runs: Sequence[RunView], old: Mapping[str, bytes], prefix: str) -> Files:
    """The records of these runs; one that is written already stays as it is: an ended run never changes."""
    files: Files = {}
    for run in runs:
        path = run_path(run)
        known = old.get(prefix + path)
        files[path] = known if known is not None else to_yaml(run_file(_with_tail(target, run)))
    return files


def _with_tail(target: Views, run: RunView) -> RunView:
    return replace(run, log_tail=tuple(text for _, text in target.log(run.id)))


def _gone(old: Mapping[str, bytes], prefix: str, files: Files) -> Files:
    """Records of objects that are gone and of runs that are no longer kept; what we did not write stays."""
    names = {name.removeprefix(prefix): data for name, data in old.items()}
    return {name: None for name, data in names.items() if name not in files and is_ours(name, data)}
