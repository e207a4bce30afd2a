"""The bodies of requests and answers. What is asked is read strictly, so that a misspelt field is told; what is
answered is read leniently, so that an older client understands a newer server."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from specrunner.core.access import Scope
from specrunner.core.due import Due
from specrunner.core.errors import Diagnostic, Place
from specrunner.core.leases import Holder, Lease
from specrunner.core.resources import Owner
from specrunner.core.services import ServiceState
from specrunner.targets.wire.mirror import LIVE, RECORDED, RUN, STEP

if TYPE_CHECKING:  # made from the records of core; see `mirror`
    SentStep: TypeAlias = Any
    SentRecorded: TypeAlias = Any
    ToldObject: TypeAlias = Any
    ToldRun: TypeAlias = Any
else:
    SentStep, SentRecorded, ToldObject, ToldRun = STEP.struct, RECORDED.struct, LIVE.struct, RUN.struct


class Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of what is sent to the server."""


class Told(msgspec.Struct, frozen=True):
    """Base of what it answers."""


# Objects


class SentPayload(Asked, frozen=True):
    """Which bytes go with a resource; they are uploaded on their own, under their sha256."""

    sha: str
    size: int
    file_name: str


class SentResource(Asked, frozen=True):
    """One declared object, normalised; secrets in `spec` are references."""

    key: str
    spec: dict[str, Any]
    place: Place = Place("")
    labels: dict[str, str] = {}
    description: str = ""
    protect: bool = False
    payload: SentPayload | None = None
    secrets: dict[str, dict[str, Any]] = {}
    references: tuple[str, ...] = ()
    renamed_from: str | None = None


class SentOrder(Asked, frozen=True):
    """Make one object as declared. `secrets` are the values of its secrets, by their paths in the spec."""

    resource: SentResource
    step: SentStep
    owner: Owner
    secrets: dict[str, Any] = {}
    token: str = ""


class SentDelete(Asked, frozen=True):
    """Remove the object that the step was planned for."""

    step: SentStep


class SentRestore(Asked, frozen=True):
    """Bring an object back that only the status files know."""

    recorded: SentRecorded
    order: SentOrder


class SentCheck(Asked, frozen=True):
    """What to look through. With `files`, the uploaded files are tried too."""

    resources: list[SentResource]
    files: bool = False


class Problems(Told, frozen=True):
    """What is wrong with them; nothing where the list is empty."""

    problems: list[Diagnostic]


class LiveObjects(Told, frozen=True):
    """Everything live that the caller may see."""

    objects: list[ToldObject]


class Done(Told, frozen=True):
    """It is done."""

    done: bool = True


class SentSecret(Asked, frozen=True):
    """A secret to be fingerprinted; it is not stored."""

    value: Any


class Fingerprint(Told, frozen=True):
    """Its keyed fingerprint."""

    fingerprint: str


class Remembers(Told, frozen=True):
    """Whether all that was applied for an owner is known here."""

    remembers: bool


class KeptFile(Told, frozen=True):
    """The bytes that were taken in."""

    sha: str
    size: int


class HasFile(Told, frozen=True):
    """Whether the bytes of that sha256 are there already."""

    there: bool


# Leases


class Leases(Told, frozen=True):
    """Every lease, expired ones too. Their tokens are shown to who may apply."""

    leases: list[Lease]


class SentLease(Asked, frozen=True):
    """Take the lease of that name: `project/environment`, or `*`."""

    name: str
    holder: Holder


class LeaseTaken(Told, frozen=True):
    """The lease that excludes it, null where it was taken."""

    excluded_by: Lease | None


class SentHold(Asked, frozen=True):
    """The lease that somebody holds; without a token, whoever does."""

    name: str
    token: str | None = None


class Held(Told, frozen=True):
    """Whether it was held."""

    held: bool


class HostedBy(Told, frozen=True):
    """The process that starts what is scheduled; null where none lives."""

    host: Holder | None


