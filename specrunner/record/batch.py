"""The files of a batch: what is told of objects and their runs, beside what was told before.

What a target has forgotten is still known from the records of before, and what is no longer told of a task goes in the
same batch: `history` or `status.keep` says how many runs stay, and older ones live on as monthly totals.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from specrunner.core.due import Timing
from specrunner.core.errors import NotFound
from specrunner.core.keys import Key, Kind
from specrunner.core.lifecycle import RunState
from specrunner.core.outcome import RunView
from specrunner.core.resources import LiveObject, Owner, intent_of, is_run_once
from specrunner.core.values import digest, iso
from specrunner.record.badges import WHOLE, badge_path, task_badge, whole_badge
from specrunner.record.files import (
    APPLIES,
    OBJECTS,
    Told,
    claims_folder,
    is_object,
    log_path,
    object_file,
    object_path,
    run_file,
    run_path,
    runs_folder,
)
from specrunner.record.followed import CONTROLLER, followed_in
from specrunner.record.listing import Files as RecordedFiles
from specrunner.record.page import PAGE, Row, page, row_of
from specrunner.record.recorded import run_of
from specrunner.record.summary import (
    ended_runs,
    head_of,
    header_of,
    intent_runs,
    intents_of,
    last_runs,
    older_runs,
    runs_block,
    settled_of,
    told_ends,
)
from specrunner.record.writing import to_yaml, with_block

_DEFAULT_HISTORY: Final = 10
_UPCOMING: Final = 3
_TOLD: Final = 10  # runs in the file of a task

Files = dict[str, bytes | None]
Log = Callable[[str], Iterator[tuple[float, str]]]


@dataclass(frozen=True, slots=True)
class Policy:
    """What the project wants of its records: `logs` is `full`, `tail` or `none`; `keep` overrides each `history`."""

    logs: str = "tail"
    keep: int | None = None


USUAL: Final = Policy()


@dataclass(slots=True)
class Batch:
    """The files of one batch. `old` are those of before, by their paths below the environment.

    `done` are the objects that were just changed, from `commit`; `log` gives the lines of a run's log.
    """

    owner: Owner
    old: RecordedFiles
    now: datetime
    log: Log
    commit: str = ""
    policy: Policy = USUAL
    done: frozenset[Key] = frozenset()

    def files(self, objects: Mapping[Key, LiveObject], views: Iterable[RunView]) -> Files:
        """The files of these objects and of the runs of the tasks among them; None removes a file."""
        objects = {key: self._remembering(found) for key, found in objects.items()}
        quiet, views = self._quiet(objects, views)
        known = self._runs_by_task({key: found for key, found in objects.items() if key not in quiet}, views)
        files: Files = {}
        for key, found in objects.items():
            path = object_path(key)
            if key in quiet:
                files[path] = self._same(found, path)
                files |= dict.fromkeys(self._settled_claims(found))
            if key.kind is not Kind.TASK:
                files[path] = self._object(found, path, Told())
            if key not in known:
                continue
            shown = _shown(known[key].values(), found, self.policy)
            gone = [path for path in known[key] if path in self.old and known[key][path] not in shown]
            files |= self._run_files([run for run in shown if run.status.ended])
            files |= {each: None for path in gone for each in (path, log_path(path)) if each in self.old}
            files |= dict.fromkeys(self._settled_claims(found))
            files[path] = self._object(found, path, self._told(found, path, shown, [known[key][one] for one in gone]))
        return files

    def _remembering(self, found: LiveObject) -> LiveObject:
        """A run-once task as it is, and how its order has ended where only the records tell: elsewhere, that is."""
        if found.key.kind is not Kind.TASK or not is_run_once(found.spec):
            return found
        told = intents_of(self.old.get(object_path(found.key), b""))
        now = {intent: str(state) for intent, state in found.intents.items()}
        intent = intent_of(found.spec)
        kept = {one: RunState(state) for one, state in told_ends(told, now).items() if one == intent}
        return replace(found, intents={**found.intents, **kept}) if kept else found

    def _quiet(
        self, objects: Mapping[Key, LiveObject], views: Iterable[RunView]
    ) -> tuple[frozenset[Key], list[RunView]]:
        """The tasks without news of runs, whose records need not be looked at, and the runs of the others."""
        by_task: dict[Key, list[RunView]] = {}
        for view in views:
            by_task.setdefault(view.task, []).append(view)
        tasks = [found for key, found in objects.items() if key.kind is Kind.TASK and object_path(key) in self.old]
        quiet = frozenset(task.key for task in tasks if self._is_quiet(task, by_task.get(task.key, ())))
        return quiet, [view for key, runs in by_task.items() if key not in quiet for view in runs]

    def _is_quiet(self, task: LiveObject, views: Sequence[RunView]) -> bool:
        old = self.old[object_path(task.key)]
        head = header_of(old)
        if head.get("state") != task.state or head.get("specHash") != digest(dict(task.applied or {})):
            return False
        if intents_of(old) != {intent: str(state) for intent, state in task.intents.items()}:
            return False
        if task.spec.get("schedule") is not None and settled_of(old) is None:
            return False
        told, pruned = last_runs(old), ended_runs(old)
        newest = sorted(views, key=_created, reverse=True)[:_TOLD]
        return all(told.get(run.id) == run.status for run in newest if run.id not in pruned)

    def _same(self, task: LiveObject, path: str) -> bytes:
        """The file of a quiet task: as it was, unless something else is told of it."""
        old = self.old[path]
        says_more = any(f"\n{name}:" in head_of(old) for name in ("detail", "labels", "description", "protect"))
        more = task.detail or task.labels or task.description or task.protect or task.key in self.done
        return self._object(task, path, Told(block=runs_block(old))) if more or says_more else old

    def pages(self, files: Mapping[str, bytes | None], rows: Iterable[Row]) -> Files:
        """The page, of all that is told of now, and the badges of what is news."""
        told = {row.key: row for row in rows}
        tasks = [row for key, row in sorted(told.items()) if key.kind is Kind.TASK]
        applies = max(
            [*self.old.under(APPLIES), *(path for path in files if path.startswith(f"{APPLIES}/"))], default=""
        )
        told_of = files.get(CONTROLLER) or self.old.get(CONTROLLER)
        made: Files = {PAGE: page(self.owner, told, applies, followed_in(told_of) if told_of else None)}
        statuses = [row.last.status if row.last else "" for row in tasks]
        for row, said in zip(tasks, statuses, strict=True):
            path = object_path(row.key)
            if path in files and (files[path] is not self.old.get(path) or badge_path(row.key) not in self.old):
                made[badge_path(row.key)] = task_badge(row.key, said)
        return made | ({WHOLE: whole_badge(self.owner.environment, statuses)} if tasks else {})

    def rows(self, files: Mapping[str, bytes | None]) -> list[Row]:
        """What the status files of objects tell, these before those that were there."""
        objects = {path for path in (*self.old.under(*OBJECTS), *files) if is_object(path)}
        data = (files[path] if path in files else self.old[path] for path in sorted(objects))
        found = (row_of(text, self.owner) for text in data if text is not None)
        return [row for row in found if row is not None]

    def _told(self, found: LiveObject, path: str, shown: Sequence[RunView], gone: Sequence[RunView]) -> Told:
        old = self.old.get(path, b"")
        ids = {**intent_runs(old), **{run.intent: run.id for run in reversed(shown) if run.intent}}
        totals = older_runs(old)
        for run in gone:
            month = totals.setdefault(iso(run.ended or run.created)[:7], {})
            month[str(run.status)] = month.get(str(run.status), 0) + 1
        settled = self._settled(found, old, shown)
        return Told(shown, ids, settled, _upcoming(found, settled), totals)

    def _settled(self, found: LiveObject, old: bytes, runs: Sequence[RunView]) -> datetime | None:
        """Up to where a schedule is settled: another spec counts from now, as does one that is resumed."""
        if found.spec.get("schedule") is None:
            return None
        before = settled_of(old)
        head, written = header_of(old), object_file(found, "")
        if before is None or head.get("specHash") != written["specHash"] or _is_resumed(head, found):
            before = self.now
        return max([before, *(run.scheduled for run in runs if run.scheduled is not None)])

    def _object(self, found: LiveObject, path: str, told: Told) -> bytes:
        """The commit is that which changed the spec last, and the id that of then: another one is no news.

        On each fresh machine the object has another id, because it was brought back.
        """
        written = object_file(found, self.commit, told)
        before = header_of(self.old.get(path, b""))
        if before.get("specHash") == written["specHash"]:
            commit = before.get("observedCommit", "")
            identity = found.id if found.key in self.done else before.get("id", found.id)
            written = object_file(replace(found, id=identity), commit, told)
        return with_block(to_yaml(written), told.block)

    def _runs_by_task(
        self, objects: Mapping[Key, LiveObject], views: Iterable[RunView]
    ) -> dict[Key, dict[str, RunView]]:
        """The runs of each task, by their paths; what is recorded of one counts, for the target may have forgotten."""
        found: dict[Key, dict[str, RunView]] = {key: {} for key in objects if key.kind is Kind.TASK}
        for view in views:
            if view.task in found:
                found[view.task][run_path(view)] = view
        for key, runs in found.items():
            for view in self._pruned(key, runs):
                del runs[run_path(view)]
        self.old.need(path for key in found for path in self.old.inside(runs_folder(key)))
        for key, runs in found.items():
            for path in self.old.inside(runs_folder(key)):
                known = run_of(key, self.old[path])
                if known is not None and known.status.ended:
                    runs[path] = _merged(runs.get(path), known)
                elif known is not None:
                    runs.setdefault(path, known)  # a claim: what the target knows of its run is newer
        return found

    def _pruned(self, task: Key, views: Mapping[str, RunView]) -> list[RunView]:
        """Runs whose records had been removed for their age, and that a target knows again since they were restored."""
        before = self.old.get(object_path(task))
        ended = ended_runs(before) if before is not None else frozenset()
        return [view for path, view in views.items() if view.id in ended and path not in self.old]

    def _run_files(self, runs: Sequence[RunView]) -> Files:
        """The records of these runs; one that tells of an end stays as it is: an ended run never changes."""
        files: Files = {}
        for run in runs:
            path = run_path(run)
            known = run_of(run.task, self.old[path]) if path in self.old else None
            if known is not None and known.status.ended:
                files[path] = self.old[path]
            else:
                files |= self._run_file(path, run)
        return files

    def _run_file(self, path: str, run: RunView) -> Files:
        lines = self._lines(run)
        tail = () if self.policy.logs == "none" else tuple(lines)
        files: Files = {path: to_yaml(run_file(replace(run, log_tail=tail)))}
        if self.policy.logs == "full" and lines:
            files[log_path(path)] = "".join(f"{line}\n" for line in lines).encode()
        return files

    def _lines(self, run: RunView) -> list[str]:
        with suppress(NotFound):  # a run that was brought back from its record, or never began, has no log
            return [text for _, text in self.log(run.id)]
        return list(run.log_tail)

    def _settled_claims(self, task: LiveObject) -> list[str]:
        """The claims of orders whose runs have ended."""
        folder = claims_folder(task.key)
        ended = {intent[:32] for intent, state in task.intents.items() if RunState(state).ended}
        claims = self.old.inside(folder)
        return [path for path in claims if path.removeprefix(folder).removesuffix(".yaml") in ended]


def _is_resumed(head: Mapping[str, str], found: LiveObject) -> bool:
    return head.get("state") == "suspended" != found.state


def _upcoming(found: LiveObject, settled: datetime | None) -> list[datetime]:
    if settled is None:
        return []
    try:
        return [due.instant for due in Timing.of(str(found.key), found.spec["schedule"]).upcoming(settled, _UPCOMING)]
    except ValueError:  # a schedule that this version can't read
        return []


def _merged(run: RunView | None, known: RunView) -> RunView:
    if run is None:
        return known
    run = replace(run, status=known.status, reason=known.reason)
    return replace(run, created=known.created, started=known.started, ended=known.ended)


def _created(run: RunView) -> datetime:
    return run.created


def _shown(runs: Iterable[RunView], task: LiveObject, policy: Policy) -> list[RunView]:
    """The runs that are told of, newest first: those that go on, and of the ended ones as many as are wanted."""
    newest = sorted(runs, key=_created, reverse=True)
    ended = [run for run in newest if run.status.ended]
    if policy.keep is not None:
        kept = {run.id for run in ended[: policy.keep]}
    else:
        history = task.spec.get("history", {})
        good = [run for run in ended if run.succeeded][: history.get("succeeded", _DEFAULT_HISTORY)]
        bad = [run for run in ended if not run.succeeded][: history.get("failed", _DEFAULT_HISTORY)]
        kept = {run.id for run in (*good, *bad)}
    return [run for run in newest if run.id in kept or not run.status.ended]
