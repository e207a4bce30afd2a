"""`/v1/api/task/...` of single runs, which the platform's clients call pods."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from specrunner.core.errors import BadInput, NotFound
from specrunner.core.lifecycle import RunState
from specrunner.core.values import Json, iso
from specrunner.engine.records import Run
from specrunner.server.calls import Call, post

# What has not begun, and what never will, is no run to the clients.
HIDDEN: Final = frozenset({RunState.PENDING, RunState.SKIPPED})
_WORDS: Final = {
    RunState.RUNNING: "running",
    RunState.SUCCESS: "success",
    RunState.FAILURE: "failure",
    RunState.LOST: "failure",
    RunState.KILLED: "killed",
    RunState.TIMED_OUT: "timed_out",
}
_NEWER_WORDS: Final = frozenset({"killed", "timed_out"})
_FILTERS: Final = frozenset({"all", "running", "success", "failure", "killed", "timed_out", "unknown"})


def knows_few_words(agent: str) -> bool:
    """Whether this client fails at the states that newer clients know; it names its HTTP library only."""
    return agent.startswith("python-httpx/")


def status_of(run: Run, agent: str = "") -> str:
    """The word of the clients for how a run is."""
    word = _WORDS.get(run.status, "unknown")
    return "failure" if word in _NEWER_WORDS and knows_few_words(agent) else word


def run_json(run: Run, agent: str = "") -> dict[str, Json]:
    """A run as the clients parse it."""
    return {
        "task": run.task_id,
        "run_id": run.id,
        "status": status_of(run, agent),
        "created_at": iso(run.started_at or run.created_at),
        "updated_at": iso(run.ended_at or run.started_at or run.created_at),
    }


def _usable(call: Call, run_id: str) -> Run:
    found = call.engine.history.get(run_id)
    if not call.caller.may_use(found.workspace_id):
        raise NotFound(f"There is no run {run_id!r}.")
    return found


def _list(call: Call) -> Json:
    task_id, limit = call.need("task_id", str), call.maybe("limit", int)
    wanted = call.maybe("status", str) or "all"
    if wanted not in _FILTERS:
        raise BadInput(f"{wanted[:50]!r} is no status of runs.", detail=f"There are {', '.join(sorted(_FILTERS))}.")
    task = call.engine.tasks.get(task_id)
    if not call.caller.may_use(task.workspace_id):
        raise NotFound(f"There is no task {task_id!r}.")
    shown = [run_json(run, call.agent) for run in call.engine.history.of_task(task_id) if run.status not in HIDDEN]
    found: list[Json] = [run for run in shown if wanted in {"all", run["status"]}]
    return found if limit is None else found[: max(0, limit)]


def _details(call: Call) -> Json:
    return run_json(_usable(call, call.need("pod_id", str)), call.agent)


def _logs(call: Call) -> Json:
    """The last lines, each as container logs are written: when, on which stream, whole, and what."""
    run = _usable(call, call.need("id", str))
    lines, _ = call.engine.runs.log(run)
    count = call.maybe("lines", int)
    if count is not None:
        lines = lines[-count:] if count > 0 else []
    return {"logs": [f"{_instant(line.time)} stdout F {line.text}" for line in lines]}


def _instant(seconds: float) -> str:
    return iso(datetime.fromtimestamp(seconds, UTC))


ROUTES = [
    post("/v1/api/task/list_task_runs", _list),
    post("/v1/api/task/get_run_details", _details),
    post("/v1/api/task/get_logs_for_run", _logs),
]
