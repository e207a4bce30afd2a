"""What a status file says, kind by kind, as YAML with a stable order of keys. Schema: `schemas/status.schema.json`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Final

from specrunner.core.interrupted import UNDER_WAY, Interrupted, InterruptedStep
from specrunner.core.keys import Key, Kind
from specrunner.core.outcome import Fate, Outcome, RunView, StepOutcome
from specrunner.core.resources import LiveObject, Owner, is_run_once
from specrunner.core.values import Json, JsonObject, digest, iso
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
OBJECTS: Final = frozenset(_FOLDERS.values())  # the folders of objects, below the environment's
APPLIES: Final = "applies"  # and that of applies
_TAIL_LINES: Final = 40


def object_path(key: Key) -> str:
    """`tasks/<workspace>/<task>.yaml` and the like, below the environment's folder."""
    parts = [part for part in (key.workspace, key.name) if part]
    return "/".join((_FOLDERS[key.kind], *map(to_file_name, parts))) + ".yaml"


def runs_folder(task: Key) -> str:
    """The folder of a task's run records."""
    return f"runs/{to_file_name(task.workspace)}/{to_file_name(task.name)}/"


def run_name(run_id: str, scheduled: datetime | None) -> str:
    """The file name of a run's record: by its scheduled instant where it has one, else by its id."""
    return f"{scheduled.strftime('%Y%m%dT%H%M%SZ') if scheduled else run_id}.yaml"


def run_path(run: RunView) -> str:
    """A run's record: by its scheduled instant where it has one (with its id beside another's), else by its id."""
    name = run_name(run.id, run.scheduled)
    if run.scheduled and run.beside:
        name = f"{name.removesuffix('.yaml')}-{run.id}.yaml"
    return f"{runs_folder(run.task)}{name}"


def log_path(record: str) -> str:
    """Where the whole log of a run lies, by the path of the run's record."""
    return f"logs/{record.removeprefix('runs/').removesuffix('.yaml')}.log"


def claims_folder(task: Key) -> str:
    """The folder of the claims of a run-once task's orders."""
    return f"claims/{to_file_name(task.workspace)}/{to_file_name(task.name)}/"


def claim_path(task: Key, intent: str) -> str:
    """The claim of a run-once task's order, until its run is recorded."""
    return f"{claims_folder(task)}{intent[:32]}.yaml"


def apply_path(started: datetime, plan_hash: str) -> str:
    """The record of an apply."""
    return f"{APPLIES}/{started.strftime('%Y%m%dT%H%M%SZ')}-{plan_hash[:12]}.yaml"


def is_object(path: str) -> bool:
    """Whether the record of an object belongs at this path."""
    return path.partition("/")[0] in OBJECTS and path.endswith(".yaml")


def is_ours(path: str, data: bytes) -> bool:
    """Whether a file at this path is a record of an object or a run that we wrote, by its place and its first lines."""
    head = data[:200].decode("utf-8", "replace").splitlines()[:2]
    kinds = {f"kind: {kind}Status" for kind in (*Kind, "Run")}
    placed = path.partition("/")[0] in OBJECTS | {"runs", "claims"} and path.endswith(".yaml")
    return placed and len(head) == 2 and head[0] == f"apiVersion: {API_VERSION}" and head[1] in kinds


@dataclass(frozen=True, slots=True)
class Told:
    """What is told of a task's runs: the runs themselves, newest first, and what they came to.

    `intent_runs` is the id of the last run of each intent, `settled` the instant up to which the schedule has come to
    its runs and skips, `upcoming` the next ones, and `totals` counts by month and state those that are no longer told.
    Where nothing of that is news, `block` is all of it, as it stood in the file before.
    """

    runs: Sequence[RunView] = ()
    intent_runs: Mapping[str, str] = field(default_factory=dict)
    settled: datetime | None = None
    upcoming: Sequence[datetime] = ()
    totals: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    block: str = ""


def object_file(found: LiveObject, commit: str, told: Told = Told()) -> dict[str, Json]:
    """The status of one live object; `told` is of a task's runs."""
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
    if found.key.kind is Kind.TASK and not told.block:
        written |= _task_part(found, told)
    if found.labels:
        written["labels"] = dict(found.labels)
    if found.description:
        written["description"] = found.description
    if found.protect:
        written["protect"] = True
    return written | {"applied": applied}


def _task_part(found: LiveObject, told: Told) -> dict[str, Json]:
    ended = [run for run in told.runs if run.status.ended]
    intents = {intent: str(state) for intent, state in sorted(found.intents.items())}
    ids = {intent: run for intent, run in sorted(told.intent_runs.items()) if intent in intents}
    written: dict[str, Json] = {
        "active": found.state in {"pending", "started"} or not is_run_once(found.spec),
        "lastRuns": [_brief(run) for run in told.runs[:10]],
        "lastSuccess": next((_instant(run.ended) for run in ended if run.succeeded), None),
        "lastFailure": next((_instant(run.ended) for run in ended if not run.succeeded), None),
        "intents": intents,
    }
    written |= {"intentRuns": ids} if ids else {}
    if told.settled is not None:
        written |= {"settled": iso(told.settled), "nextRuns": [iso(moment) for moment in told.upcoming]}
    if told.totals:
        written["olderRuns"] = {month: dict(sorted(counts.items())) for month, counts in sorted(told.totals.items())}
    return written


def _brief(run: RunView) -> dict[str, Json]:
    return {
        "id": run.id,
        "status": str(run.status),
        "reason": _text(run.reason),
        "scheduled": _instant(run.scheduled),
        "ended": _instant(run.ended),
        "seconds": _seconds(run),
    }


def claim_file(run: RunView, who: str, until: datetime) -> dict[str, Json]:
    """The record of a run that somebody has claimed and that has not ended; after `until` it counts as lost."""
    return {**run_file(run), "claim": {"who": who, "until": iso(until)}}


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
        "seconds": _seconds(run),
        "args": dict(run.args),
        "results": run.results,
        "bundle": run.sha,
        "environment": run.environment,
        "logTail": list(run.log_tail[-_TAIL_LINES:]),
        **({"intent": run.intent} if run.intent else {}),
        **({"first": iso(run.first)} if run.first else {}),
    }


def apply_file(outcome: Outcome, who: str = "", revision: JsonObject = MappingProxyType({})) -> dict[str, Json]:
    """The record of one apply, step by step; `revision` is what git knows of the files."""
    plan = outcome.plan
    written: dict[str, Json] = {
        "apiVersion": API_VERSION,
        "kind": "ApplyStatus",
        "project": plan.project,
        "environment": plan.environment,
        "commit": plan.commit or None,
        **({"revision": dict(revision)} if revision else {}),
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


def _seconds(run: RunView) -> float | None:
    return round(run.seconds, 3) if run.seconds is not None else None


def _instant(moment: datetime | None) -> str | None:
    return iso(moment) if moment else None


def _text(value: object) -> str | None:
    return str(value) if value else None
