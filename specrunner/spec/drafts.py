"""From one document to a draft of its resource: normalised spec, payload, secrets, and what it mentions.

A draft needs no other document. It is made for wrong documents too, from the fields that are right, so that
`references` can check all of them and a person sees every mistake at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from specrunner.core.keys import Key, Kind
from specrunner.core.resources import Payload
from specrunner.core.values import Json, JsonObject
from specrunner.spec.bundle import BadBundle, file_payload, folder_payload, orchestration_payload
from specrunner.spec.environments import Identity, Manifest
from specrunner.spec.findings import Finding, Trail, nearest
from specrunner.spec.normalise import completed, full_schedule, plain_arguments
from specrunner.spec.paths import BadPath, inside
from specrunner.spec.project import Project
from specrunner.spec.schedules import unwrapped
from specrunner.spec.validate import sound, validated
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


def _kind_of(value: Json) -> Kind | None:
    kind = value.get("kind")
    return Kind(kind) if isinstance(kind, str) and kind in set(Kind) else None


def draft_of(manifest: Manifest, project: Project, root: Path) -> Draft:
    """The draft of a document, with every finding that the document alone gives rise to."""
    draft = Draft(manifest)
    value = manifest.value
    if any("${" in layer.file.text for layer in manifest.layers):
        value, found = substitute(value, project.variables)
        draft.findings += found
    value, found = validated(_with_plain_schedule(value), manifest.layers, project.variables)
    bad = {finding.trail for finding in draft.findings}
    draft.findings += [finding for finding in found if finding.trail not in bad]
    kind = _kind_of(value)
    if kind is None:
        return draft
    parts = {"metadata": {}, "spec": {}, **sound(value, draft.findings)}
    _fill(draft, kind, completed(parts, kind), project)
    _STEPS[kind](draft, root)
    _check_files(draft, root)
    return draft


def _with_plain_schedule(value: Json) -> Json:
    spec = value.get("spec")
    if value.get("kind") != Kind.TASK or not isinstance(spec, dict) or "schedule" not in spec:
        return value
    return {**value, "spec": {**spec, "schedule": unwrapped(spec["schedule"])}}


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
            )
        )
    elif isinstance(name, str):
        draft.key = Key.of(kind, name, workspace)
        draft.mentions += _common_mentions(draft.key, draft)


def _common_mentions(key: Key, draft: Draft) -> Iterator[Mention]:
    if "workspace" in draft.metadata and key.workspace:
        yield Mention(("metadata", "workspace"), Key(Kind.WORKSPACE, "", key.workspace))
    for index, text in enumerate(draft.metadata.get("dependsOn", ())):
        found = depended(text, key.workspace)
        trail = ("metadata", "dependsOn", index)
        if found:
            yield Mention(trail, found)
        else:
            draft.findings.append(
                Finding(
                    trail,
                    f"{text!r} is no key",
                    "It is `Kind/workspace/name`.",
                    "Name the workspace: `Kind/workspace/name`.",
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
        yield Mention(("spec", *trail, name, index), Key(kind, "", found))


def _workspace(draft: Draft, root: Path) -> None:
    draft.mentions += _names(draft, "connections", Kind.CONNECTION)


def _connection(draft: Draft, root: Path) -> None:
    draft.mentions += _names(draft, "workspaces", Kind.WORKSPACE)


def _model(draft: Draft, root: Path) -> None:
    def payload(path: Path) -> Payload:
        return folder_payload(path, root=root) if path.is_dir() else file_payload(path)

    _load_payload(draft, root, "path", payload)


def _orchestration(draft: Draft, root: Path) -> None:
    def payload(path: Path) -> Payload:
        if not path.is_dir() and path.suffix != ".zip":
            raise BadBundle(["it is neither a folder nor a .zip"])
        return orchestration_payload(path, draft.spec.get("include", ()), draft.spec.get("exclude", ()), root)

    _load_payload(draft, root, "source", payload)


def _load_payload(draft: Draft, root: Path, name: str, load: Callable[[Path], Payload]) -> None:
    if name not in draft.spec:
        return
    try:
        draft.payload = load(inside(root, draft.spec[name]))
        draft.spec["sha"] = draft.payload.sha
    except BadPath as error:
        draft.findings.append(_bad_path(("spec", name), error))
    except OSError as error:
        draft.findings.append(
            Finding(("spec", name), f"{draft.spec[name]} can't be read", f"{error.strerror}.", "Check its permissions.")
        )
    except BadBundle as error:
        draft.findings += [_bad_bundle(("spec", name), draft.spec[name], reason) for reason in error.reasons]


def _bad_bundle(trail: Trail, name: str, reason: str) -> Finding:
    remedies = {
        "no main.py": "Add a main.py at its top.",
        "requirements.txt": "Keep one of them.",
        "symbolic link": "Replace the link by the file, or name it under `exclude`.",
        "neither a folder": "Name the folder that holds main.py, or a .zip of it.",
    }
    remedy = next((remedies[words] for words in remedies if words in reason), "Correct the bundle.")
    return Finding(trail, f"{name} can't be used as a bundle", f"{reason[0].upper()}{reason[1:]}.", remedy)


def _pipeline(draft: Draft, root: Path) -> None:
    if draft.key is None:
        return
    for index, step in enumerate(draft.spec.get("steps", ())):
        trail: Trail = ("spec", "steps", index)
        named = [((*trail, "model"), step["model"])] if "model" in step else []
        named += [((*trail, "split", arm, "model"), found["model"]) for arm, found in enumerate(step.get("split", ()))]
        named += [((*trail, "shadow", other), name) for other, name in enumerate(step.get("shadow", ()))]
        draft.mentions += [Mention(at, Key(Kind.MODEL, draft.key.workspace, name)) for at, name in named]


def _task(draft: Draft, root: Path) -> None:
    if "schedule" in draft.spec:
        draft.spec["schedule"] = full_schedule(draft.spec["schedule"], draft.findings)
    if "args" in draft.spec:
        draft.spec["args"], named = plain_arguments(draft.spec["args"], draft.findings)
        if draft.key:
            draft.mentions += [Mention(at, Key.of(kind, name, draft.key.workspace)) for at, kind, name in named]
    if draft.key and "orchestration" in draft.spec:
        key = Key(Kind.ORCHESTRATION, draft.key.workspace, draft.spec["orchestration"])
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
            )


_STEPS: Mapping[Kind, Callable[[Draft, Path], None]] = {
    Kind.WORKSPACE: _workspace,
    Kind.CONNECTION: _connection,
    Kind.MODEL: _model,
    Kind.PIPELINE: _pipeline,
    Kind.ORCHESTRATION: _orchestration,
    Kind.TASK: _task,
}


def secrets_of(spec: JsonObject) -> dict[str, JsonObject]:
    """The sources of a spec's secrets by their path in it."""
    found = {"detailsFrom": spec["detailsFrom"]} if "detailsFrom" in spec else {}
    return found | {f"secretEnv.{name}": source for name, source in spec.get("secretEnv", {}).items()}


