"""Impact: which declared objects use one that changes, so that a person sees what a shared object carries."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

from specrunner.core.keys import Key, Kind
from specrunner.core.plan import Plan, Step, with_steps
from specrunner.core.resources import Resource
from specrunner.core.values import Json

_SHARED: Final = frozenset({Kind.CONNECTION, Kind.MODEL, Kind.ORCHESTRATION})

Users = Mapping[Key, tuple[Key, ...]]


def users(resources: Mapping[Key, Resource]) -> Users:
    """For each connection, model and orchestration, the declared objects that use it, in order of keys.

    A connection is used by the objects that refer to it or name it in their arguments; of a workspace that it is
    attached to and in which nobody names it, any code may use it, so that the workspace itself is told.
    """
    found: defaultdict[Key, set[Key]] = defaultdict(set)
    for key, resource in resources.items():
        for other in (*resource.references, *_named(resource, resources)):
            if other.kind in _SHARED:
                found[other].add(key)
    for key, resource in resources.items():
        if key.kind is Kind.CONNECTION:
            named_in = {user.workspace for user in found[key]}
            attached = {*(resource.spec.get("workspaces") or ())} - named_in
            found[key] |= {Key(Kind.WORKSPACE, "", name) for name in attached}
    return {key: tuple(sorted(using)) for key, using in found.items() if using}


def used_by(key: Key, resources: Mapping[Key, Resource]) -> tuple[Key, ...]:
    """What uses one object; for several, ask `users` once."""
    return users(resources).get(key, ())


def with_impact(plan: Plan, resources: Mapping[Key, Resource]) -> Plan:
    """The plan, with what uses each shared object that it changes or deletes; what is new is used by nobody yet."""
    found: Users = users(resources) if any(_counts(step) for step in plan.steps) else {}
    return with_steps(
        plan, (replace(step, used_by=found.get(step.key, ())) if _counts(step) else step for step in plan.steps)
    )


def _counts(step: Step) -> bool:
    return step.key.kind in _SHARED and not step.creates


def _named(resource: Resource, resources: Mapping[Key, Resource]) -> Iterator[Key]:
    """The connections that the arguments of a task name, where they are attached to its workspace."""
    if resource.key.kind is not Kind.TASK:
        return
    for text in _texts(resource.spec.get("args")):
        connection = resources.get(Key(Kind.CONNECTION, "", text))
        if connection is not None and resource.key.workspace in (connection.spec.get("workspaces") or ()):
            yield connection.key


def _texts(value: Json) -> Iterator[str]:
    if isinstance(value, str):
        yield from (value,) if value else ()
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _texts(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _texts(part)
