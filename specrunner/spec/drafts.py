"""From one document to a draft of its resource: normalised spec, payload, secrets, and what it mentions.

A draft needs no other document. It is made for wrong documents too, from the fields that are right, so that
`references` can check all of them and a person sees every mistake at once.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from specrunner.core.keys import Key, Kind, shared_key
from specrunner.core.resources import Payload
from specrunner.core.values import MASK, Json, JsonObject
from specrunner.spec.bundle import BadBundle
from specrunner.spec.environments import Identity, Manifest
from specrunner.spec.findings import Finding, Reference, Trail, nearest
from specrunner.spec.mistakes import Mistake
from specrunner.spec.normalise import completed, plain_task, settle
from specrunner.spec.paths import BadPath, Missing, inside
from specrunner.spec.pipelines import pipeline_findings
from specrunner.spec.project import Project
from specrunner.spec.sources import Sources
from specrunner.spec.validate import sound, validated, with_plain_schedule
from specrunner.spec.variables import is_file_name, substitute


@dataclass(frozen=True, slots=True)
class Mention:
    """A key that a document names at `trail`, and that must be declared somewhere."""

    trail: Trail
    key: Key

    @property
    def is_attachment(self) -> bool:
        """Whether a workspace lists a connection here: it does not wait for it, the connection waits for it."""
        return self.trail[:2] == ("spec", "connections")


@dataclass(slots=True)
class Draft:
    """A resource in the making; `key` is None where the document has no usable name or workspace."""

    manifest: Manifest
    key: Key | None = None
    spec: dict[str, Any] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    mentions: list[Mention] = field(default_factory=list)
    references: Sequence[Reference] = ()  # of a task's arguments
    findings: list[Finding] = field(default_factory=list)
    payload: Payload | None = None


def identity_of(value: Json, project: Project) -> Identity | None:
    """Kind, workspace and name of a document as far as they can be read, variables replaced."""
    metadata, _ = substitute(value.get("metadata"), project.variables)
    kind = _kind_of(value)
    if kind is None or not isinstance(metadata, dict) or "name" not in metadata:
        return None
    workspace = metadata.get("workspace", project.default_workspace) if kind.in_workspace else ""
    return (kind, str(workspace), str(metadata["name"]))


_KINDS: Final[Mapping[str, Kind]] = {str(kind): kind for kind in Kind}


def _kind_of(value: Json) -> Kind | None:
    kind = value.get("kind")
    return _KINDS.get(kind) if isinstance(kind, str) else None


def draft_of(manifest: Manifest, project: Project, sources: Sources, offline: bool = False) -> Draft:
    """The draft of a document, with every finding that the document alone gives rise to.

    `offline`, the file of a secret may be missing.
    """
    draft = Draft(manifest)
    whole = manifest.layers[0].whole if len(manifest.layers) == 1 else None
    if whole is None:
        whole = _completed(draft, project)
    else:
        draft.references = manifest.layers[0].references
    kind = _kind_of(whole)
    if kind is None:
        return draft
    _fill(draft, kind, whole, project)
    _STEPS[kind](draft, sources)
    _check_files(draft, sources.root, offline)
    return draft


def _completed(draft: Draft, project: Project) -> Json:
    """The document as its schema wants it, completed and in plain form, as far as it is right."""
    value = _judged(draft.manifest, project, draft.findings)
    kind = _kind_of(value)
    if kind is None:
        return value
    parts = {"metadata": {}, "spec": {}, **sound(value, draft.findings)} if draft.findings else value
    whole = {**completed(parts, kind), "kind": kind}
    if kind is Kind.TASK:
        draft.references = plain_task(whole["spec"], draft.findings)
    return whole


def _judged(manifest: Manifest, project: Project, findings: list[Finding]) -> Json:
    """The document with its variables replaced, as its schema wants it; what is wrong is added to `findings`."""
    value = manifest.value
    if any(_has_variables(layer.file.text) for layer in manifest.layers):
        value, found = substitute(value, project.variables)
        findings += found
    value, found = validated(with_plain_schedule(value), manifest.layers, project.variables)
    bad = {finding.trail for finding in findings}
    findings += [finding for finding in found if finding.trail not in bad]
    return value


@functools.lru_cache(maxsize=4)
def _has_variables(text: str) -> bool:
    """Remembered for the next document of the same file: a file may hold thousands."""
    return "${" in text


def _fill(draft: Draft, kind: Kind, whole: Mapping[str, Any], project: Project) -> None:
    """Metadata, spec and key."""
    draft.metadata, draft.spec = whole["metadata"], whole["spec"]
    name = draft.metadata.get("name")
    workspace = draft.metadata.get("workspace", project.default_workspace) if kind.in_workspace else ""
    if isinstance(name, str) and kind.in_workspace and not workspace:
        if not project.is_sound:
            return
        draft.findings.append(
            Finding(
                ("metadata",),
                f"the {kind.lower()} belongs to no workspace",
                "It names none, and the project has no `defaultWorkspace`.",
                "Add `workspace: …`, or `defaultWorkspace: …` in specrunner.yaml.",
                at_key=True,
                code=Mistake.NO_WORKSPACE,
            )
        )
    elif isinstance(name, str):
        draft.key = Key.of(kind, name, workspace)
        draft.mentions += _common_mentions(draft.key, draft)


def _common_mentions(key: Key, draft: Draft) -> Iterator[Mention]:
    if "workspace" in draft.metadata and key.workspace:
        yield Mention(("metadata", "workspace"), shared_key(Kind.WORKSPACE, "", key.workspace))
    for index, text in enumerate(draft.metadata.get("dependsOn", ())):
        found = depended(text, key.workspace)
        trail = ("metadata", "dependsOn", index)
        if found:
            yield Mention(trail, found)
        else:
            kind, _, name = text.partition("/")
            draft.findings.append(
                Finding(
                    trail,
                    f"{text!r} names no workspace",
                    f"A {key.kind} belongs to none itself: whose is it?",
                    f"Write `{kind}/WORKSPACE/{name}`, with the workspace's name.",
                    code=Mistake.BAD_REFERENCE,
                )
            )


def depended(text: str, workspace: str) -> Key | None:
    """The key that `dependsOn` names: `Kind/name` is in the same workspace. None where it is no key."""
    try:
        return Key.parse(text)
    except ValueError:
        kind, _, name = text.partition("/")
        return Key(Kind(kind), workspace, name) if workspace and name and kind in set(Kind) else None


def _names(draft: Draft, name: str, kind: Kind, trail: Trail = ()) -> Iterator[Mention]:
    for index, found in enumerate(draft.spec.get(name, ())):
        yield Mention(("spec", *trail, name, index), shared_key(kind, "", found))


def _workspace(draft: Draft, _sources: Sources) -> None:
    draft.mentions += _names(draft, "connections", Kind.CONNECTION)


def _connection(draft: Draft, _sources: Sources) -> None:
    draft.mentions += _names(draft, "workspaces", Kind.WORKSPACE)


def _model(draft: Draft, sources: Sources) -> None:
    _load_payload(draft, "path", sources.model)


def _orchestration(draft: Draft, sources: Sources) -> None:
    def payload(name: str) -> Payload:
        return sources.orchestration(name, draft.spec.get("include", ()), draft.spec.get("exclude", ()))

    _load_payload(draft, "source", payload)


def _load_payload(draft: Draft, name: str, load: Callable[[str], Payload]) -> None:
    if name not in draft.spec:
        return
    try:
        draft.payload = load(draft.spec[name])
        draft.spec["sha"] = draft.payload.sha
    except BadPath as error:
        draft.findings.append(_bad_path(("spec", name), error))
    except OSError as error:
        draft.findings.append(
            Finding(
                ("spec", name),
                f"{draft.spec[name]} can't be read",
                f"{error.strerror}.",
                "Check its permissions.",
                code=Mistake.UNREADABLE,
            )
        )
    except BadBundle as error:
        draft.findings += [_bad_bundle(("spec", name), draft.spec[name], reason) for reason in error.reasons]


def _bad_bundle(trail: Trail, name: str, reason: str) -> Finding:
    code, remedy = next((found for words, found in _BUNDLE_RULES.items() if words in reason), _UNSAFE)
    return Finding(trail, f"{name} can't be used as a bundle", f"{reason[0].upper()}{reason[1:]}.", remedy, code=code)


# The rules of `core.bundles` and of `bundle`, by words of what they say.
_BUNDLE_RULES: Mapping[str, tuple[Mistake, str]] = {
    "model.py": (Mistake.NO_ENTRY_POINT, "Keep one model.py at the top of the folder; it defines predict(table)."),
    "no main.py": (Mistake.NO_ENTRY_POINT, "Add a main.py at its top."),
    "requirements.txt": (Mistake.SEVERAL_REQUIREMENTS, "Keep one of them."),
    "symbolic link": (Mistake.LINK_IN_BUNDLE, "Replace the link by the file, or name it under `exclude`."),
    "no ordinary file": (Mistake.LINK_IN_BUNDLE, "Delete it, or name it under `exclude`."),
    "neither a folder": (Mistake.NOT_A_BUNDLE, "Name the folder that holds main.py, or a .zip of it."),
    "opened as a zip": (Mistake.NOT_A_BUNDLE, "Make the zip anew, or name the folder that it was made of."),
}
_UNSAFE = (Mistake.UNSAFE_BUNDLE, "Name what does not belong in it under `exclude`, or make the zip anew.")


def _pipeline(draft: Draft, _sources: Sources) -> None:
    if draft.key is None:
        return
    for index, step in enumerate(draft.spec.get("steps", ())):
        trail: Trail = ("spec", "steps", index)
        named = [((*trail, "model"), step["model"])] if "model" in step else []
        named += [((*trail, "split", arm, "model"), found["model"]) for arm, found in enumerate(step.get("split", ()))]
        named += [((*trail, "shadow", other), name) for other, name in enumerate(step.get("shadow", ()))]
        draft.mentions += [Mention(at, Key(Kind.MODEL, draft.key.workspace, name)) for at, name in named]
    draft.findings += pipeline_findings(draft.spec)


def _task(draft: Draft, _sources: Sources) -> None:
    if "schedule" in draft.spec:
        settle(draft.spec["schedule"], draft.findings)
    if draft.key:
        workspace = draft.key.workspace
        draft.mentions += [Mention(at, Key.of(kind, name, workspace)) for at, kind, name in draft.references]
        if "orchestration" in draft.spec:
            key = shared_key(Kind.ORCHESTRATION, workspace, draft.spec["orchestration"])
            draft.mentions.append(Mention(("spec", "orchestration"), key))
    draft.mentions += _names(draft, "workspaces", Kind.WORKSPACE)
    draft.findings += _twice_in_env(draft.spec)


def _twice_in_env(spec: JsonObject) -> Iterator[Finding]:
    for name in spec.get("secretEnv", {}):
        if name in spec.get("env", {}):
            yield Finding(
                ("spec", "secretEnv", name),
                f"{name!r} stands in `env` and in `secretEnv`",
                "A variable has one value.",
                "Delete one of them.",
                at_key=True,
                code=Mistake.TWO_VALUES,
            )


_STEPS: Mapping[Kind, Callable[[Draft, Sources], None]] = {
    Kind.WORKSPACE: _workspace,
    Kind.CONNECTION: _connection,
    Kind.MODEL: _model,
    Kind.PIPELINE: _pipeline,
    Kind.ORCHESTRATION: _orchestration,
    Kind.TASK: _task,
}


def secrets_of(spec: JsonObject) -> dict[str, JsonObject]:
    """The sources of a spec's secrets by their path in it."""
    found = {f"secretEnv.{name}": source for name, source in (spec.get("secretEnv") or {}).items()}
    return {"detailsFrom": spec["detailsFrom"], **found} if "detailsFrom" in spec else found


