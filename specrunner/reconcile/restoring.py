"""Bringing back what only the status files know, on a target that has lost its memory: what is needed for it.

An object that is as declared is brought back from today's files, every other one as it was recorded. The record lacks
only bytes and the values of secrets: bytes are looked for in today's files, then at the commit that the record names.
Where they are not to be had and this apply changes the object anyway, it is brought back as declared at once.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from specrunner.core.errors import Diagnostic, Place, SpecrunnerError
from specrunner.core.fields import Action
from specrunner.core.keys import Key, Kind
from specrunner.core.plan import Plan, Step
from specrunner.core.ports import SecretSource
from specrunner.core.recorded import Recorded
from specrunner.core.renames import renamed, respelt
from specrunner.core.resources import Payload, Resource, references_of
from specrunner.core.values import MASK, JsonObject, Secret, digest, short_sha
from specrunner.reconcile.history import AtCommit, recorded_payload, unknown_commit
from specrunner.reconcile.planner import MAPPING_SECRET, Planned

_WITH_BYTES = frozenset({Kind.MODEL, Kind.ORCHESTRATION})


@dataclass(frozen=True, slots=True)
class Way:
    """One form in which an object can be brought back, with the values of its secrets."""

    resource: Resource
    secrets: Mapping[str, Secret] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Restore:
    """One recorded object on a target that has lost it, under the key that it is to have.

    `planned` is the fingerprint that the plan was made from. The first of the `ways` that
    works counts. Without any, nothing is brought back: either the object is to be deleted, or `problem` says why it
    can't be.
    """

    recorded: Recorded
    planned: str
    ways: tuple[Way, ...] = ()
    problem: Diagnostic | None = None

    @property
    def key(self) -> Key:
        """What is brought back."""
        return self.recorded.key

    @property
    def references(self) -> tuple[Key, ...]:
        """What it cannot do without, in whatever form it comes back."""
        return tuple(dict.fromkeys(key for way in self.ways for key in way.resource.references))

    @property
    def step(self) -> Step:
        """The order that it is for the target and the journal; no step of the plan, because it changes nothing."""
        declared = digest(self.recorded.applied)
        return Step(self.key, Action.CREATE, "it is recorded, and gone from this target", declared=declared)


def prepared(planned: Planned, source: SecretSource, at_commit: AtCommit = unknown_commit) -> tuple[Restore, ...]:
    """What has to be brought back before the plan's steps, with all that it takes. Writes nothing."""
    if not planned.recorded:
        return ()
    move = _moved(planned.plan)
    moved = {key: move(key) for key in planned.recorded}
    finder = _Finder(planned, source, at_commit)
    return tuple(finder.restore(_as_called(one, moved), one.key) for one in planned.recorded.values())


def _as_called(recorded: Recorded, moved: Mapping[Key, Key]) -> Recorded:
    """What was recorded by the names of today: it comes back under its new key, and so does all that it names."""
    return replace(recorded, key=moved[recorded.key], applied=respelt(recorded.key, recorded.applied, moved))


def _moved(plan: Plan) -> Callable[[Key], Key]:
    """The key that an object has after the renames of this plan; what is in a renamed workspace goes with it."""
    new_keys = {step.renamed_from: step.key for step in plan.work if step.renamed_from is not None}
    workspaces = {old.name: new.name for old, new in new_keys.items() if old.kind is Kind.WORKSPACE}

    def moved(key: Key) -> Key:
        if key in new_keys or key.workspace not in workspaces:
            return new_keys.get(key, key)
        inside = key.inside(workspaces[key.workspace])
        return new_keys.get(inside, inside)

    return moved


class _Finder:
    """Finds resources, bytes and secrets for what is recorded."""

    def __init__(self, planned: Planned, source: SecretSource, at_commit: AtCommit) -> None:
        self._planned, self._source, self._at_commit = planned, source, functools.cache(at_commit)
        self._seen = renamed(planned.desired, planned.live).live
        self._carried_out = {step.key: step for step in planned.plan.work}
        self._differ = {step.key for step in planned.whole.steps}
        payloads = (resource.payload for resource in planned.desired.resources.values())
        self._payloads = {payload.sha: payload for payload in payloads if payload is not None}

    def restore(self, recorded: Recorded, former: Key) -> Restore:
        key = recorded.key
        found = Restore(recorded, self._seen[key if key in self._seen else former].fingerprint)
        step, declared = self._carried_out.get(key), self._declared(key)
        if step is not None and step.deletes:
            return found
        if declared is not None and key not in self._differ:
            return replace(found, ways=(declared,))
        fallback = (declared,) if declared is not None and step is not None else ()
        try:
            resource = self._as_recorded(recorded)
            return replace(found, ways=(Way(resource, self._secrets(resource)), *fallback))
        except SpecrunnerError as problem:
            return replace(found, ways=fallback, problem=None if fallback else problem.diagnostics[0])

    def _declared(self, key: Key) -> Way | None:
        resource = self._planned.desired.resources.get(key)
        return Way(resource, self._planned.secrets.get(key, {})) if resource is not None else None

    def _as_recorded(self, recorded: Recorded) -> Resource:
        return Resource(
            key=recorded.key,
            spec=recorded.applied,
            place=Place(f"status of {recorded.key}"),
            labels=recorded.labels,
            description=recorded.description,
            protect=recorded.protect,
            payload=self._payload(recorded) if recorded.key.kind in _WITH_BYTES else None,
            secrets=_sources(recorded.applied),
            references=references_of(recorded.key, recorded.applied),
        )

    def _payload(self, recorded: Recorded) -> Payload:
        sha = str(recorded.applied.get("sha", ""))
        if sha in self._payloads:
            return self._payloads[sha]
        found = recorded_payload(recorded, self._at_commit)
        if found is not None:
            return found
        where = (
            f"in the files of commit {recorded.commit[:12]}" if recorded.commit else "in any commit that is recorded"
        )
        raise SpecrunnerError(
            f"{recorded.key} can't be brought back as it was: its bytes are not to be had.",
            detail=f"The record names the bytes {short_sha(sha)}, which are neither in today's files nor {where}.",
            remedy="Fetch the whole history (`git fetch --unshallow`), or apply the object as it is declared now.",
        )

    def _secrets(self, resource: Resource) -> dict[str, Secret]:
        return {path: self._secret(resource, path, source) for path, source in resource.secrets.items()}

    def _secret(self, resource: Resource, path: str, source: JsonObject) -> Secret:
        declared = self._planned.desired.resources.get(resource.key)
        known = self._planned.secrets.get(resource.key, {})
        if path in known and declared is not None and _shown(declared.secrets.get(path)) == source:
            return known[path]
        if source.get("value") == MASK:
            raise SpecrunnerError(
                f"{resource.key} can't be brought back as it was: its secret `{path}` stood in the files.",
                detail="A record never holds the value of a secret.",
                remedy="Apply the object as it is declared now.",
            )
        return self._source.resolve(source, mapping=path == MAPPING_SECRET)


def _sources(spec: JsonObject) -> dict[str, JsonObject]:
    """The references of a recorded spec's secrets, by their paths."""
    found = {MAPPING_SECRET: spec[MAPPING_SECRET]} if spec.get(MAPPING_SECRET) else {}
    return found | {f"secretEnv.{name}": source for name, source in (spec.get("secretEnv") or {}).items()}


def _shown(source: JsonObject | None) -> JsonObject | None:
    """A reference as records have it."""
    return {**source, "value": MASK} if source is not None and "value" in source else source
