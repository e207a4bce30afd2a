"""What the engine's services answer: frozen records, instants as aware datetimes in UTC."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from specrunner.core.keys import Key, Kind
from specrunner.core.lifecycle import ModelState, OrchestrationState, Reason, RunState, TaskState
from specrunner.core.resources import Owner
from specrunner.core.values import Json, JsonObject

SPEC = "spec"  # who holds the deployments that specs declare


@dataclass(frozen=True, slots=True)
class Workspace:
    """A workspace: what its name groups, and which connections are attached."""

    id: int
    name: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class User:
    """A person who may call the platform API; an `admin` may use every workspace. The local user was never added."""

    id: str
    email: str
    admin: bool
    enabled: bool
    created_at: datetime | None


@dataclass(frozen=True, slots=True)
class Member:
    """Who may use a workspace, and as what (`OWNER`, `COLLABORATOR`)."""

    user_id: str
    role: str


@dataclass(frozen=True, slots=True)
class Tag:
    """A word on models and pipelines."""

    id: int
    tag: str


@dataclass(frozen=True, slots=True)
class Connection:
    """A connection without its details, which are read on their own and only by who may."""

    id: str
    name: str
    type: str
    created_at: datetime
    workspaces: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """One version of a model; `model_id` is shared by all versions under one name."""

    id: int
    model_id: int
    workspace_id: int
    name: str
    version: str
    sha: str
    size: int
    file_name: str
    config: JsonObject
    created_at: datetime
    status: ModelState = ModelState.READY
    error: str = ""
    lock: str = ""


@dataclass(frozen=True, slots=True)
class PipelineVersion:
    """One version of a pipeline; `definition` is as the platform API writes it, `{}` for an empty one.

    `config` is what it is served with beside the steps: `resources` and `validations` as specs have them.
    """

    id: int
    pipeline_id: int
    version: str
    definition: JsonObject
    created_at: datetime
    config: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A pipeline with its versions, newest first; `settings` is what its spec says beside the steps."""

    id: int
    workspace_id: int
    name: str
    settings: JsonObject
    created_at: datetime
    updated_at: datetime
    versions: tuple[PipelineVersion, ...]

    @property
    def current(self) -> PipelineVersion | None:
        """The newest version that has steps."""
        return next((version for version in self.versions if version.definition), None)


@dataclass(frozen=True, slots=True)
class Deployment:
    """A pipeline's deployment; `holders` keep it up, and it is gone for those in `given_back`."""

    id: int
    pipeline_id: int
    pipeline: str
    version_id: int
    holders: tuple[str, ...]
    given_back: tuple[str, ...]

    @property
    def name(self) -> str:
        """`<pipeline>-<id>`, by which the platform API asks for its status."""
        return f"{self.pipeline}-{self.id}"

    def running_for(self, caller: str) -> bool:
        """Whether `caller` may use it: somebody holds it, and the caller did not give it back."""
        return bool(self.holders) and caller not in self.given_back


@dataclass(frozen=True, slots=True)
class Orchestration:
    """One uploaded version of an orchestration; versions share workspace and name."""

    id: str
    workspace_id: int
    name: str
    file_name: str
    sha: str
    entry: str
    status: OrchestrationState
    error: str
    lock: str
    environment: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Task:
    """An order to run an orchestration; `spec` is normalised, secrets in it are references.

    Its schedule is settled up to `since`; `suspended` is what a command said, whatever the spec says.
    """

    id: str
    workspace_id: int
    workspace: str
    name: str
    orchestration_id: str
    spec: JsonObject
    status: TaskState
    created_at: datetime
    updated_at: datetime
    since: datetime
    suspended: bool

    @property
    def key(self) -> Key:
        """The key by which files and records name the task."""
        return Key(Kind.TASK, self.workspace, self.name)


class Origin(StrEnum):
    """Why a run is there."""

    HAND = "hand"  # somebody asked for it
    INTENT = "intent"  # a run-once task was applied
    SCHEDULE = "schedule"  # an instant of its schedule came
    BACKFILL = "backfill"  # somebody asked for a missed instant
    SERVICE = "service"  # a service is kept alive


@dataclass(frozen=True, slots=True)
class Run:
    """One execution of a task.

    `scheduled_at` is the instant that it is for; a skip may stand for all of them from `first_at` on. One that is
    `beside` leaves the instant's identity to the record that has it.
    """

    id: str
    task_id: str
    task_key: str
    workspace_id: int
    orchestration_id: str
    sha: str
    environment: str
    intent: str | None
    scheduled_at: datetime | None
    attempt: int
    args: JsonObject
    status: RunState
    reason: Reason | None
    detail: str
    exit_code: int | None
    code_started: bool
    results: Json
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    origin: Origin
    first_at: datetime | None
    beside: bool = False


@dataclass(frozen=True, slots=True)
class Ownership:
    """Whose an object is, and what was last applied to it."""

    owner: Owner
    applied: JsonObject
    secrets: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    description: str = ""
    protect: bool = False
