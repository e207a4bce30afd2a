"""Order: which step waits for which, and a sequence that respects it.

Creates and changes follow references; a delete waits for whatever referred to the object. A step that starts a
run also comes after the other steps of its workspace and of the connections attached to it, because code
names pipelines and connections that no file connects with it; that edge only orders. What itself waits for a
run (`dependsOn: [Task/prepare]`) is not waited for by runs of an earlier round, so that these edges never
close a cycle. What refers to an object that is renamed waits for the rename, because it is planned as it will be
then. Everything is indexed first: no step looks at all the others, and where many runs would each wait for many
steps, they wait for the last of them, which waits for the rest.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from graphlib import CycleError, TopologicalSorter
from typing import Final

from specrunner.core.errors import SpecrunnerError
from specrunner.core.keys import Key
from specrunner.core.plan import Step
from specrunner.core.resources import Live, LiveObject, Resource, reached_from, references_of

Edges = dict[Key, set[Key]]

MANY: Final = 400  # edges between the runs of a workspace and its other steps; beyond, they go through one step


def ordered(steps: Iterable[Step], resources: Mapping[Key, Resource], live: Live) -> tuple[Step, ...]:
    """The steps with their edges filled in, each after all that it waits for; ties in order of keys.

    Raises SpecrunnerError for a cycle, naming its members.
    """
    by_key = {step.key: step for step in steps}
    needs = _needs(by_key, resources, live)
    held = _held_back_by_renames(by_key, live)
    if any(held.values()):
        try:
            return _with_edges(by_key, resources, {key: needs[key] | held[key] for key in by_key})
        except SpecrunnerError:
            pass  # what is declared goes first; a step that comes too early is found stale, and done the next time
    return _with_edges(by_key, resources, needs)


def reordered(steps: Iterable[Step], resources: Mapping[Key, Resource]) -> tuple[Step, ...]:
    """Some of the steps of a plan, in order, with the edges between them; those to other steps are dropped."""
    by_key = {step.key: step for step in steps}
    needs = {key: {other for other in step.depends_on if other in by_key} for key, step in by_key.items()}
    return _with_edges(by_key, resources, needs)


def _with_edges(steps: Mapping[Key, Step], resources: Mapping[Key, Resource], needs: Edges) -> tuple[Step, ...]:
    waits = _waits(steps, resources, needs)
    sequence = _sorted({key: needs[key] | waits[key] for key in steps}) if any(waits.values()) else _sorted(needs)
    return tuple(
        replace(steps[key], depends_on=tuple(sorted(needs[key])), after=tuple(sorted(waits[key]))) for key in sequence
    )


def _held_back_by_renames(steps: Mapping[Key, Step], live: Live) -> Edges:
    renames = {key for key, step in steps.items() if step.renamed_from is not None}
    if not renames:
        return {}
    return {key: (renames & {*_held(live[key])}) - {key} if key in live else set() for key in steps}


def _needs(steps: Mapping[Key, Step], resources: Mapping[Key, Resource], live: Live) -> Edges:
    """What must have succeeded before each step."""
    referring = _referring(steps, live)
    needs: Edges = {}
    for key, step in steps.items():
        if step.deletes:
            others = referring.get(key, ())
            needs[key] = {other for other in others if steps[other].deletes or key not in _wanted(other, resources)}
        else:
            needs[key] = {other for other in _wanted(key, resources) if other in steps and not steps[other].deletes}
    return needs


def _referring(steps: Mapping[Key, Step], live: Live) -> Mapping[Key, list[Key]]:
    """For each live object, the steps whose own live object refers to it."""
    found: defaultdict[Key, list[Key]] = defaultdict(list)
    for key in steps:
        if key in live:
            for other in _held(live[key]):
                found[other].append(key)
    return found


def _held(found: LiveObject) -> tuple[Key, ...]:
    """What a live object refers to: as it was applied, and as somebody else may have changed it since."""
    live = references_of(found.key, found.spec)
    if found.applied is None or found.applied == found.spec:
        return live
    return (*references_of(found.key, found.applied), *live)


def _wanted(key: Key, resources: Mapping[Key, Resource]) -> tuple[Key, ...]:
    return resources[key].references if key in resources else ()


def _waits(steps: Mapping[Key, Step], resources: Mapping[Key, Resource], needs: Edges) -> Edges:
    """What only comes first: for each run, the other steps of its workspace, of its round or an earlier one."""
    runs: defaultdict[str, list[Key]] = defaultdict(list)
    for key, step in steps.items():
        if step.intent:
            runs[key.workspace].append(key)
    waits: Edges = {key: set() for key in steps}
    if not runs:
        return waits
    rounds = _rounds(steps, needs)
    for workspace, others in _reaching(steps, resources, rounds).items():
        waiting = runs.get(workspace, [])
        few = len(waiting) * len(others) <= MANY
        told = others if few else _through_the_last(others, rounds, waits, needs)
        for key in waiting:
            waits[key] |= {other for other in told if rounds[other] <= rounds[key]} - needs[key]
    return waits


def _reaching(
    steps: Mapping[Key, Step], resources: Mapping[Key, Resource], rounds: Mapping[Key, int]
) -> Mapping[str, list[Key]]:
    """For each workspace, the steps that its code may name, each after all that it needs."""
    found: defaultdict[str, list[Key]] = defaultdict(list)
    for key in rounds:
        if not steps[key].intent and not steps[key].deletes:
            for workspace in reached_from(key, resources[key].spec):
                found[workspace].append(key)
    return found


def _through_the_last(others: list[Key], rounds: Mapping[Key, int], waits: Edges, needs: Edges) -> list[Key]:
    """Let the last step of each round wait for the others of it: who waits for that one waits for all.

    It closes no cycle: by round, then runs last, then by the order of needs, every edge leads forward.
    """
    by_round: defaultdict[int, list[Key]] = defaultdict(list)
    for key in others:
        by_round[rounds[key]].append(key)
    for *rest, last in by_round.values():
        waits[last] |= {*rest} - needs[last]
    return [keys[-1] for keys in by_round.values()]


def _rounds(steps: Mapping[Key, Step], needs: Edges) -> dict[Key, int]:
    """How many runs, one after the other, a step needs before it.

    A needed step is of no later round, and of an earlier one if it is a run; a run waits for no later round.
    Hence needs and waits together have no cycle where needs have none.
    """
    rounds: dict[Key, int] = {}
    for key in _sorted(needs):
        rounds[key] = max((rounds[other] + bool(steps[other].intent) for other in needs[key]), default=0)
    return rounds


def _sorted(edges: Mapping[Key, set[Key]]) -> list[Key]:
    sorter = TopologicalSorter(edges)
    try:
        sorter.prepare()
    except CycleError as problem:
        members = " → ".join(str(key) for key in problem.args[1])
        remedy = "Take one `dependsOn` away."
        raise SpecrunnerError(f"These wait for one another: {members}.", remedy=remedy) from problem
    sequence: list[Key] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready())
        sequence += ready
        sorter.done(*ready)
    return sequence
