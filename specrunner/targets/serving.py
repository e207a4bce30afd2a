"""What a target that serves inference can be asked about its pipelines, beside inference itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from specrunner.core.keys import Key
from specrunner.core.values import JsonObject

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class VersionView:
    """One version of a pipeline; `steps` are as a spec says them, none for an empty version."""

    version: str
    created: datetime
    steps: tuple[JsonObject, ...]
    in_force: bool = False


@dataclass(frozen=True, slots=True)
class PipelineView:
    """A pipeline: its versions, newest first, who holds its deployment, and how many rows its log has."""

    key: Key
    versions: tuple[VersionView, ...]
    holders: tuple[str, ...]
    given_back: tuple[str, ...]
    logged: int

    @property
    def current(self) -> VersionView | None:
        """The version that is deployed, or would be: the newest that has steps."""
        in_force = next((version for version in self.versions if version.in_force and self.holders), None)
        return in_force or next((version for version in self.versions if version.steps), None)


@dataclass(frozen=True, slots=True)
class LogRows:
    """Rows of an inference log; `more` says why there may be others, empty where these are all."""

    rows: pa.Table
    more: str = ""


@dataclass(frozen=True, slots=True)
class Span:
    """Instants, both included; what is None is open."""

    start: datetime | None = None
    end: datetime | None = None


@runtime_checkable
class Serving(Protocol):
    """A target that serves pipelines. Each method raises NotFound for a pipeline that there is not."""

    def pipelines(self) -> Sequence[PipelineView]:
        """All of them, by key."""

    def deploy(self, pipeline: Key, version: str | None = None) -> PipelineView:
        """Hold a version, the current one unless one is named, as this user. Raises BadInput where it can't be."""

    def undeploy(self, pipeline: Key, *, force: bool = False) -> PipelineView:
        """Give back this user's hold, with `force` also that of the specs."""

    def logged(self, pipeline: Key, limit: int | None, span: Span) -> LogRows:
        """Rows of the log: the newest first, or with a span the oldest of it."""

    def export(self, pipeline: Key, path: Path, span: Span) -> int:
        """Write the rows of a span to a .arrow, .parquet or .csv file; how many there were."""
