"""Drift: what somebody else has changed on the target, whatever the files say now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from specrunner.core.diff import FieldChange, drift
from specrunner.core.keys import Key
from specrunner.core.resources import Live, Owner, Presence


@dataclass(frozen=True, slots=True)
class Drift:
    """The objects that are no longer as they were applied, with the fields, and those that are gone."""

    changed: Mapping[Key, tuple[FieldChange, ...]] = field(default_factory=dict)
    missing: tuple[Key, ...] = ()

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self.changed or self.missing)


def drift_of(live: Live, owner: Owner) -> Drift:
    """What somebody else did to the objects of this owner. What is only recorded can't have drifted."""
    ours = {key: found for key, found in sorted(live.items()) if found.owner == owner}
    changed = {key: changes for key, found in ours.items() if (changes := drift(found))}
    return Drift(changed, tuple(key for key, found in ours.items() if found.presence is Presence.MISSING))
