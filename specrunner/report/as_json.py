"""Outcomes, runs and live objects as JSON, for scripts; keys are stable."""

from __future__ import annotations

from specrunner.core.diff import HIDDEN, VERBATIM
from specrunner.core.outcome import Outcome, RunView, StepOutcome
from specrunner.core.plan import to_json
from specrunner.core.resources import LiveObject
from specrunner.core.values import Json, iso
from specrunner.report.diagnostics import diagnostic_json


def outcome_json(outcome: Outcome) -> dict[str, Json]:
    """An apply: its plan, what was brought back first, what became of each step, and the exit code."""
    return {
        "plan": to_json(outcome.plan),
        "started": iso(outcome.started),
        "ended": iso(outcome.ended),
        "interrupted": outcome.interrupted,
        "exit_code": outcome.exit_code,
        "restored": [str(key) for key in outcome.restored],
        "unrestored": [str(key) for key in outcome.unrestored],
        "problems": [diagnostic_json(problem) for problem in outcome.problems],
        "steps": [_step(step) for step in outcome.steps],
    }


def _step(outcome: StepOutcome) -> dict[str, Json]:
    found: dict[str, Json] = {
        "key": str(outcome.step.key),
        "action": str(outcome.step.action),
        "fate": str(outcome.fate),
        "seconds": round(outcome.seconds, 3),
        "tries": outcome.tries,
        "stale": outcome.stale,
    }
    if outcome.problem is not None:
        found["problem"] = diagnostic_json(outcome.problem)
    if outcome.because is not None:
        found["because"] = str(outcome.because)
    if outcome.run is not None:
        found["run"] = run_json(outcome.run)
    return found


def run_json(run: RunView) -> dict[str, Json]:
    """A run; absent parts are null."""
    return {
        "id": run.id,
        "task": str(run.task),
        "status": str(run.status),
        "reason": str(run.reason) if run.reason else None,
        "detail": run.detail or None,
        "attempt": run.attempt,
        "exit_code": run.exit_code,
        "scheduled": iso(run.scheduled) if run.scheduled else None,
        "scheduled_from": iso(run.first) if run.first else None,
        "created": iso(run.created),
        "started": iso(run.started) if run.started else None,
        "ended": iso(run.ended) if run.ended else None,
        "seconds": round(run.seconds, 3) if run.seconds is not None else None,
        "args": dict(run.args),
        "results": run.results,
        "sha": run.sha,
        "environment": run.environment,
    }


def live_json(found: LiveObject) -> dict[str, Json]:
    """A live object; its secrets are not part of it, nor what somebody made up who is not known."""
    strange = VERBATIM if found.owner is None else frozenset()
    return {
        "key": str(found.key),
        "id": found.id,
        "state": found.state,
        "detail": found.detail or None,
        "owner": str(found.owner) if found.owner else None,
        "protect": found.protect,
        "labels": dict(found.labels),
        "spec": {name: HIDDEN if name in strange and value else value for name, value in found.spec.items()},
    }
