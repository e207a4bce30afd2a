"""The reader's face: `load` turns a folder of YAML into `Desired`, or says everything that is wrong with it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from specrunner.core.errors import Diagnostic, InvalidSpecs, Place, SpecrunnerError
from specrunner.core.keys import Key, Kind
from specrunner.core.notifications import Notification
from specrunner.core.resources import Desired, Owner, Resource, content_identity, references_of
from specrunner.core.uncollected import uncollected
from specrunner.spec.advice import ended_schedules, unused_patches
from specrunner.spec.cache import open_cache
from specrunner.spec.documents import Reading, read_patches, read_tree
from specrunner.spec.drafts import Draft, draft_of, identity_of, references_only, secrets_of
from specrunner.spec.environments import patched
from specrunner.spec.findings import MOST, not_judged, told
from specrunner.spec.positions import Layers, diagnose, locate
from specrunner.spec.project import Project, read_project
from specrunner.spec.references import cycles, duplicates, unknown_references
from specrunner.spec.renames import former_key, wrong_renames
from specrunner.spec.schema import PROJECT
from specrunner.spec.sources import Sources


def load(
    root: Path,
    environment: str | None = None,
    offline: bool = False,
    now: datetime | None = None,
    *,
    cached: bool = False,
) -> Desired:
    """What the spec repository at `root` declares for one environment.

    `environment` is the project's `defaultEnvironment` if left out; `offline`, the files of secrets may be
    missing; from `now` on schedules are judged that may have ended, by nothing if left out. Reads files below
    `root` and variables of the process, no secret. `cached`, what reading a file gave is remembered in `.specrunner`
    for the next time; the result is the same. Raises InvalidSpecs with every problem of every file, and the warnings
    beside them.
    """
    with uncollected():
        specs = _read(root, environment, offline, now, cached)
        return replace(_desired(specs.drafts, specs.project), warnings=specs.warnings)


@dataclass(frozen=True, slots=True)
class Checked:
    """What there is to say of specs that are valid: whose they are, and how many objects of each kind they declare."""

    owner: Owner
    counts: Mapping[Kind, int]
    warnings: tuple[Diagnostic, ...]


def check(root: Path, environment: str | None = None, offline: bool = False, now: datetime | None = None) -> Checked:
    """All that `load` checks, by the same words and with what was remembered, and no more than that."""
    with uncollected():
        specs = _read(root, environment, offline, now, cached=True)
        counts = Counter(draft.key.kind for draft in specs.drafts if draft.key)
        return Checked(_owner(specs.project), {kind: counts[kind] for kind in Kind}, specs.warnings)


class _Specs(NamedTuple):
    """Specs that are valid."""

    drafts: Sequence[Draft]
    project: Project
    warnings: tuple[Diagnostic, ...]


def _read(root: Path, environment: str | None, offline: bool, now: datetime | None, cached: bool) -> _Specs:
    """Read and judge everything. Raises InvalidSpecs."""
    cache, problems = open_cache(root) if cached else (None, [])
    reading = read_tree(root, cache)
    project, found = read_project(reading.documents, environment, os.environ)
    patches = read_patches(root, project.environment, cache)
    if cache:
        cache.save()
    problems += [*found, *reading.problems, *patches.problems]
    drafts, found, judged = _drafts(root, reading, patches, project, offline)
    problems += found
    complete = reading.complete and patches.complete and judged
    problems += _together(drafts, project, complete)
    warnings = _warnings(root, drafts, project, now)
    if problems:
        raise InvalidSpecs([*problems, *warnings])
    return _Specs(drafts, project, warnings)


def owner_of(root: Path, environment: str | None = None) -> Owner:
    """Whose objects the specs at `root` declare; what is wrong elsewhere than in the project does not matter.

    Raises InvalidSpecs where the project itself can't be read, or has no such environment.
    """
    return _owner(_project_of(root, environment))


def notifications_of(root: Path, owner: Owner) -> tuple[Notification, ...]:
    """Whom the project at `root` wants told; nobody where it is another project than the owner's.

    Raises as `owner_of`.
    """
    project = _project_of(root, owner.environment)
    return project.notifications if project.name == owner.project else ()


def bare_project(root: Path, environment: str | None = None) -> Desired:
    """The project at `root` as if it declared no objects. Raises as `owner_of`."""
    return _desired((), _project_of(root, environment))


def _project_of(root: Path, environment: str | None) -> Project:
    project, problems = read_project(read_tree(root).documents, environment, os.environ)
    if not project.name or problems:
        raise InvalidSpecs(problems)
    return project


def _owner(project: Project) -> Owner:
    return Owner(project.name, project.environment)


def _warnings(root: Path, drafts: Sequence[Draft], project: Project, now: datetime | None) -> tuple[Diagnostic, ...]:
    found = list(ended_schedules(drafts, now)) if now else []
    if project.is_sound:
        found += unused_patches(root, project.environments)
    return tuple(sorted(found, key=lambda warning: warning.sort_key))


def _drafts(
    root: Path, reading: Reading, patches: Reading, project: Project, offline: bool
) -> tuple[list[Draft], list[Diagnostic], bool]:
    """The drafts, what is wrong with them, and whether all documents were judged: after very many wrong ones, none is.

    To explain a document takes fifty times as long as to accept it, and nobody reads thousands of explanations.
    """
    documents = [document for document in reading.documents if document.glance.get("kind") != PROJECT]
    manifests, problems = patched(documents, patches.documents, lambda value: identity_of(value, project))
    drafts: list[Draft] = []
    sources, wrong = Sources(root), 0
    for manifest in manifests:
        draft = draft_of(manifest, project, sources, offline)
        drafts.append(draft)
        wrong += bool(draft.findings)
        if wrong == MOST:
            break
    problems += [diagnose(draft.manifest.layers, finding) for draft in drafts for finding in told(draft.findings)]
    unjudged = manifests[len(drafts) :]
    if unjudged:
        problems.append(diagnose(unjudged[0].layers, not_judged(len(unjudged))))
    return drafts, problems, not unjudged


def _together(drafts: Sequence[Draft], project: Project, complete: bool) -> list[Diagnostic]:
    """What is wrong between documents. With names missing for another reason, no reference is called unknown."""
    problems = list(duplicates(drafts))
    if complete and all(draft.key for draft in drafts):
        problems += unknown_references(drafts, {draft.key: draft for draft in drafts if draft.key}, project)
    return [*problems, *wrong_renames(drafts), *cycles(drafts)]


def _desired(drafts: Sequence[Draft], project: Project) -> Desired:
    by_key = {draft.key: draft for draft in drafts if draft.key}
    _attach(by_key)
    _add_shas(by_key)
    return Desired(
        owner=_owner(project),
        resources={key: _resource(key, by_key[key], project) for key in sorted(by_key)},
        target=project.target,
        status=project.status,
        safety=project.safety,
        notifications=project.notifications,
    )


def _attach(drafts: Mapping[Key, Draft]) -> None:
    """A workspace's `connections` and a connection's `workspaces` say the same: it is kept in one place, sorted."""
    for key, draft in drafts.items():
        if key.kind is Kind.WORKSPACE:
            for name in draft.spec.pop("connections", ()):
                drafts[Key(Kind.CONNECTION, "", name)].spec["workspaces"].append(key.name)
    for key, draft in drafts.items():
        if key.kind is Kind.CONNECTION:
            draft.spec["workspaces"] = sorted(set(draft.spec["workspaces"]))


def _add_shas(drafts: Mapping[Key, Draft]) -> None:
    """A task shows which orchestration it would run, a pipeline which models it would serve."""
    for key, draft in drafts.items():
        if key.kind is Kind.TASK:
            source = drafts[Key(Kind.ORCHESTRATION, key.workspace, draft.spec["orchestration"])]
            draft.spec["orchestrationSha"] = source.spec["sha"]
        elif key.kind is Kind.PIPELINE:
            models = [other for other in references_of(key, draft.spec) if other.kind is Kind.MODEL]
            draft.spec["modelShas"] = {
                other.name: content_identity(drafts[other].spec["sha"], drafts[other].spec) for other in models
            }


def _resource(key: Key, draft: Draft, project: Project) -> Resource:
    metadata: Mapping[str, Any] = draft.metadata
    described = draft.spec.pop("description", "") if key.kind is Kind.WORKSPACE else ""
    named = (mention.key for mention in draft.mentions if not mention.is_attachment)
    return Resource(
        key=key,
        spec=references_only(draft.spec),
        place=draft.manifest.layers[0].place,
        labels=metadata["labels"],
        description=metadata["description"] or described,
        protect=metadata["protect"] or project.protect,
        payload=draft.payload,
        secrets=secrets_of(draft.spec),
        references=tuple(dict.fromkeys([*references_of(key, draft.spec), *named])),
        renamed_from=former_key(draft),
        locate=_locator(key.kind, draft.manifest.layers),
    )


# What nobody writes follows from what somebody wrote.
_WRITTEN_AS: Final = {
    (Kind.MODEL, "sha"): "path",
    (Kind.ORCHESTRATION, "sha"): "source",
    (Kind.PIPELINE, "modelShas"): "steps",
    (Kind.TASK, "orchestrationSha"): "orchestration",
}


def _locator(kind: Kind, layers: Layers) -> Callable[[tuple[str, ...]], Place]:
    """Where a field of the spec, or of `metadata`, was set; its parts are names, and positions in lists."""

    def found(path: tuple[str, ...]) -> Place:
        first = (
            path[:1]
            if path[:1] == ("metadata",)
            else ("spec", *(_WRITTEN_AS.get((kind, part), part) for part in path[:1]))
        )
        try:
            return locate(layers, (*first, *(int(part) if part.isdecimal() else part for part in path[1:])))
        except SpecrunnerError:  # the file has been changed since it was read
            return layers[0].place

    return found
