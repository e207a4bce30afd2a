"""For any edits of any repository the real planner and executor converge, whatever way was taken and went wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from specrunner.core.errors import SpecrunnerError
from specrunner.core.keys import Kind
from specrunner.core.resources import Resource
from specrunner.targets.faults import Delay, Fail, Moment, Rule, lost
from specrunner.targets.memory import MemoryState, Quirk
from tests.property.converging_world import World, end, is_settled, spelt, went_well
from tests.property.test_core_reconciling import repositories, under_another_name

SLOWLY = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


@st.composite
def histories(draw: st.DrawFn) -> list[list[Resource]]:
    """Two or three versions of a repository; some rename an object of the version before."""
    versions = [draw(repositories())]
    for _ in range(draw(st.integers(1, 2))):
        before, version = versions[-1], draw(repositories())
        if draw(st.booleans()) and before:
            version = under_another_name(version, draw(st.sampled_from(before)).key)
        versions.append(version)
    return versions


def quirks(*, never: frozenset[Quirk] = frozenset()) -> st.SearchStrategy[frozenset[Quirk]]:
    return st.frozensets(st.sampled_from(sorted(set(Quirk) - never)), max_size=4)


def refused() -> Exception:
    return SpecrunnerError("The disk is full.")


@st.composite
def faults(draw: st.DrawFn, error: Any = lost) -> list[Rule]:
    """Some of the first writes fail once each, with an effect or without; fewer than a step has tries."""
    struck = draw(st.lists(st.integers(1, 25), min_size=1, max_size=4, unique=True))
    moments = st.sampled_from(list(Moment))
    return [Fail(write=number, moment=draw(moments), error=error, times=1) for number in struck]


def fresh(repository: list[Resource]) -> dict[str, Any]:
    """What there is where only this was ever applied."""
    world = World()
    assert went_well(world.apply(repository))
    return end(world.state, repository)


@settings(SLOWLY, max_examples=60)
@given(histories())
def test_the_end_does_not_depend_on_the_way(history: list[list[Resource]]) -> None:
    world = World()
    world.goes_wrong(Delay(method="put", seconds=0.0005))  # who does not wait for another overtakes it
    for version in history:
        assert went_well(world.apply(version))
    is_settled(world, history[-1])
    assert end(world.state, history[-1]) == fresh(history[-1])
    writes = len(world.target.writes)
    world.apply(history[-1])
    assert world.target.writes[writes:] == []


@settings(SLOWLY, max_examples=60)
@given(histories(), st.data())
def test_broken_connections_and_lost_replies_change_nothing_about_the_end(
    history: list[list[Resource]], data: st.DataObject
) -> None:
    world = World(MemoryState(quirks=frozenset({Quirk.TWINS})))
    for version in history:
        world.goes_wrong(*data.draw(faults()), Fail(method="read", times=2))
        assert went_well(world.apply(version))
    world.goes_wrong()
    is_settled(world, history[-1])
    assert end(world.state, history[-1]) == fresh(history[-1])


@settings(SLOWLY, max_examples=60)
@given(histories(), st.data())
def test_what_failed_for_good_is_made_up_for_by_the_next_apply(
    history: list[list[Resource]], data: st.DataObject
) -> None:
    world = World(MemoryState(quirks=data.draw(quirks(never=frozenset({Quirk.LINGERS})))))
    for version in history:
        world.goes_wrong(*data.draw(faults(error=refused)))
        world.apply(version)
    world.goes_wrong()
    assert went_well(world.apply(history[-1]))
    is_settled(world, history[-1])


def meddled(draw: Callable[[st.SearchStrategy[Any]], Any], state: MemoryState) -> None:
    """Somebody else changes or removes some of what is there."""
    there = sorted(key for key in state.records if state.find(key) is not None)
    for key in draw(st.lists(st.sampled_from(there), max_size=3, unique=True)) if there else []:
        if draw(st.booleans()):
            state.lose(key)
            continue
        models = (other for other in state.records if other.kind is Kind.MODEL and other.workspace == key.workspace)
        fields: dict[Kind, dict[str, Any]] = {
            Kind.CONNECTION: {"details": {"host": "z"}, "workspaces": []},
            Kind.PIPELINE: {
                "deployed": None,
                "steps": [{"model": name} for name in sorted(model.name for model in models)],
            },
            Kind.TASK: {"args": {"by": "hand"}, "schedule": {"cron": "7 7 * * *"}},
        }
        state.drift(key, **fields.get(key.kind, {}))


@settings(SLOWLY, max_examples=60)
@given(histories(), st.data())
def test_whatever_somebody_else_does_meanwhile_is_undone(history: list[list[Resource]], data: st.DataObject) -> None:
    world = World()
    for version in history:
        assert went_well(world.apply(version))
        meddled(data.draw, world.state)
    assert went_well(world.apply(history[-1]))
    is_settled(world, history[-1])
    assert end(world.state, history[-1]) == fresh(history[-1])


@settings(SLOWLY, max_examples=60)
@given(histories(), quirks())
def test_however_awkward_the_server_is_nothing_is_planned_after_an_apply(
    history: list[list[Resource]], found: frozenset[Quirk]
) -> None:
    names = [("a", "Big A"), ("b", "b")]
    world = World(MemoryState(quirks=found))
    for version in history:
        assert went_well(world.apply(spelt(version, names)))
        is_settled(world, spelt(version, names))
