"""Removing what is no longer kept of ended runs: first the folder, then the record that names it."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from specrunner.core.lifecycle import RunState
from specrunner.core.retention import History, Kept, expired
from specrunner.core.values import parse_iso
from specrunner.engine.context import Context
from specrunner.engine.records import Task
from specrunner.engine.store import tables
from specrunner.engine.tasks.claims import chunks
from specrunner.engine.tasks.tasks import SELECT, records_of

_logger = logging.getLogger(__name__)

_T = tables.tasks
_R = tables.runs
_E = tables.events
_KEPT = (_R.c.id, _R.c.status, _R.c.created_at, _R.c.ended_at, _R.c.scheduled_at, _R.c.intent)


@dataclass(frozen=True, slots=True)
class Retention:
    """Keeps the records of runs bounded."""

    context: Context

    def tasks(self) -> list[str]:
        """Every task, gone or not, that has runs."""
        with self.context.database.read() as connection:
            return list(connection.execute(sa.select(_R.c.task_id).distinct()).scalars())

    def sweep(self, task_id: str) -> bool:
        """Remove what is no longer kept of a task's runs; whether more of them is to go before long."""
        with self.context.database.read() as connection:
            row = connection.execute(SELECT.where(_T.c.id == task_id)).first()
            runs = [_kept(found) for found in connection.execute(sa.select(*_KEPT).where(_R.c.task_id == task_id))]
        task = records_of([row])[0] if row is not None else None
        gone = expired(runs, _limits(task), self.context.clock.now(), task.since if task else None)
        stuck = {run_id for run_id in gone.folders if not self._remove_folders(run_id)}
        self._remove_records(gone.records - stuck)
        return gone.soon

    def _remove_folders(self, run_id: str) -> bool:
        """Remove the folders of a run's attempts; False where one can't be removed."""
        runs = self.context.folder / "runs"
        stuck = [folder for folder in (runs / run_id, *runs.glob(f"{run_id}.*")) if not _removed(folder)]
        return not stuck

    def _remove_records(self, ids: Collection[str]) -> None:
        for part in chunks(ids):
            with self.context.database.write() as connection:
                connection.execute(sa.delete(_R).where(_R.c.id.in_(part)))
                # The last line stays: it is what others count their generation from.
                last = sa.select(sa.func.max(_E.c.seq)).scalar_subquery()
                subjects = [f"run:{run_id}" for run_id in part]
                connection.execute(sa.delete(_E).where(_E.c.subject.in_(subjects), _E.c.seq < last))


def _removed(folder: Path) -> bool:
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        pass
    except OSError as problem:
        _logger.warning("action=retention folder=%s it can't be removed: %s", folder, problem.strerror)
        return False
    return True


def _limits(task: Task | None) -> History:
    spec = (task.spec.get("history") if task else None) or {}
    default = History()
    return History(int(spec.get("succeeded", default.succeeded)), int(spec.get("failed", default.failed)))


def _kept(row: Any) -> Kept:
    return Kept(
        row.id,
        RunState(row.status),
        parse_iso(row.created_at),
        parse_iso(row.ended_at) if row.ended_at else None,
        parse_iso(row.scheduled_at) if row.scheduled_at else None,
        row.intent,
    )
