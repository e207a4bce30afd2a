"""What of a plan is approved, and what its hash leaves out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from specrunner.core.diff import SECRET, FieldChange
from specrunner.core.errors import Place
from specrunner.core.fields import Action
from specrunner.core.keys import Key, Kind
from specrunner.core.plan import (
    Edit,
    FileChange,
    Fires,
    Notice,
    Plan,
    Step,
    with_steps,
)
from tests.unit.core_samples import (
    plan_for,
    resource,
)

# What is approved.

CHANGE = FieldChange("type", Action.UPDATE, "changed in a.yaml:1", "HTTP", "BIGQUERY")
SECRET_CHANGE = FieldChange("detailsFrom", Action.UPDATE, "its value changed", SECRET, SECRET)
STEP = Step(Key(Kind.CONNECTION, "", "inputs"), Action.UPDATE, "type: changed", (CHANGE,), live="f" * 64)
OTHER = Step(Key(Kind.WORKSPACE, "", "w"), Action.CREATE, "new", declared="d" * 64)
PLAN = Plan("forecasting", "staging", "local", (OTHER, STEP))


def with_step(**fields: Any) -> Plan:
    return with_steps(PLAN, [OTHER, replace(STEP, **fields)])


@pytest.mark.parametrize(
    "same",
    [
        replace(PLAN, commit="abc"),
        replace(PLAN, unchanged=7),
        replace(PLAN, notices=(Notice(STEP.key, "text"),)),
        with_steps(PLAN, [STEP, OTHER]),
        with_step(reason="for another reason"),
        with_step(live="e" * 64),
        with_step(depends_on=(OTHER.key,), after=(OTHER.key,)),
        with_step(changes=(replace(CHANGE, reason="moved", live="x", drift=True),)),
        with_step(changes=(CHANGE, SECRET_CHANGE)),
        with_step(used_by=(OTHER.key,), fires=Fires(("x",)), files=(FileChange("a", Edit.ADDED),)),
        replace(PLAN, restores=(OTHER.key,)),
        with_steps(PLAN, [replace(OTHER, gone=True, live="1" * 64), STEP]),
    ],
    ids=[
        "commit",
        "unchanged",
        "notices",
        "order",
        "reason",
        "live",
        "edges",
        "reason of a change",
        "secret value",
        "previews",
        "restores",
        "that it was there once",
    ],
)
def test_the_hash_leaves_out(same: Plan) -> None:
    assert same.hash == PLAN.hash


@pytest.mark.parametrize(
    "other",
    [
        replace(PLAN, environment="prod"),
        replace(PLAN, target={"server": "x"}),
        with_steps(PLAN, [STEP]),
        with_step(action=Action.DELETE),
        with_step(key=Key(Kind.CONNECTION, "", "other")),
        with_step(blocked_by="a rule"),
        with_step(intent="1" * 64),
        with_step(changes=()),
        with_step(changes=(replace(CHANGE, path="types"),)),
        with_step(changes=(replace(CHANGE, old="FTP"),)),
        with_step(changes=(replace(CHANGE, new="FTP"),)),
        with_steps(PLAN, [replace(OTHER, declared="e" * 64), STEP]),
        with_step(renamed_from=OTHER.key),
    ],
    ids=[
        "environment",
        "target",
        "fewer steps",
        "action",
        "key",
        "blocked",
        "intent",
        "fewer changes",
        "path",
        "old",
        "new",
        "what is created",
        "former key",
    ],
)
def test_the_hash_covers(other: Plan) -> None:
    assert other.hash != PLAN.hash


def test_the_order_of_changes_does_not_matter() -> None:
    more = replace(CHANGE, path="details.host")
    assert with_step(changes=(CHANGE, more)).hash == with_step(changes=(more, CHANGE)).hash


def test_a_step_caused_by_the_value_of_a_secret_alone_is_left_out() -> None:
    assert with_step(changes=(SECRET_CHANGE,)).hash == with_steps(PLAN, [OTHER]).hash


def test_a_step_that_runs_or_adopts_is_never_left_out() -> None:
    for step in ({"intent": "1" * 64, "action": Action.RUN}, {"action": Action.ADOPT}, {"renamed_from": OTHER.key}):
        assert with_step(changes=(SECRET_CHANGE,), **step).hash != with_steps(PLAN, [OTHER]).hash


def test_what_is_created_is_part_of_what_is_approved_and_its_place_is_not() -> None:
    def created(spec: dict[str, Any], line: int = 1, **more: Any) -> str:
        declared = resource(Kind.CONNECTION, "inputs", spec, **more)
        return plan_for([replace(declared, place=Place("a.yaml", line))], {}).hash

    plain = created({"type": "HTTP", "workspaces": ["a", "b"]})
    assert created({"type": "HTTP", "workspaces": ["b", "a"]}, line=9) == plain
    assert created({"type": "FTP", "workspaces": ["a", "b"]}) != plain
    assert created({"type": "HTTP", "workspaces": ["a", "b"]}, labels={"team": "x"}) != plain


def test_blocked_steps_are_no_work_and_are_not_counted() -> None:
    plan = with_steps(PLAN, [OTHER, replace(STEP, blocked_by="a rule")])
    assert (plan.work, [step.key for step in plan.blocked]) == ((OTHER,), [STEP.key])
    assert plan.counts() == {Action.CREATE: 1}
    assert list(PLAN.counts().items()) == [(Action.UPDATE, 1), (Action.CREATE, 1)]


def test_that_only_a_record_is_deleted_is_part_of_what_is_approved() -> None:
    deleted = Step(STEP.key, Action.DELETE, "", live="f" * 64)
    assert with_steps(PLAN, [deleted]).hash != with_steps(PLAN, [replace(deleted, gone=True)]).hash


def test_a_plan_has_changes_where_a_step_would_be_carried_out() -> None:
    assert PLAN.has_changes
    assert not with_steps(PLAN, [replace(STEP, blocked_by="a rule")]).has_changes
    assert not replace(with_steps(PLAN, []), restores=(STEP.key,)).has_changes


def test_drifted_are_the_steps_about_what_somebody_else_changed_or_removed() -> None:
    for drifted in (
        replace(STEP, changes=(replace(CHANGE, drift=True),)),
        replace(STEP, changes=(CHANGE, replace(CHANGE, live="x"))),
        replace(STEP, changes=(), gone=True),
    ):
        assert with_steps(PLAN, [OTHER, drifted]).drifted == (drifted,)
    assert PLAN.drifted == ()
