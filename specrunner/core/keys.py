"""Keys: the name by which files, plans, targets and records mean the same object."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
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
        return self is not _WORKSPACE and self is not _CONNECTION


# Looking a member up in its class costs more than all else that is done to a key.
_WORKSPACE, _CONNECTION = Kind.WORKSPACE, Kind.CONNECTION
_KINDS = {str(kind): kind for kind in Kind}
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

    def __hash__(self) -> int:
        # Without the kind: an enum's hash is slow, and few names are used for several kinds.
        return hash((self.workspace, self.name))

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
        kind = _KINDS.get(head) or Kind(head)
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
        return (_RANKS[self.kind], self.workspace, self.name)


def nearest(key: Key, known: Iterable[Key]) -> Key | None:
    """The one of the known keys that somebody who wrote this one most likely meant, or None."""
    by_text = {str(other).casefold(): other for other in sorted(known)}
    found = difflib.get_close_matches(str(key).casefold(), by_text, n=1, cutoff=0.6)
    return by_text[found[0]] if found else None
