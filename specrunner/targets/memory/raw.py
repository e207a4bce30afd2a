"""The records that a memory target consists of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from specrunner.core.keys import Key
from specrunner.core.lifecycle import Reason, RunState
from specrunner.core.resources import Owner
from specrunner.core.values import Json, JsonObject


@dataclass(frozen=True, slots=True)
class RawObject:
    """One object of the server. `name` is what the server calls it, `key` what the adapter knows it as.

    `token` is that of the create which made it, `looks` how often a deleted object is still seen: 0 for one that is
    not deleted. `fresh` is True until a listing has shown it. `secrets` are the fingerprints of those that it holds.
    """

    id: str
    key: Key
    name: str
    spec: JsonObject
    state: str = "ready"
    detail: str = ""
    file_name: str = ""
    token: str = ""
    looks: int = 0
    fresh: bool = True
    secrets: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Record:
    """What the adapter remembers of an object: whose it is, and what was last applied."""

    owner: Owner
    applied: JsonObject
    secrets: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    description: str = ""
    protect: bool = False


@dataclass(frozen=True, slots=True)
class RawRun:
    """One run, for the instant `scheduled` where it has one; `worker` is the process that carries it out.

    That is empty before it began.
    """

    id: str
    task: Key
    task_id: str
    created: datetime
    status: RunState = RunState.PENDING
    intent: str = ""
    args: JsonObject = field(default_factory=dict)
    sha: str = ""
    worker: str = ""
    reason: Reason | None = None
    detail: str = ""
    exit_code: int | None = None
    started: datetime | None = None
    ended: datetime | None = None
    results: Json = None
    scheduled: datetime | None = None
