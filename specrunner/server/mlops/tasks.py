"""`/v1/api/task/...`: orders to run an orchestration, as the clients make and see them."""

from __future__ import annotations

import socket

from specrunner.core.cron import Schedule
from specrunner.core.errors import BadInput, NotFound
from specrunner.core.lifecycle import OrchestrationState, TaskState
from specrunner.core.values import Json, JsonObject, iso
from specrunner.engine.engine import Engine
from specrunner.engine.records import Orchestration, Task
from specrunner.server.auth import Caller
from specrunner.server.calls import Call, name_of, post
from specrunner.server.mlops.runs import HIDDEN, knows_few_words, run_json

_SHOWN_RUNS = 5  # of a task, as the clients document it
_DOWN = frozenset({TaskState.PENDING_KILL, TaskState.KILLED})
# By this name of an image one of the clients knows that a task without a schedule runs once.
_IMAGE = "specrunner/arbex-orch-deploy"
_LOOPBACK = "127.0.0.1"


def task_json(engine: Engine, task: Task, agent: str = "") -> dict[str, Json]:
    """A task as the clients parse it; `agent` tells which words they know."""
    runs = [run for run in engine.history.newest(task.id, 4 * _SHOWN_RUNS) if run.status not in HIDDEN]
    newest = runs[:_SHOWN_RUNS]
    title = engine.remarks.of(f"task:{task.id}").get("title")
    return {
        "id": task.id,
        "name": title if isinstance(title, str) else task.name,
        "workspace_id": task.workspace_id,
        "orch_id": task.orchestration_id,
        "status": _status(task, agent),
        "input_data": dict(task.spec.get("args", {})),
        "killed": task.status in _DOWN,
        "created_at": iso(task.created_at),
        "updated_at": iso(max([task.updated_at, *(run.ended_at or run.created_at for run in newest)])),
        # The clients take the last of them for the newest.
        "last_runs": [run_json(run, agent) for run in reversed(newest)],
        **_kind(task.spec),
    }


def _status(task: Task, agent: str) -> str:
    """The word of the clients for how a task is; what has been started stays `started`, also when it has ended."""
    if task.status in _DOWN:
        return "pending_kill"
    if task.status is TaskState.PENDING:
        return "pending"
    return "paused" if task.suspended and not knows_few_words(agent) else "started"


def _kind(spec: JsonObject) -> dict[str, Json]:
    schedule, service = spec.get("schedule"), spec.get("service")
    if schedule is not None:
        return {"run_type": "CronJob", "schedule": Schedule.of(schedule).cron, "image": _IMAGE}
    if service is not None:
        return {"run_type": "NetworkService", "service_name": "service"}
    return {"run_type": "Oneshot", "image": _IMAGE, "exec_type": "job"}


def _usable(call: Call, identity: str) -> Task:
    found = call.engine.tasks.get(identity)
    if not call.caller.may_use(found.workspace_id):
        raise NotFound(f"There is no task {identity!r}.")
    return found


def _run_once(call: Call) -> Json:
    task = _made(call, {})
    call.engine.runs.submit(task)
    call.engine.runs.ring()
    return {"id": task.id}


def _run_scheduled(call: Call) -> Json:
    text = call.need("schedule", str)
    try:
        Schedule(text)
    except ValueError as problem:
        raise BadInput(
            f"{text[:200]!r} is no schedule.", detail=str(problem), remedy="Write five fields: '*/5 * * * *'."
        ) from problem
    task = _made(call, {"schedule": {"cron": text, "timezone": "UTC"}})
    call.engine.runs.ring()
    return {"id": task.id}


def _run_continuously(call: Call) -> Json:
    # The code is not told of a port, and need not listen: it counts as up once it runs.
    with socket.socket() as free:
        free.bind((_LOOPBACK, 0))
        port = free.getsockname()[1]
    task = _made(call, {"service": {"port": port}})
    call.engine.runs.ring()
    return {"id": task.id}


