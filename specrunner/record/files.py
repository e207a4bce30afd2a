"""What a status file says, kind by kind, as YAML with a stable order of keys. Schema: `schemas/status.schema.json`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Final

from specrunner.core.interrupted import UNDER_WAY, Interrupted, InterruptedStep
from specrunner.core.keys import Key, Kind
from specrunner.core.outcome import Fate, Outcome, RunView, StepOutcome
from specrunner.core.resources import LiveObject, Owner, is_run_once
from specrunner.core.values import Json, digest, iso
from specrunner.record.names import to_file_name

API_VERSION: Final = "specrunner/v1"
_FOLDERS: Final = {
    Kind.WORKSPACE: "workspaces",
    Kind.CONNECTION: "connections",
    Kind.MODEL: "models",
    Kind.PIPELINE: "pipelines",
    Kind.ORCHESTRATION: "orchestrations",
    Kind.TASK: "tasks",
}
_TAIL_LINES: Final = 40


def object_path(key: Key) -> str:
    """`tasks/<workspace>/<task>.yaml` and the like, below the environment's folder."""
    parts = [part for part in (key.workspace, key.name) if part]
    return "/".join((_FOLDERS[key.kind], *map(to_file_name, parts))) + ".yaml"


def runs_folder(task: Key) -> str:
    """The folder of a task's run records."""
    return f"runs/{to_file_name(task.workspace)}/{to_file_name(task.name)}/"


def run_path(run: RunView) -> str:
    """A run's record: by its scheduled instant where it has one (with its id beside another's), else by its id."""
    name = run.scheduled.strftime("%Y%m%dT%H%M%SZ") if run.scheduled else run.id
    name += f"-{run.id}" if run.scheduled and run.beside else ""
    return f"{runs_folder(run.task)}{name}.yaml"


def apply_path(started: datetime, plan_hash: str) -> str:
    """The record of an apply."""
    return f"applies/{started.strftime('%Y%m%dT%H%M%SZ')}-{plan_hash[:12]}.yaml"


def is_object(path: str) -> bool:
    """Whether the record of an object belongs at this path."""
    return path.partition("/")[0] in _FOLDERS.values() and path.endswith(".yaml")


def is_ours(path: str, data: bytes) -> bool:
    """Whether a file at this path is a record of an object or a run that we wrote, by its place and its first lines."""
    head = data[:200].decode("utf-8", "replace").splitlines()[:2]
    kinds = {f"kind: {kind}Status" for kind in (*Kind, "Run")}
    placed = path.partition("/")[0] in {*_FOLDERS.values(), "runs"} and path.endswith(".yaml")
    return placed and len(head) == 2 and head[0] == f"apiVersion: {API_VERSION}" and head[1] in kinds


def object_file(
    found: LiveObject, commit: str, runs: Sequence[RunView] = (), intent_runs: Mapping[str, str] = MappingProxyType({})
) -> dict[str, Json]:
    """The status of one live object.

    `runs` are those of a task, newest first, and `intent_runs` the id of the last run of each intent.
    """
    applied = dict(found.applied or {})
    written: dict[str, Json] = {
        "apiVersion": API_VERSION,
        "kind": f"{found.key.kind}Status",
        "key": str(found.key),
        "id": found.id,
        "state": found.state,
    }
    if found.detail:
        written["detail"] = found.detail
    if commit:
        written["observedCommit"] = commit
    written |= {"owner": str(found.owner), "specHash": digest(applied)}
    if found.key.kind is Kind.TASK:
        written |= _task_part(found, runs, intent_runs)
    if found.labels:
        written["labels"] = dict(found.labels)
    if found.description:
        written["description"] = found.description
    if found.protect:
        written["protect"] = True
    return written | {"applied": applied}


