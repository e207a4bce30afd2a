"""APScheduler 3 with the same task: so many schedules on SQLite, some of them due in one second, nothing carried out.

Its jobs come back every hour, and are due spread over the second, each at its own moment. Lateness is the time between
that and its executor being given the job, which writes down the time and does nothing. Its settings are as they come,
also the grace of a second after which it drops what it could not hand over.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from apscheduler.executors.base import BaseExecutor
from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.interval import IntervalTrigger
from sqlalchemy import create_engine, event

HOUR = timedelta(hours=1)
SETTLING = timedelta(seconds=3)  # until the first is due, once all are stored


@dataclass(frozen=True, slots=True)
class Measured:
    """Seconds that storing and starting took, and seconds of lateness of each job that was handed over."""

    storing: float
    starting: float
    late: list[float]


class Nothing(BaseExecutor):  # type: ignore[misc]  # APScheduler publishes no types
    """Carries out nothing, and writes down how late it was asked to."""

    def __init__(self) -> None:
        super().__init__()
        self.late: list[float] = []

    def _do_submit_job(self, job: Any, run_times: list[datetime]) -> None:
        self.late.append((datetime.now(UTC) - run_times[0]).total_seconds())
        self._run_job_success(job.id, [])


def job() -> None:
    """What is scheduled; it is never called."""


def measured(folder: Path, schedules: int, due: int) -> Measured:
    """Store, start, and wait for the second and what follows it."""
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
    url, begun = f"sqlite:///{folder / 'jobs.db'}", time.monotonic()
    moment = _store(url, schedules, due)
    storing = time.monotonic() - begun
    hands = Nothing()
    begun = time.monotonic()
    scheduler = _scheduler(SQLAlchemyJobStore(url=url), hands)
    scheduler.start()
    starting = time.monotonic() - begun
    threading.Event().wait((moment - datetime.now(UTC)).total_seconds() + 6)
    scheduler.shutdown(wait=False)
    return Measured(storing, starting, hands.late)


def _store(url: str, schedules: int, due: int) -> datetime:
    """Put the schedules into the database; the second in which some are due.

    Each is a transaction of its own. It is not waited for until that is on the disk, as this is only the preparation.
    """
    engine = create_engine(url)
    event.listen(engine, "connect", lambda connection, _record: connection.execute("PRAGMA synchronous=OFF"))
    scheduler = _scheduler(SQLAlchemyJobStore(engine=engine), Nothing())
    scheduler.start(paused=True)
    begun = time.monotonic()
    for number in range(schedules - due):
        _add(scheduler, f"later{number}", datetime.now(UTC) + 24 * HOUR)
    each = (time.monotonic() - begun) / max(1, schedules - due)
    moment = datetime.now(UTC) + SETTLING + timedelta(seconds=2 * due * each)
    for number in range(due):
        _add(scheduler, f"due{number}", moment + timedelta(seconds=number / due))
    scheduler.shutdown(wait=False)
    engine.dispose()
    return moment


def _scheduler(store: SQLAlchemyJobStore, hands: Nothing) -> Any:
    return BackgroundScheduler(jobstores={"default": store}, executors={"default": hands}, timezone=UTC)


def _add(scheduler: Any, name: str, first: datetime) -> None:
    scheduler.add_job(job, IntervalTrigger(hours=1, start_date=first), id=name, next_run_time=first)
