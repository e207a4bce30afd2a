"""Random repositories applied to a memory target by the real planner and executor, every call watched."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import partial

from specrunner.core.keys import Key, Kind
from specrunner.core.outcome import Outcome, RunView
from specrunner.core.plan import Plan, Step
from specrunner.core.renames import respelt
from specrunner.core.resources import Live, LiveObject, Resource, intent_of, is_run_once, references_of
from specrunner.core.sides import comparable
from specrunner.core.values import Json, JsonObject, is_nothing
from specrunner.reconcile import planner
from specrunner.reconcile.planner import Planned
from specrunner.targets.base import Note, PutOrder, Target, silent
from specrunner.targets.faults import Faulty, Rule
from specrunner.targets.memory import MemoryState, MemoryTarget
from tests.property.test_core_reconciling import what_may_stay
from tests.unit.reconcile_samples import Environ, execution, project


@dataclass
class Watched(Faulty):
    """A target that remembers, for each object, when the first call about it began and the last one ended."""

    target: Target
    rules: tuple[Rule, ...] = ()
    began: dict[Key, int] = field(default_factory=dict)
    ended: dict[Key, int] = field(default_factory=dict)
    _moments: int = 0
    _watch: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        super().__init__(self.target, self.rules)

    def _moment(self) -> int:
        with self._watch:
            self._moments += 1
            return self._moments

    def forget(self) -> None:
        """What was seen so far: another apply begins."""
        self.began.clear()
        self.ended.clear()

    def put(self, order: PutOrder, note: Note = silent) -> None:
        self.began.setdefault(order.resource.key, self._moment())
        try:
            super().put(order, note)
        finally:
            self.ended[order.resource.key] = self._moment()

    def delete(self, step: Step, note: Note = silent) -> None:
        self.began.setdefault(step.key, self._moment())
        try:
            super().delete(step, note)
        finally:
            self.ended[step.key] = self._moment()

    def run(
        self, task: Key, intent: str | None, args: JsonObject | None = None, note: Note = silent, *, wait: bool = True
    ) -> RunView:
        try:
            return super().run(task, intent, args, note, wait=wait)
        finally:
            self.ended[task] = self._moment()


@dataclass
class World:
    """One memory target and what is applied to it."""

    state: MemoryState = field(default_factory=MemoryState)
    target: Watched = field(init=False)

    def __post_init__(self) -> None:
        self.goes_wrong()

    def goes_wrong(self, *rules: Rule) -> None:
        """From now on there are these faults, and no others."""
        self.target = Watched(MemoryTarget(self.state), rules)

    def planned(self, repository: list[Resource]) -> Planned:
        return planner.plan(project(*repository), self.target, Environ(), pause=at_once)

    def plan(self, repository: list[Resource]) -> Plan:
        return self.planned(repository).plan

    def apply(self, repository: list[Resource]) -> Outcome:
        """Apply it, in an order that the calls are checked against."""
        made = self.planned(repository)
        self.target.forget()
        outcome = execution(made, self.target, parallelism=3, pause=at_once).run()
        in_order(self.target, made)
        return outcome

    @property
    def live(self) -> Live:
        return MemoryTarget(self.state).read()


def at_once(_seconds: float) -> bool:
    """A pause that takes no time."""
    return False


def in_order(watched: Watched, made: Planned) -> None:
    """What is put has all that it names before it, what is deleted nobody any more who named it.

    The edges of the plan must say so, whatever the order in which it happened to be done, and it must be done so.
    """
    resources, live = made.desired.resources, made.live
    before: dict[Key, set[Key]] = {}
    for step in made.plan.steps:
        waits = {*step.depends_on, *step.after}
        before[step.key] = waits.union(*(before[other] for other in waits))
        first = users_of(step.key, live) if step.deletes else resources[step.key].references
        if not step.blocked_by:
            assert {other for other in first if other in touched(made)} <= before[step.key], step.key
    for key in watched.began:
        for other in before[key] & set(watched.ended):
            assert watched.ended[other] < watched.began[key], f"{key} came before {other} had ended"


def touched(made: Planned) -> set[Key]:
    """What this plan changes; what it deletes is no longer declared, so that nothing that is put needs it."""
    return {step.key for step in made.plan.work}


def users_of(key: Key, live: Live) -> list[Key]:
    return [other for other, found in live.items() if key in references_of(other, found.spec)]


# The end


def end(state: MemoryState, repository: list[Resource]) -> dict[str, Json]:
    """What is there of a repository: without ids, the history of runs, and where a model's file lay."""
    live = MemoryTarget(state).read()
    return {str(one.key): _plain(live[one.key]) for one in repository}


def _plain(found: LiveObject) -> list[Json]:
    kind = found.key.kind
    told = [_something(comparable(kind, side, {})) for side in (found.spec, found.applied or {})]
    return [*told, str(found.owner), _something(found.labels), found.description, found.protect, found.state]


def _something(found: JsonObject) -> JsonObject:
    """Without what is as good as absent: to change from null to empty is no step."""
    return {name: value for name, value in found.items() if not is_nothing(value)}


def is_settled(world: World, repository: list[Resource]) -> None:
    """Nothing is left to do but what protection forbids; every order was carried out, and once."""
    left, live = world.plan(repository), world.live
    extra = {key for key, found in live.items() if found.owner is not None} - {one.key for one in repository}
    assert all(what_may_stay(key, live) for key in extra)
    assert {step.key for step in left.steps} == extra
    assert all(step.deletes for step in left.steps)
    assert left.unchanged == len(repository)
    assert world.state.twins() == []
    for one in repository:
        if one.key.kind is Kind.TASK and is_run_once(one.spec):
            ran = [run for run in world.state.runs_of(live[one.key].id) if run.intent == intent_of(one.spec)]
            assert len(ran) == 1


def went_well(outcome: Outcome) -> bool:
    return outcome.exit_code in {0, 3}  # 3: something is protected


def spelt(repository: list[Resource], names: Iterable[tuple[str, str]]) -> list[Resource]:
    """The same repository with other names for everything."""
    other = dict(names)
    named = partial(_named, other)
    moved = {one.key: named(one.key) for one in repository}
    return [
        replace(
            one,
            key=moved[one.key],
            spec=respelt(one.key, one.spec, moved),
            references=tuple(moved[key] for key in one.references),
        )
        for one in repository
    ]


def _named(names: dict[str, str], key: Key) -> Key:
    return Key(key.kind, names.get(key.workspace, key.workspace), names.get(key.name, key.name))