def _made(call: Call, when: JsonObject) -> Task:
    """Store the task that a request describes."""
    call.caller.person("make tasks")
    orchestration = _ready(call)
    title = None if call.body.get("name") is None else name_of(call.body, "name")
    spec: dict[str, Json] = {"orchestration": orchestration.name, "args": call.maybe("json", dict) or {}, **when}
    if (timeout := call.maybe("timeout", int)) is not None:
        spec["timeout"] = _positive(timeout)
    engine, workspace_id = call.engine, orchestration.workspace_id
    # In one transaction, or two requests at once would find the same name free.
    with engine.transaction():
        name = _free_name(engine, workspace_id, title or orchestration.name)
        task = engine.tasks.put(workspace_id, name, orchestration.id, spec, {})
        engine.remarks.put(f"task:{task.id}", title=title, owner=_id_of(call.caller))
    return task


def _ready(call: Call) -> Orchestration:
    found = call.engine.orchestrations.get(call.need("orch_id", str))
    told = call.maybe("workspace_id", int)
    if not call.caller.may_use(found.workspace_id) or told not in {None, found.workspace_id}:
        raise NotFound(f"There is no orchestration {found.id!r} in this workspace.")
    if found.status is not OrchestrationState.READY:
        raise BadInput(
            f"The orchestration {found.name!r} is not ready: it is {found.status}.",
            detail=found.error,
            remedy="Wait until its status is `ready`, then run it.",
        )
    return found


def _positive(timeout: int) -> int:
    if timeout <= 0:
        raise BadInput(f"A timeout is a number of seconds above 0; {timeout} came.")
    return timeout


def _free_name(engine: Engine, workspace_id: int, wanted: str) -> str:
    """The name, or the name with the first number that makes it free: the engine's names are unique."""
    taken = {task.name for task in engine.tasks.all(workspace_id)}
    number = 2
    found = wanted
    while found in taken:
        found, number = f"{wanted} {number}", number + 1
    return found


def _id_of(caller: Caller) -> str | None:
    return caller.user.id if caller.user else None


def _get_by_id(call: Call) -> Json:
    return task_json(call.engine, _usable(call, call.need("id", str)), call.agent)


def _list(call: Call) -> Json:
    workspace_id, orchestration = call.maybe("workspace_id", int), call.maybe("orch_id", str)
    only_killed = call.maybe("killed", bool) or False
    found = [
        task
        for task in call.engine.tasks.all(workspace_id)
        if call.caller.may_use(task.workspace_id)
        and orchestration in {None, task.orchestration_id}
        and (task.status in _DOWN or not only_killed)
    ]
    shown = [task_json(call.engine, task, call.agent) for task in found]
    return sorted(shown, key=lambda one: str(one["updated_at"]), reverse=True)


def _of_sha(call: Call) -> Json:
    sha = call.need("sha", str)
    versions = {one.id for one in call.engine.orchestrations.all() if one.sha == sha}
    tasks = call.engine.tasks.all()
    return {
        "ids": [
            task.id for task in tasks if task.orchestration_id in versions and call.caller.may_use(task.workspace_id)
        ]
    }


def _kill(call: Call) -> Json:
    """Killing twice is killing once; the answer does not wait for the end."""
    call.caller.person("kill tasks")
    task = _usable(call, call.need("id", str))
    if task.status not in _DOWN:
        call.engine.tasks.move(task, TaskState.PENDING_KILL)
        call.background.kill(task)
        task = call.engine.tasks.get(task.id)
    return task_json(call.engine, task, call.agent)


def _pause(call: Call) -> Json:
    call.caller.person("pause tasks")
    task = _usable(call, call.need("id", str))
    change = call.engine.tasks.suspend if call.need("pause", bool) else call.engine.tasks.resume
    task = change(task)
    call.engine.runs.ring()
    return task_json(call.engine, task, call.agent)


ROUTES = [
    post("/v1/api/task/run_once", _run_once, 201, audited="run"),
    post("/v1/api/task/run_scheduled", _run_scheduled, 201, audited="run"),
    post("/v1/api/task/run_continuously", _run_continuously, 201, audited="run"),
    post("/v1/api/task/get_by_id", _get_by_id),
    post("/v1/api/task/list", _list),
    post("/v1/api/task/get_tasks_by_orch_sha", _of_sha),
    post("/v1/api/task/kill", _kill, 202, audited="kill"),
    post("/v1/api/task/pause", _pause, 202, audited="suspend"),
]
