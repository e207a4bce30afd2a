"""An object of each kind with an edit for each thing that editing it can do, applied by the real planner and executor.

A new kind, or a new row of the field table that does something else, needs an entry here: tests fail until it has one.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from specrunner.core.fields import RULES, Action
from specrunner.core.keys import Kind
from specrunner.core.outcome import Fate, Outcome
from specrunner.core.plan import Plan
from specrunner.core.resources import Desired, Resource
from specrunner.reconcile import planner
from specrunner.targets.base import Target
from specrunner.targets.faults import Faulty
from specrunner.targets.memory import MemoryTarget
from specrunner.targets.memory.files import dump
from tests.contract.target_samples import (
    OURS,
    SENTINEL,
    connection,
    everything,
    key,
    model,
    orchestration,
    pipeline,
    task,
    workspace,
)
from tests.unit.reconcile_samples import Environ, execution

SOURCE = Environ(STORE=SENTINEL, KEY=f"key-{SENTINEL}")


@dataclass(frozen=True, slots=True)
class Sample:
    """One object, last of `base` after what it needs; `edits` are whole repositories by what they do to it."""

    base: list[Resource]
    edits: Mapping[Action, list[Resource]]

    @property
    def one(self) -> Resource:
        return self.base[-1]


def sample(needs: list[Resource], one: Resource, edits: Mapping[Action, list[Resource]]) -> Sample:
    """Every edit names what is other than in the base; a change of metadata alone is an update, for every kind."""
    base = [*needs, one]
    told = replace(one, labels={"team": "x"}, description="why it is there")
    all_edits = {Action.UPDATE: [told], **edits}
    return Sample(base, {action: edited(base, changed) for action, changed in all_edits.items()})


def edited(base: list[Resource], changed: list[Resource]) -> list[Resource]:
    return list(({one.key: one for one in base} | {one.key: one for one in changed}).values())


def _store(**spec: Any) -> Resource:
    return replace(connection(), spec={**connection().spec, **spec})


def _job(code: str = "print('hello')", **spec: Any) -> Resource:
    return task(orchestration(code), **{"args": {"n": 1}, "secretEnv": {"KEY": {"env": "KEY"}}, **spec})


SAMPLES: Mapping[Kind, Sample] = {
    Kind.WORKSPACE: sample([], workspace(), {}),
    Kind.CONNECTION: sample(
        [workspace()],
        connection(),
        {Action.UPDATE: [_store(details={"host": "b"})], Action.REPLACE: [_store(type="HTTP")]},
    ),
    Kind.MODEL: sample([workspace()], model(), {Action.UPLOAD: [model(7)]}),
    Kind.PIPELINE: sample(
        [workspace(), model()],
        pipeline(),
        {Action.REDEPLOY: [pipeline(resources={"cpus": 1})], Action.KILL: [pipeline(deployed=False)]},
    ),
    Kind.ORCHESTRATION: sample([workspace()], orchestration(), {Action.UPLOAD: [orchestration("print('new')")]}),
    Kind.TASK: sample(
        [workspace(), orchestration()],
        _job(),
        {
            Action.UPDATE: [_job(history={"success": 3})],
            Action.RUN: [_job(args={"n": 2})],
            Action.RESCHEDULE: [_job(schedule={"cron": "0 2 * * *"})],
        },
    ),
}


def actions_of(kind: Kind) -> set[Action]:
    """All that an edit can do to an object of this kind, by the field table: what has no row is changed in place."""
    rows = [rule for rule in RULES[kind] if rule.compared]
    return {Action.UPDATE} | {rule.action for rule in rows} | {rule.off for rule in rows if rule.off is not None}


# Planning and applying as the command line does


def desired(resources: list[Resource]) -> Desired:
    return Desired(OURS, {one.key: one for one in resources})


def plan_of(target: Target, resources: list[Resource]) -> Plan:
    return planner.plan(desired(resources), target, SOURCE).plan


def apply(target: Target, resources: list[Resource]) -> Outcome:
    """Apply; every step must be done."""
    return _done(execution(planner.plan(desired(resources), target, SOURCE), target, SOURCE).run())


def destroy(target: Target) -> Outcome:
    """Remove all that is ours; every step must be done."""
    return _done(execution(planner.plan_destroy(desired([]), target), target, SOURCE).run())


def _done(outcome: Outcome) -> Outcome:
    undone = [(str(one.step.key), one.fate, one.problem) for one in outcome.steps if one.fate is not Fate.DONE]
    assert (undone, outcome.problems) == ([], ())
    assert all(one.run is None or one.run.succeeded for one in outcome.steps)
    return outcome


# What is stored


NIGHTLY = task(orchestration(), "nightly", schedule={"cron": "0 2 * * *"})
STORED = [*everything(), NIGHTLY]
_DAY = datetime(2026, 3, 1, tzinfo=UTC)

# What only reads, and what it is asked for of a target that holds `STORED`.
READS: Mapping[str, Callable[[Target], tuple[Any, ...]]] = {
    "read": lambda _target: (),
    "fingerprint": lambda _target: (SOURCE.resolve({"env": "KEY"}),),
    "unsupported": lambda _target: (STORED,),
    "unfit": lambda _target: (STORED,),
    "remembers": lambda _target: (OURS,),
    "stored": lambda _target: (key(Kind.ORCHESTRATION, "code"),),
    "leases": lambda _target: (),
    "runs": lambda _target: (),
    "log": lambda target: (target.runs()[0].id,),
    "host": lambda _target: (),
    "service_state": lambda _target: (NIGHTLY.key,),
    "upcoming": lambda _target: (NIGHTLY.key, _DAY, 3),
    "missed": lambda _target: (NIGHTLY.key, _DAY, _DAY + timedelta(days=3)),
}


def ask(target: Target, method: str) -> None:
    """Call a method that only reads, and take all that it gives."""
    found = getattr(target, method)(*READS[method](target))
    if isinstance(found, Iterator):
        list(found)


def snapshot(target: Target, folder: Path) -> object:
    """Everything that a target has stored, not by its own account."""
    if isinstance(target, Faulty):
        target = target._target
    if isinstance(target, MemoryTarget):
        return dump(target.state)
    connection = sqlite3.connect(f"{(folder / 'state.db').as_uri()}?mode=ro", uri=True)
    try:
        rows = "\n".join(connection.iterdump())
    finally:
        connection.close()
    files = (
        path
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith("state.db") and path.suffix != ".lock"
    )
    return rows, {str(path.relative_to(folder)): _sha(path) for path in files}


def _sha(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
