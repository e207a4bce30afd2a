"""Keys: the name by which files, plans, targets and records mean the same object."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """The kinds of a spec repository, in the order in which people think of them."""

    WORKSPACE = "Workspace"
    CONNECTION = "Connection"
    MODEL = "Model"
    PIPELINE = "Pipeline"
    ORCHESTRATION = "Orchestration"
    TASK = "Task"

    @property
    def rank(self) -> int:
        """Position in reading order."""
        return _RANKS[self]

    @property
    def in_workspace(self) -> bool:
        """Whether objects of this kind belong to a workspace."""
        return self not in {Kind.WORKSPACE, Kind.CONNECTION}


_RANKS = {kind: rank for rank, kind in enumerate(Kind)}


@dataclass(frozen=True, slots=True)
class Key:
    """`Kind/workspace/name`, or `Kind/name` for the kinds that stand outside workspaces."""

    kind: Kind
    workspace: str
    name: str

    def __post_init__(self) -> None:
        if not self.name or "/" in self.workspace:
            raise ValueError(f"a key has a name, and no slash in its workspace: {self.workspace!r}, {self.name!r}")
        if self.kind.in_workspace != bool(self.workspace):
            expects = "a" if self.kind.in_workspace else "no"
            raise ValueError(f"a {self.kind} key has {expects} workspace: {self.workspace!r}, {self.name!r}")

    @classmethod
    def of(cls, kind: Kind, name: str, workspace: str) -> Key:
        """The key of `name`, with the workspace only where the kind has one."""
        return cls(kind, workspace if kind.in_workspace else "", name)

    @classmethod
    def parse(cls, text: str) -> Key:
        """Read what `str` writes. A name may contain slashes; kinds and workspaces do not.

        Raises ValueError where the kind is unknown or a part is missing.
        """
        head, _, rest = text.partition("/")
        kind = Kind(head)
        workspace, _, name = rest.partition("/") if kind.in_workspace else ("", "", rest)
        if not name:
            shape = "Kind/workspace/name" if kind.in_workspace else "Kind/name"
            raise ValueError(f"{text!r} is not of the form {shape}")
        return cls(kind, workspace, name)

    def __str__(self) -> str:
        return f"{self.kind}/{self.workspace}/{self.name}" if self.workspace else f"{self.kind}/{self.name}"

    def __lt__(self, other: Key) -> bool:
        return self._order < other._order

    @property
    def _order(self) -> tuple[int, str, str]:
        return (self.kind.rank, self.workspace, self.name)