def _check_files(draft: Draft, root: Path) -> None:
    """Files of secrets must be there and inside; they are not read."""
    for path, source in secrets_of(draft.spec).items():
        trail: Trail = ("spec", *path.split(".", 1), "file")
        if "file" in source and is_file_name(trail):
            try:
                inside(root, source["file"])
            except BadPath as error:
                draft.findings.append(_bad_path(trail, error))


def _bad_path(trail: Trail, error: BadPath) -> Finding:
    return Finding(trail, str(error), "Names of files are relative to the root of the specs.", error.remedy)


def unknown(mention: Mention, declared: Mapping[Key, Any]) -> Finding:
    """The finding for a key that nothing declares, with the nearest that something does."""
    key = mention.key
    names = [other.name for other in declared if (other.kind, other.workspace) == (key.kind, key.workspace)]
    elsewhere = sorted(other.workspace for other in declared if (other.kind, other.name) == (key.kind, key.name))
    meant = nearest(key.name, names)
    where = f" in workspace {key.workspace!r}" if key.workspace else ""
    detail = f"It is declared in workspace {elsewhere[0]!r} only." if elsewhere else f"Nothing declares {key}."
    example = f"a document `kind: {key.kind}` with `name: {key.name}`"
    return Finding(
        mention.trail,
        f"there is no {key.kind} {key.name!r}{where}",
        detail,
        f"Write `{meant}`." if meant else f"Correct the name, or add {example}.",
    )
