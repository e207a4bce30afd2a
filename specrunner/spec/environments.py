"""Patches: documents that an environment merges over the base, by RFC 7386 (https://www.rfc-editor.org/rfc/rfc7386)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from specrunner.core.errors import Diagnostic
from specrunner.core.values import Json
from specrunner.spec.findings import Finding, nearest
from specrunner.spec.mistakes import Mistake
from specrunner.spec.positions import Document, Layers, diagnose, written

Identity = tuple[str, str, str]  # kind, workspace, name


@dataclass(frozen=True, slots=True)
class Manifest:
    """A document with the patches over it; `patched` is the merged value, None where nothing was merged."""

    layers: Layers
    patched: Json = None

    @property
    def value(self) -> Json:
        """The value with the patches merged over it."""
        return self.layers[0].value if self.patched is None else self.patched


def merged(base: Json, patch: Json) -> Json:
    """RFC 7386: mappings merge key by key, `null` removes, everything else replaces."""
    if not isinstance(patch, dict):
        return patch
    result = dict(base) if isinstance(base, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value)
    return result


def patched(
    documents: Sequence[Document], patches: Sequence[Document], identify: Callable[[Json], Identity | None]
) -> tuple[list[Manifest], list[Diagnostic]]:
    """The documents with the patches of the same key merged over them, in order of the files.

    A patch that fits no document, or has no key, is a problem.
    """
    if not patches:
        return [Manifest((document,)) for document in documents], []
    problems: list[Diagnostic] = []
    bases = {identify(_named(document)): index for index, document in reversed(list(enumerate(documents)))}
    manifests = [Manifest((document,)) for document in documents]
    for patch in patches:
        identity = identify(_named(patch))
        index = bases.get(identity) if identity else None
        if index is None:
            problems.append(diagnose([patch], _no_base(identity, [known for known in bases if known])))
            continue
        base = manifests[index]
        manifests[index] = Manifest((*base.layers, patch), merged(base.value, patch.value))
    return manifests, problems


def _named(document: Document) -> Json:
    """The document with the names of its key as written: `012` and `12` are two names, and one number."""
    value = document.glance
    metadata = value.get("metadata")
    numbers = (
        [name for name in ("name", "workspace") if isinstance(metadata.get(name), bool | int | float)]
        if isinstance(metadata, dict)
        else []
    )
    if not numbers:
        return value
    names = {name: written([document], ("metadata", name)) for name in numbers}
    return {**value, "metadata": {**metadata, **names}}


def _no_base(identity: Identity | None, known: list[Identity]) -> Finding:
    if identity is None:
        return Finding(
            (),
            "this patch names no object",
            "A patch is merged over the document of the same key.",
            "Give it `kind`, and `metadata` with the object's `name`.",
            code=Mistake.PATCH_WITHOUT_BASE,
        )
    kind, workspace, name = identity
    meant = nearest(name, [other[2] for other in known if other[0] == kind])
    where = f" in workspace {workspace!r}" if workspace else ""
    return Finding(
        ("metadata", "name"),
        f"there is no {kind} {name!r}{where} to patch",
        "A patch is merged over the document of the same key.",
        f"Write `name: {meant}`." if meant else "Declare it in the base first, or delete the patch.",
        code=Mistake.PATCH_WITHOUT_BASE,
    )
