"""What can only be said of all documents together: duplicates, unknown references, cycles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from specrunner.core.errors import Diagnostic
from specrunner.core.keys import Key, Kind
from specrunner.spec.drafts import Draft, Mention, Names, unknown
from specrunner.spec.findings import Finding
from specrunner.spec.mistakes import Mistake
from specrunner.spec.positions import diagnose
from specrunner.spec.project import Project


def duplicates(drafts: Sequence[Draft]) -> Iterator[Diagnostic]:
    """One problem for each document whose key another one had before."""
    first: dict[Key, Draft] = {}
    for draft in drafts:
        if draft.key is None:
            continue
        earlier = first.setdefault(draft.key, draft)
        if earlier is not draft:
            place = earlier.manifest.layers[0].place
            yield diagnose(
                draft.manifest.layers,
                Finding(
                    ("metadata", "name"),
                    f"{draft.key} is declared twice",
                    f"The first stands at {place}.",
                    "Rename or delete one of them.",
                    related=(place,),
                    code=Mistake.DUPLICATE_OBJECT,
                ),
            )


def unknown_references(
    drafts: Sequence[Draft], declared: Mapping[Key, Draft], project: Project
) -> Iterator[Diagnostic]:
    """One problem for each name that nothing declares."""
    names = Names(declared)
    for draft in drafts:
        for mention in draft.mentions:
            # In a workspace that is unknown itself everything would be unknown.
            if mention.key not in declared and not ("workspace" in draft.metadata and _is_lost(mention.key, declared)):
                yield diagnose(draft.manifest.layers, unknown(mention, names))
    yield from _default_workspace(drafts, declared, names, project)


def _is_lost(key: Key, declared: Mapping[Key, Draft]) -> bool:
    return bool(key.workspace) and Key(Kind.WORKSPACE, "", key.workspace) not in declared


def _default_workspace(
    drafts: Sequence[Draft], declared: Mapping[Key, Draft], names: Names, project: Project
) -> Iterator[Diagnostic]:
    """The project's default is told once, at the project, and not at everything that relies on it."""
    if not project.document or not project.default_workspace:
        return
    key = Key(Kind.WORKSPACE, "", project.default_workspace)
    used = any(draft.key and draft.key.workspace and "workspace" not in draft.metadata for draft in drafts)
    if used and key not in declared:
        yield diagnose([project.document], unknown(Mention(("spec", "defaultWorkspace"), key), names))


def cycles(drafts: Sequence[Draft]) -> Iterator[Diagnostic]:
    """One problem for each cycle, printed whole, at the first of its documents."""
    by_key = {draft.key: draft for draft in drafts if draft.key}
    for cycle in _cycles(_edges(by_key)):
        shown = " → ".join(str(key) for key in (*cycle, cycle[0]))
        draft = by_key[cycle[0]]
        following = cycle[1 % len(cycle)]
        trail = next((mention.trail for mention in draft.mentions if mention.key == following), ("metadata",))
        yield diagnose(
            draft.manifest.layers,
            Finding(
                trail,
                "references form a cycle",
                f"{shown}: none of them could be applied first.",
                "Delete one of these references, for instance this one.",
                code=Mistake.CYCLE,
            ),
        )


def _edges(drafts: Mapping[Key, Draft]) -> dict[Key, list[Key]]:
    """Who waits for whom; an attachment written at the workspace is the connection's edge."""
    edges: dict[Key, list[Key]] = {key: [] for key in drafts}
    for key, draft in drafts.items():
        for mention in draft.mentions:
            waiting, awaited = (mention.key, key) if mention.is_attachment else (key, mention.key)
            edges.setdefault(waiting, []).append(awaited)
    return edges


def _cycles(edges: Mapping[Key, Sequence[Key]]) -> Iterator[tuple[Key, ...]]:
    """Disjoint cycles: what reaches a known cycle again is not told twice.

    A depth-first search with its own stack, since chains may be longer than Python's.
    """
    done: set[Key] = set()
    for start in sorted(edges):
        path: dict[Key, None] = {}
        stack = [(start, False)]
        while stack:
            key, leaving = stack.pop()
            if leaving:
                path.pop(key, None)
                done.add(key)
            elif key in path:
                trail = list(path)
                yield _from_smallest(trail[trail.index(key) :])
            elif key not in done:
                path[key] = None
                stack.append((key, True))
                stack += [(other, False) for other in reversed(edges.get(key, ()))]


def _from_smallest(cycle: Sequence[Key]) -> tuple[Key, ...]:
    start = cycle.index(min(cycle))
    return (*cycle[start:], *cycle[:start])