def references_only(spec: JsonObject) -> dict[str, Any]:
    """The spec with secrets as references: one that stands in it in plain text is no part of it."""
    shown = dict(spec)  # in the same order: two specs that differ in nothing are then equal at a glance
    if "detailsFrom" in spec:
        shown["detailsFrom"] = _reference(spec["detailsFrom"])
    if spec.get("secretEnv"):
        shown["secretEnv"] = {name: _reference(source) for name, source in spec["secretEnv"].items()}
    return shown


def _reference(source: JsonObject) -> JsonObject:
    return {**source, "value": MASK} if "value" in source else source


def _check_files(draft: Draft, root: Path, offline: bool) -> None:
    """Files of secrets must be there and inside; they are not read."""
    for path, source in secrets_of(draft.spec).items():
        trail: Trail = ("spec", *path.split(".", 1), "file")
        if "file" in source and is_file_name(trail):
            try:
                inside(root, source["file"])
            except BadPath as error:
                if not (offline and isinstance(error, Missing)):
                    draft.findings.append(_bad_path(trail, error))


def _bad_path(trail: Trail, error: BadPath) -> Finding:
    return Finding(
        trail, str(error), "Names of files are relative to the root of the specs.", error.remedy, code=error.code
    )


class Names:
    """The declared names, by kind and workspace, and the workspaces, by kind and name.

    `nearest` compares no more than some hundred thousand names in all: with many unknown names among many known
    ones, people have another problem than spelling.
    """

    def __init__(self, declared: Iterable[Key]) -> None:
        self._names: dict[tuple[Kind, str], list[str]] = {}
        self._workspaces: dict[tuple[Kind, str], list[str]] = {}
        self._left = 200_000
        for key in declared:
            self._names.setdefault((key.kind, key.workspace), []).append(key.name)
            self._workspaces.setdefault((key.kind, key.name), []).append(key.workspace)

    def nearest(self, key: Key) -> str | None:
        """The name that was most likely meant, or None."""
        names = self._names.get((key.kind, key.workspace), [])
        self._left -= len(names)
        return nearest(key.name, names) if self._left >= 0 else None

    def elsewhere(self, key: Key) -> list[str]:
        """The workspaces where something of that kind and name is declared, sorted."""
        return sorted(self._workspaces.get((key.kind, key.name), ()))


def unknown(mention: Mention, names: Names) -> Finding:
    """The finding for a key that nothing declares, with the nearest that something does."""
    key = mention.key
    elsewhere, meant = names.elsewhere(key), names.nearest(key)
    where = f" in workspace {key.workspace!r}" if key.workspace else ""
    detail = f"It is declared in workspace {elsewhere[0]!r} only." if elsewhere else f"Nothing declares {key}."
    example = f"a document `kind: {key.kind}` with `name: {key.name}`"
    remedy = f"Correct the name, or add {example}."
    if meant:
        remedy = f"Write `{meant}`."
    elif elsewhere:
        remedy = f"Declare it in {key.workspace!r} too, or move this document: `workspace: {elsewhere[0]}`."
    return Finding(
        mention.trail, f"there is no {key.kind} {key.name!r}{where}", detail, remedy, code=Mistake.UNKNOWN_REFERENCE
    )
