"""Runs: started, looked at, waited for, ended."""

from __future__ import annotations

from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from specrunner.core.access import Identity, Scope
from specrunner.core.errors import BadInput, NotFound
from specrunner.core.keys import Key, Kind
from specrunner.core.outcome import RunView
from specrunner.engine.records import Run, Task
from specrunner.server.access import address_of
from specrunner.server.api.guarding import check_key
from specrunner.server.api.table import JSON, PREFIX, Call, Operation, Query, Service
from specrunner.server.bodies import read_body
from specrunner.server.news import Stage
from specrunner.targets.wire.codec import decode, encode
from specrunner.targets.wire.mirror import RUN, meant_key
from specrunner.targets.wire.records import RunViews, SentRun

LONGEST_WAIT: Final = 60.0  # seconds; who waits longer asks again
_BEGUN_WITHIN: Final = 10.0  # seconds that a run is given to start before it is told that it waits
_MAX_BODY: Final = 2**22


def task_of(call: Call, key: Key) -> Task:
    """A task that the caller sees. Raises NotFound, BadInput for what is no task."""
    return _task(call.service, call.identity, key)


def _task(service: Service, identity: Identity, key: Key) -> Task:
    if key.kind is not Kind.TASK:
        raise BadInput(f"{key} is no task.", remedy="Write it as Task/workspace/name.")
    check_key(identity, key)
    engine = service.engine
    return engine.tasks.named(engine.workspaces.named(key.workspace).id, key.name)


def visible_run(service: Service, identity: Identity, run_id: str) -> Run:
    """A run that the caller sees. Raises NotFound."""
    found = service.engine.history.get(run_id)
    if not identity.sees(Key.parse(found.task_key), {}):
        raise NotFound(f"There is no run {run_id!r}.")
    return found


def _runs(call: Call) -> bytes:
    key: Key | None = call.query["task"]
    limit: int | None = call.query["limit"]

    def made() -> bytes:
        found = [run for run in call.target.runs(key) if call.identity.sees(run.task, {})]
        return encode(RunViews([RUN.told(run) for run in found[:limit]]))

    return call.service.shared.get(("runs", call.identity.workspaces, key, limit), made)


async def _start(request: Request, service: Service, identity: Identity) -> Response:
    """Ask for a run, and answer once its code was started, or it is known to wait."""
    sent = decode(await read_body(request, _MAX_BODY), SentRun)
    once = request.headers.get("idempotency-key", "")
    run = await run_in_threadpool(_submitted, service, identity, sent, once, address_of(request))
    await service.news.until(run.id, Stage.BEGUN, _BEGUN_WITHIN)
    return await _told(service, run.id, closely=False)


def _submitted(service: Service, identity: Identity, sent: SentRun, once: str, address: str) -> Run:
    engine = service.engine
    task = _task(service, identity, meant_key(sent.task))

    def submit() -> str:
        run = engine.runs.submit(task, sent.intent, sent.args)
        engine.audit.add(identity.who, "run", f"{sent.task} {run.id}", address=address)
        return run.id

    run = engine.history.get(engine.answers.once(identity.who, once, submit))
    if not run.status.ended:
        service.carry(run)
    return run


async def _one(request: Request, service: Service, identity: Identity) -> Response:
    run_id = request.path_params["run_id"]
    await run_in_threadpool(visible_run, service, identity, run_id)
    wait = _seconds(request.query_params.get("wait", "0"))
    await service.news.until(run_id, Stage.ENDED, wait)
    # Who waits is told what whoever carries the run out has written down, once all of it has ended.
    return await _told(service, run_id, closely=not wait)


def _seconds(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = -1.0
    if not 0 <= found <= LONGEST_WAIT:
        raise BadInput(f"`wait` is a number of seconds from 0 to {LONGEST_WAIT:.0f}; {text[:50]!r} came.")
    return found


async def _told(service: Service, run_id: str, *, closely: bool) -> Response:
    view: RunView = await run_in_threadpool(lambda: service.target.look(run_id, closely=closely))
    return Response(encode(RUN.told(view)), media_type=JSON)


def _attend(call: Call) -> object:
    run = visible_run(call.service, call.identity, call.path["run_id"])
    if not run.status.ended:
        call.service.carry(run)
    return RUN.told(call.target.look(run.id))


def _kill(call: Call) -> object:
    run = visible_run(call.service, call.identity, call.path["run_id"])
    return RUN.told(call.target.kill_run(run.id))


_WAIT = Query("wait", float, "Answer once the run has ended, or after so many seconds; at most 60.", default=0.0)

OPERATIONS = [
    Operation(
        "GET",
        f"{PREFIX}/runs",
        Scope.READ,
        "Runs, newest first, with why each ended as it did",
        RunViews,
        _runs,
        query=(
            Query("task", Key, "Only those of this task, as Task/workspace/name."),
            Query("limit", int, "At most so many."),
        ),
    ),
    Operation(
        "POST",
        f"{PREFIX}/runs",
        Scope.RUN,
        "Run a task now; the header Idempotency-Key makes asking again harmless",
        RUN.struct,
        raw=_start,
        body=SentRun,
        limit=_MAX_BODY,
    ),
    Operation(
        "GET",
        f"{PREFIX}/runs/{{run_id}}",
        Scope.READ,
        "One run, with the last lines of its log",
        RUN.struct,
        raw=_one,
        query=(_WAIT,),
    ),
    Operation(
        "POST",
        f"{PREFIX}/runs/{{run_id}}/attend",
        Scope.RUN,
        "See to it that a run which waits is carried out",
        RUN.struct,
        _attend,
    ),
    Operation(
        "POST",
        f"{PREFIX}/runs/{{run_id}}/kill",
        Scope.RUN,
        "End a run; when this answers, no process of it is alive",
        RUN.struct,
        _kill,
        audited="kill",
        subject=lambda call: call.path["run_id"],
        notes=True,
    ),
]
