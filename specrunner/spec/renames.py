"""`metadata.renamedFrom`: an object says which name it had before, so that it is renamed and not made anew."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from specrunner.core.errors import Diagnostic
from specrunner.core.keys import Key
from specrunner.spec.drafts import Draft
from specrunner.spec.findings import Finding
from specrunner.spec.mistakes import Mistake
from specrunner.spec.positions import diagnose

_TRAIL = ("metadata", "renamedFrom")


def former_key(draft: Draft) -> Key | None:
    """The key that an object had before, if its document says so; kind and workspace are the same."""
    name = draft.metadata.get("renamedFrom")
    return Key(draft.key.kind, draft.key.workspace, name) if draft.key and isinstance(name, str) and name else None


def wrong_renames(drafts: Sequence[Draft]) -> Iterator[Diagnostic]:
    """One problem for each object that can't have been renamed as it says."""
    declared = {draft.key: draft for draft in reversed(drafts) if draft.key}
    heirs: dict[Key, Draft] = {}
    for draft in drafts:
        former = former_key(draft)
        if former is None:
            continue
        heir = heirs.setdefault(former, draft)
        if former == draft.key:
            yield diagnose(draft.manifest.layers, _from_itself(former))
        elif former in declared:
            yield diagnose(draft.manifest.layers, _still_there(former, declared[former]))
        elif heir is not draft:
            yield diagnose(draft.manifest.layers, _twice(former, heir))


def _from_itself(key: Key) -> Finding:
    return Finding(
        _TRAIL,
        f"{key} is renamed from itself",
        "`renamedFrom` is the name that it had before.",
        "Write the former name, or delete this line.",
        code=Mistake.BAD_RENAME,
    )


def _still_there(former: Key, other: Draft) -> Finding:
    place = other.manifest.layers[0].place
    return Finding(
        _TRAIL,
        f"{former} is still declared",
        f"It stands at {place}, so nothing was renamed from it.",
        "Delete that document, or this line.",
        related=(place,),
        code=Mistake.BAD_RENAME,
    )


def _twice(former: Key, heir: Draft) -> Finding:
    place = heir.manifest.layers[0].place
    return Finding(
        _TRAIL,
        f"two objects are renamed from {former}",
        f"The other is {heir.key}, at {place}; only one of them can be what it was.",
        "Delete this line in one of them: that one is created anew.",
        related=(place,),
        code=Mistake.BAD_RENAME,
    )