# Runs and schedules


class SentRun(Asked, frozen=True):
    """Run a task: an intent once, or by hand; with other arguments than the declared ones where they are given."""

    task: str
    intent: str | None = None
    args: dict[str, Any] | None = None


class RunViews(Told, frozen=True):
    """Runs."""

    runs: list[ToldRun]


class LogLine(Told, frozen=True):
    """One line of a log; `time` is seconds since the epoch."""

    time: float
    text: str


class LogPage(Told, frozen=True):
    """Complete lines of the log of an attempt, and the offset after them."""

    attempt: int
    offset: int
    lines: list[LogLine]


class SentTask(Asked, frozen=True):
    """The task that is meant, as Task/workspace/name."""

    task: str


class Service(Told, frozen=True):
    """How a service is; null for a task that is none."""

    state: ServiceState | None


class NextFires(Told, frozen=True):
    """The next instants of a schedule."""

    fires: list[Due]


class Instants(Told, frozen=True):
    """Instants, oldest first."""

    instants: list[datetime]


class SentSpan(Asked, frozen=True):
    """From `begin` to `end`, both included."""

    task: str
    begin: datetime
    end: datetime


# Pipelines


class ToldVersion(Told, frozen=True):
    """A version of a pipeline; `steps` are as a spec says them, none for an empty version."""

    version: str
    created: datetime
    steps: tuple[dict[str, Any], ...]
    in_force: bool


class ToldPipeline(Told, frozen=True):
    """A pipeline: its versions, newest first, who holds its deployment, and how many rows its log has."""

    key: str
    versions: tuple[ToldVersion, ...]
    holders: tuple[str, ...]
    given_back: tuple[str, ...]
    logged: int


class ToldPipelines(Told, frozen=True):
    """Pipelines, by key."""

    pipelines: list[ToldPipeline]


class SentDeploy(Asked, frozen=True):
    """Hold a pipeline, as Pipeline/workspace/name; its newest version that has steps unless one is named."""

    pipeline: str
    version: str | None = None


class SentUndeploy(Asked, frozen=True):
    """Give back the hold of users, with `force` also that of the specs."""

    pipeline: str
    force: bool = False


# Who may do what


class ListedConnection(Told, frozen=True):
    """A connection without its details."""

    id: str
    name: str
    type: str
    workspaces: tuple[str, ...]
    created: datetime


class Connections(Told, frozen=True):
    """Connections."""

    connections: list[ListedConnection]


class Details(Told, frozen=True):
    """All details of a connection, secrets too."""

    name: str
    type: str
    details: dict[str, Any]


class WhoAmI(Told, frozen=True):
    """Who calls, with what rights; `workspaces` is null where it sees all."""

    who: str
    scopes: list[Scope]
    workspaces: list[str] | None


class SentToken(Asked, frozen=True):
    """A token to be made; `expires_in` is seconds."""

    name: str
    scopes: list[Scope]
    workspaces: list[str] | None = None
    expires_in: int | None = None


class ToldToken(Told, frozen=True):
    """A token; `text` is its secret, told once, when it is made."""

    id: str
    name: str
    scopes: tuple[Scope, ...]
    workspaces: tuple[str, ...] | None
    created: datetime
    expires: datetime | None = None
    revoked: datetime | None = None
    text: str | None = None


class ToldTokens(Told, frozen=True):
    """Every token that was ever made, without their secrets."""

    tokens: list[ToldToken]


class SentRevoke(Asked, frozen=True):
    """The token that is to open nothing any more, by its id or its name."""

    token: str


class AuditEntry(Told, frozen=True):
    """Who did what, and when."""

    seq: int
    at: datetime
    who: str
    action: str
    subject: str
    address: str
    outcome: str


class AuditLog(Told, frozen=True):
    """The newest entries first."""

    entries: list[AuditEntry]


class Health(Told, frozen=True):
    """How the server is."""

    status: str
