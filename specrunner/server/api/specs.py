"""What a normalised spec has to be before the engine works with it.

The command line sends what the spec reader has made; others may send anything, and what is stored is read by loops
that host every task. Fields beyond these are the engine's to ignore.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import msgspec

from specrunner.core.due import Timing
from specrunner.core.errors import BadInput
from specrunner.core.keys import Key, Kind
from specrunner.core.values import JsonObject
from specrunner.targets.wire.mirror import meant_key
from specrunner.targets.wire.records import SentResource

_LONGEST_NAME: Final = 128
_ANY: Final = datetime(2026, 1, 1, tzinfo=UTC)  # a moment to try a schedule at
_CENTURY: Final = 100 * 365 * 86400  # seconds

_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]
_Seconds = Annotated[float, msgspec.Meta(ge=0, le=_CENTURY)]
_Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]


class Workspace(msgspec.Struct):
    """A workspace."""


class Connection(msgspec.Struct):
    """A connection."""

    type: _Text
    workspaces: list[_Text] = []
    details: dict[str, Any] | None = None
    detailsFrom: dict[str, Any] | None = None  # noqa: N815 (as specs have it)


class Model(msgspec.Struct):
    """A model."""

    framework: _Text
    sha: _Text


class Pipeline(msgspec.Struct):
    """A pipeline."""

    steps: Annotated[list[dict[str, Any]], msgspec.Meta(min_length=1)]
    modelShas: dict[str, str] = {}  # noqa: N815
    deployed: bool | None = None
    resources: dict[str, Any] | None = None
    log: dict[str, Any] | None = None


class Orchestration(msgspec.Struct):
    """An orchestration."""

    sha: _Text


class Retries(msgspec.Struct):
    """How often a run is tried again."""

    limit: _Count = 0
    backoff: _Seconds = 0


class Port(msgspec.Struct):
    """What a service listens on."""

    port: Annotated[int, msgspec.Meta(ge=1, le=65535)]
    restart: str = "always"
    activation: str = "always"


class Resources(msgspec.Struct):
    """What a run may use."""

    memory: Annotated[int, msgspec.Meta(ge=1, le=2**53)] | None = None
    cpus: float | None = None


class Task(msgspec.Struct):
    """A task."""

    orchestration: _Text
    orchestrationSha: _Text  # noqa: N815
    args: dict[str, Any] | None = None
    schedule: dict[str, Any] | None = None
    service: Port | None = None
    timeout: _Seconds | None = None
    retries: Retries | None = None
    env: dict[str, str] | None = None
    secretEnv: dict[str, dict[str, Any]] | None = None  # noqa: N815
    history: dict[str, _Count] | None = None
    resources: Resources | None = None
    workspaces: list[_Text] | None = None


_SHAPES: Final[Mapping[Kind, type[msgspec.Struct]]] = {
    Kind.WORKSPACE: Workspace,
    Kind.CONNECTION: Connection,
    Kind.MODEL: Model,
    Kind.PIPELINE: Pipeline,
    Kind.ORCHESTRATION: Orchestration,
    Kind.TASK: Task,
}


def check_resource(sent: SentResource, secrets: Mapping[str, Any] = {}) -> None:
    """Raises BadInput for what no spec reader would have made."""
    key = meant_key(sent.key)
    check_names(key)
    try:
        msgspec.convert(sent.spec, _SHAPES[key.kind])
        if key.kind is Kind.PIPELINE:
            msgspec.convert([step.get("model", "") for step in sent.spec["steps"]], list[str])
        if key.kind is Kind.TASK and sent.spec.get("schedule") is not None:
            next(Timing.of(str(key), sent.spec["schedule"]).upcoming(_ANY, 1), None)
        for path, value in secrets.items():
            if path.startswith("secretEnv.") and not isinstance(value, str):
                raise ValueError(f"the secret {path} is no text")
    except (msgspec.ValidationError, ValueError, TypeError, OverflowError) as problem:
        raise BadInput(f"The spec of {sent.key} can't be used.", detail=f"{problem}.") from problem
    _check_payload(key, sent)


def check_names(key: Key) -> None:
    """Raises BadInput for names that no file declares."""
    for name in (key.name, key.workspace or "-"):
        if not name.isprintable() or not name.strip() or len(name) > _LONGEST_NAME:
            raise BadInput(f"A name has one to {_LONGEST_NAME} characters that print; {name[:200]!r} came.")


def _check_payload(key: Key, sent: SentResource) -> None:
    if key.kind not in {Kind.MODEL, Kind.ORCHESTRATION}:
        return
    spec: JsonObject = sent.spec
    if sent.payload is None or sent.payload.sha != spec["sha"]:
        raise BadInput(f"{sent.key} comes without the bytes that its `sha` names.", remedy="Give its `payload`.")
    if not sent.payload.file_name.strip() or len(sent.payload.file_name) > 1024:
        raise BadInput(f"The file of {sent.key} has no name that can be used.")
