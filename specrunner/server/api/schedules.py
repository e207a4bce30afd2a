"""Schedules and services: when they run next, what was missed, and holding them back."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from specrunner.core.access import Scope
from specrunner.core.errors import BadInput
from specrunner.core.keys import Key
from specrunner.core.values import utc
from specrunner.server.api.runs import task_of
from specrunner.server.api.table import PREFIX, Call, Operation, Query
from specrunner.targets.wire.mirror import RUN, meant_key
from specrunner.targets.wire.records import Done, Instants, NextFires, RunViews, SentSpan, SentTask, Service

_MOST = 1000


def _next(call: Call) -> NextFires:
    count: int = call.query["count"]
    if count > _MOST:
        raise BadInput(f"At most {_MOST} instants are told at once.")
    task_of(call, call.query["task"])
    after = call.query["after"] or call.engine.now()
    return NextFires(list(call.target.upcoming(call.query["task"], after, count)))


def _missed(call: Call) -> Instants:
    task_of(call, call.query["task"])
    return Instants(list(call.target.missed(call.query["task"], call.query["begin"], call.query["end"])))


def _backfill(call: Call) -> RunViews:
    sent: SentSpan = call.body
    task = meant_key(sent.task)
    task_of(call, task)
    begin, end = _instant(sent.begin, "begin"), _instant(sent.end, "end")
    made = call.engine.answers.once(
        call.identity.who, call.once, lambda: [run.id for run in call.target.backfill(task, begin, end)]
    )
    return RunViews([RUN.told(call.target.shown(call.engine.history.get(run_id))) for run_id in made])


def _instant(moment: datetime, name: str) -> datetime:
    try:
        return utc(moment)
    except (ValueError, OverflowError) as problem:
        raise BadInput(f"{name!r} has no time zone, or is out of the calendar.") from problem


def _suspend(call: Call) -> Done:
    task = meant_key(call.body.task)
    task_of(call, task)
    call.target.suspend(task)
    return Done()


def _resume(call: Call) -> Done:
    task = meant_key(call.body.task)
    task_of(call, task)
    call.target.resume(task)
    return Done()


def _service(call: Call) -> Service:
    task_of(call, call.query["task"])
    return Service(call.target.service_state(call.query["task"]))


def _of_task(call: Call) -> Any:
    return call.body.task


_TASK = Query("task", Key, "The task, as Task/workspace/name.", required=True)
_SPAN = (
    Query("begin", datetime, "The first instant, ISO 8601 with a zone.", required=True),
    Query("end", datetime, "The last instant, ISO 8601 with a zone.", required=True),
)

OPERATIONS = [
    Operation(
        "GET",
        f"{PREFIX}/schedule/next",
        Scope.READ,
        "The next instants of a task's schedule, suspended or not",
        NextFires,
        _next,
        query=(
            _TASK,
            Query("after", datetime, "Those later than this, ISO 8601 with a zone; default: now."),
            Query("count", int, f"How many, at most {_MOST}.", default=5),
        ),
    ),
    Operation(
        "GET",
        f"{PREFIX}/schedule/missed",
        Scope.READ,
        "The instants of a span that have had no run",
        Instants,
        _missed,
        query=(_TASK, *_SPAN),
    ),
    Operation(
        "POST",
        f"{PREFIX}/schedule/backfill",
        Scope.RUN,
        "Make a run for each instant of a span that has had none, oldest first",
        RunViews,
        _backfill,
        body=SentSpan,
        audited="backfill",
        subject=_of_task,
    ),
    Operation(
        "POST",
        f"{PREFIX}/schedule/suspend",
        Scope.RUN,
        "Let nothing of a task start by itself until it is resumed",
        Done,
        _suspend,
        body=SentTask,
        audited="suspend",
        subject=_of_task,
    ),
    Operation(
        "POST",
        f"{PREFIX}/schedule/resume",
        Scope.RUN,
        "Let a task start by itself again",
        Done,
        _resume,
        body=SentTask,
        audited="resume",
        subject=_of_task,
    ),
    Operation(
        "GET",
        f"{PREFIX}/service",
        Scope.READ,
        "How a service is just now, its port looked at",
        Service,
        _service,
        query=(_TASK,),
    ),
]
