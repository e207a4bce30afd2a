"""What the status files say of an object: enough to bring it back on a target that has lost its memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from specrunner.core.errors import Diagnostic
from specrunner.core.keys import Key
from specrunner.core.resources import LiveObject, Owner, Presence
from specrunner.core.values import JsonObject


@dataclass(frozen=True, slots=True)
class RunTimes:
    """When a run was made, when its code began, and when it ended."""

    created: datetime
    started: datetime | None = None
    ended: datetime | None = None


@dataclass(frozen=True, slots=True)
class Recorded:
    """One object as it was last recorded.

    `applied` is the normalised spec with secrets as references; `commit` the revision it came from, empty where
    unknown; `state` what its state was; `intents` the state of the last run of each intent of a run-once task, and
    `runs` the id of that run; `times` tells by such an id when the run was, where its own record does.
    """

    key: Key
    owner: Owner
    applied: JsonObject
    id: str = ""
    commit: str = ""
    protect: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    description: str = ""
    intents: Mapping[str, str] = field(default_factory=dict)
    runs: Mapping[str, str] = field(default_factory=dict)
    times: Mapping[str, RunTimes] = field(default_factory=dict)
    state: str = ""

    def as_live(self) -> LiveObject:
        """The object as a target would tell it that had kept its memory; secrets count as unchanged."""
        return LiveObject(
            key=self.key,
            spec=self.applied,
            id=self.id,
            state=self.state,
            owner=self.owner,
            applied=self.applied,
            protect=self.protect,
            labels=self.labels,
            description=self.description,
            intents=self.intents,
            presence=Presence.RECORDED,
        )


@dataclass(frozen=True, slots=True)
class Records:
    """What the status files of one owner say; `problems` are files that can't be read, each named by its path."""

    objects: tuple[Recorded, ...] = ()
    problems: tuple[Diagnostic, ...] = ()


NO_RECORDS = Records()
