"""Objects that look like another one under a new name: without a word about it, renaming deletes and makes anew."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from specrunner.core.keys import Key
from specrunner.core.plan import Notice, Step
from specrunner.core.resources import Live, LiveObject, Resource, metadata_of
from specrunner.core.sides import comparable, declared_digest
from specrunner.core.values import digest


def lookalikes(steps: Sequence[Step], resources: Mapping[Key, Resource], live: Live) -> Iterator[Notice]:
    """A notice for each object to be created that is declared just as one of ours was that is to be deleted.

    Only where there is one of each: of several that are alike nobody can tell which became which.
    """
    gone = [step.key for step in steps if step.deletes and not step.gone]
    made = [step.key for step in steps if step.creates and not step.gone]
    places = {_place(key) for key in gone} & {_place(key) for key in made}
    deleted = _alike((key, _as_applied(live[key])) for key in gone if _place(key) in places)
    created = _alike((key, declared_digest(resources[key])) for key in made if _place(key) in places)
    for shape in sorted(created.keys() & deleted.keys(), key=lambda shape: created[shape]):
        (new, *others), (old, *rest) = created[shape], deleted[shape]
        if not others and not rest and resources[new].renamed_from is None:
            yield _notice(new, old)


def _alike(found: Iterable[tuple[Key, str]]) -> dict[tuple[str, str, str], list[Key]]:
    """Keys by kind, workspace and all that is declared."""
    alike: defaultdict[tuple[str, str, str], list[Key]] = defaultdict(list)
    for key, declared in found:
        alike[key.kind, key.workspace, declared].append(key)
    return alike


def _place(key: Key) -> tuple[str, str]:
    return key.kind, key.workspace


def _as_applied(live: LiveObject) -> str:
    return digest(comparable(live.key.kind, live.applied or {}, metadata_of(live)))


def _notice(new: Key, old: Key) -> Notice:
    return Notice(
        new,
        f"it is declared just as {old} was, which would be deleted",
        f"To rename that one instead, and keep its history, write `renamedFrom: {old.name}` into its metadata.",
    )
