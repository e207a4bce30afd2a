"""What holds for every kind on every target, as the real planner and executor use it.

The kinds come from the enum, the edits from the field table, the adapters from the package and the methods from the
port: whatever is new there fails here until it has a sample.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import specrunner.targets
from specrunner.cli.wiring import TARGETS
from specrunner.core.fields import Action
from specrunner.core.keys import Kind
from specrunner.core.resources import Resource
from specrunner.targets.base import Target
from specrunner.targets.faults import WRITES, Faulty
from tests.contract.invariant_samples import (
    READS,
    SAMPLES,
    STORED,
    Sample,
    actions_of,
    apply,
    ask,
    destroy,
    edited,
    plan_of,
    snapshot,
)
from tests.contract.target_samples import ADAPTERS, everything

WRAPPERS = frozenset({"Faulty"})  # these stand before a target and are none
# Methods of the port that change what is going on, and nothing that is stored; an inference leaves its record.
NEITHER = frozenset({"stop_waiting", "close", "infer", "infer_table", "infer_json"})


@pytest.fixture
def watched(target: Target) -> Faulty:
    """The target, counting what is asked of it."""
    return Faulty(target)


def settled(target: Faulty, resources: list[Resource]) -> None:
    """The plan after an apply is empty, and applying again writes nothing."""
    plan = plan_of(target, resources)
    assert (plan.steps, plan.notices, plan.unchanged) == ((), (), len(resources))
    before, writes, runs = target.read(), len(target.writes), target.runs()
    apply(target, resources)
    assert target.writes[writes:] == []
    assert (target.read(), target.runs()) == (before, runs)


# The ratchet


def test_every_kind_has_a_sample_with_an_edit_for_all_that_editing_it_can_do() -> None:
    assert set(SAMPLES) == set(Kind)
    for kind, sample in SAMPLES.items():
        assert sample.one.key.kind is kind
        assert set(sample.edits) == actions_of(kind), f"{kind} needs an edit for each of its actions"


def methods() -> set[str]:
    return {name for name, found in vars(Target).items() if inspect.isfunction(found) and not name.startswith("_")}


def adapters() -> Iterator[type]:
    """Every class of the package that is a target, also one that lacks something yet."""
    for module in pkgutil.walk_packages(specrunner.targets.__path__, "specrunner.targets."):
        for name, found in vars(importlib.import_module(module.name)).items():
            is_own = inspect.isclass(found) and found.__module__ == module.name and found is not Target
            if is_own and name not in WRAPPERS and {"read", "put", "delete", "run"} <= set(dir(found)):
                yield found


def test_every_adapter_is_tested(tmp_path: Path) -> None:
    made = [make(tmp_path / name) for name, make in ADAPTERS.items()]
    try:
        assert {found for target in made for found in type(target).__mro__} >= set(adapters())
    finally:
        for target in made:
            target.close()
    assert set(TARGETS) <= {target.name for target in made}


def test_every_method_of_the_port_writes_or_is_shown_not_to() -> None:
    assert methods() - WRITES - NEITHER <= set(READS)
    assert not WRITES & set(READS)


# Invariants


@pytest.mark.parametrize("kind", list(Kind))
def test_after_apply_the_plan_is_empty_and_applying_twice_is_applying_once(watched: Faulty, kind: Kind) -> None:
    sample = SAMPLES[kind]
    assert {step.action for step in plan_of(watched, sample.base).steps} == {Action.CREATE}
    apply(watched, sample.base)
    settled(watched, sample.base)
    for action, resources in sample.edits.items():
        assert actions(watched, resources, sample) == [action]
        apply(watched, resources)
        settled(watched, resources)
        apply(watched, sample.base)
        settled(watched, sample.base)


def actions(target: Target, resources: list[Resource], sample: Sample) -> list[Action]:
    """What is planned for the object of the sample; its edits touch nothing else."""
    steps = plan_of(target, resources).steps
    assert {step.key for step in steps} == {sample.one.key}
    return [step.action for step in steps]


@pytest.mark.parametrize("kind", list(Kind))
def test_what_is_no_longer_declared_is_deleted_and_then_there_is_nothing_left_to_do(
    watched: Faulty, kind: Kind
) -> None:
    sample = SAMPLES[kind]
    apply(watched, sample.base)
    rest = sample.base[:-1]
    assert actions(watched, rest, sample) == [Action.DELETE]
    apply(watched, rest)
    settled(watched, rest)
    assert sample.one.key not in watched.read()


@pytest.mark.parametrize("kind", list(Kind))
def test_to_destroy_twice_is_to_destroy_once(watched: Faulty, kind: Kind) -> None:
    sample = SAMPLES[kind]
    apply(watched, sample.base)
    destroy(watched)
    assert watched.read() == {}
    writes = len(watched.writes)
    destroy(watched)
    assert watched.writes[writes:] == []
    apply(watched, sample.base)  # and whatever was destroyed may come back
    settled(watched, sample.base)


def test_all_kinds_at_once_are_created_edited_and_destroyed(watched: Faulty) -> None:
    whole = everything()
    apply(watched, whole)
    settled(watched, whole)
    for kind in (Kind.CONNECTION, Kind.PIPELINE, Kind.TASK):
        gravest = max(SAMPLES[kind].edits, key=lambda action: action.severity)
        whole = edited(whole, [one for one in SAMPLES[kind].edits[gravest] if one.key.kind is kind])
    apply(watched, whole)
    settled(watched, whole)
    destroy(watched)
    destroy(watched)
    assert watched.read() == {}


def test_what_reads_stores_nothing(watched: Faulty, tmp_path: Path) -> None:
    apply(watched, STORED)
    before = snapshot(watched, tmp_path / "state")
    writes = len(watched.writes)
    for method in methods() & set(READS):
        ask(watched, method)
        assert method in {call.method for call in watched.calls}
        assert snapshot(watched, tmp_path / "state") == before, method
    assert watched.writes[writes:] == []


def test_planning_stores_nothing(watched: Faulty, tmp_path: Path) -> None:
    apply(watched, everything())
    before = snapshot(watched, tmp_path / "state")
    assert plan_of(watched, []).steps and plan_of(watched, everything("print('new')")).steps
    assert snapshot(watched, tmp_path / "state") == before


def test_a_snapshot_tells_of_every_write(watched: Faulty, tmp_path: Path) -> None:
    """Without this, the tests above could not fail."""
    seen = [str(snapshot(watched, tmp_path / "state"))]
    for kind in Kind:
        apply(watched, [one for one in everything() if one.key.kind.rank <= kind.rank])
        seen.append(str(snapshot(watched, tmp_path / "state")))
    assert len(set(seen)) == len(seen)