def _task_part(found: LiveObject, runs: Sequence[RunView], intent_runs: Mapping[str, str]) -> dict[str, Json]:
    ended = [run for run in runs if run.status.ended]
    intents = {intent: str(state) for intent, state in sorted(found.intents.items())}
    ids = {intent: run for intent, run in sorted(intent_runs.items()) if intent in intents}
    written: dict[str, Json] = {
        "active": found.state in {"pending", "started"} or not is_run_once(found.spec),
        "lastRuns": [_brief(run) for run in runs[:10]],
        "lastSuccess": next((_instant(run.ended) for run in ended if run.succeeded), None),
        "lastFailure": next((_instant(run.ended) for run in ended if not run.succeeded), None),
        "intents": intents,
    }
    return written | ({"intentRuns": ids} if ids else {})


def _brief(run: RunView) -> dict[str, Json]:
    return {"id": run.id, "status": str(run.status), "reason": _text(run.reason), "ended": _instant(run.ended)}


def run_file(run: RunView) -> dict[str, Json]:
    """The record of one run."""
    return {
        "apiVersion": API_VERSION,
        "kind": "RunStatus",
        "task": str(run.task),
        "id": run.id,
        "status": str(run.status),
        "reason": _text(run.reason),
        "detail": run.detail or None,
        "attempt": run.attempt,
        "exitCode": run.exit_code,
        "scheduled": _instant(run.scheduled),
        **({"beside": True} if run.beside else {}),
        "created": iso(run.created),
        "started": _instant(run.started),
        "ended": _instant(run.ended),
        "seconds": round(run.seconds, 3) if run.seconds is not None else None,
        "args": dict(run.args),
        "results": run.results,
        "bundle": run.sha,
        "environment": run.environment,
        "logTail": list(run.log_tail[-_TAIL_LINES:]),
    }


def apply_file(outcome: Outcome, who: str = "") -> dict[str, Json]:
    """The record of one apply, step by step."""
    plan = outcome.plan
    written: dict[str, Json] = {
        "apiVersion": API_VERSION,
        "kind": "ApplyStatus",
        "project": plan.project,
        "environment": plan.environment,
        "commit": plan.commit or None,
        "planHash": plan.hash,
    }
    written |= {"who": who} if who else {}
    written |= {"started": iso(outcome.started), "ended": iso(outcome.ended), "exitCode": outcome.exit_code}
    if outcome.restored:
        written["restored"] = [str(key) for key in sorted(outcome.restored)]
    if outcome.problems:
        written["problems"] = [problem.summary for problem in outcome.problems]
    return written | {"steps": [_step(step) for step in outcome.steps]}


def interrupted_file(owner: Owner, interrupted: Interrupted) -> dict[str, Json]:
    """The record of an apply that could not write its own: what its journal knows."""
    written: dict[str, Json] = {
        "apiVersion": API_VERSION,
        "kind": "ApplyStatus",
        "project": owner.project,
        "environment": owner.environment,
        "commit": interrupted.commit or None,
        "planHash": interrupted.plan,
    }
    written |= {"who": interrupted.who} if interrupted.who else {}
    written |= {"started": iso(interrupted.started), "ended": None, "exitCode": None, "interrupted": True}
    if restored := sorted(step.key for step in interrupted.steps if step.restored and step.fate == Fate.DONE):
        written["restored"] = [str(key) for key in restored]
    return written | {"steps": [_cut_step(step) for step in interrupted.steps if not step.restored]}


def _cut_step(step: InterruptedStep) -> dict[str, Json]:
    found: dict[str, Json] = {"key": str(step.key), "action": str(step.action)}
    found |= {"underWay": True} if step.fate == UNDER_WAY else {"fate": step.fate}
    return found | ({"runId": step.run} if step.run else {})


def _step(outcome: StepOutcome) -> dict[str, Json]:
    found: dict[str, Json] = {
        "key": str(outcome.step.key),
        "action": str(outcome.step.action),
        "fate": str(outcome.fate),
        "reason": outcome.step.reason,
    }
    if outcome.problem is not None:
        found["problem"] = outcome.problem.summary
    if outcome.because is not None:
        found["because"] = str(outcome.because)
    if outcome.run is not None:
        found["run"] = {"id": outcome.run.id, "status": str(outcome.run.status)}
    return found


def _instant(moment: datetime | None) -> str | None:
    return iso(moment) if moment else None


def _text(value: object) -> str | None:
    return str(value) if value else None
