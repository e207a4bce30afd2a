"""Keys: the name by which files, plans, targets and records mean the same object."""

from __future__ import annotations

import difflib
import functools
from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple, Self


class Kind(StrEnum):
    """The kinds of a spec repository, in the order in which people think of them."""

    WORKSPACE = "Workspace"
    CONNECTION = "Connection"
    MODEL = "Model"
    PIPELINE = "Pipeline"
    ORCHESTRATION = "Orchestration"
    TASK = "Task"

    # As texts hash, in C: an enum's own goes through Python, and keys are looked up by the hundred thousand.
    __hash__ = str.__hash__

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
_INSIDE = frozenset(kind for kind in Kind if kind.in_workspace)


class _Ordered(NamedTuple):
    """What a key consists of, in the order in which keys sort."""

    rank: int
    workspace: str
    name: str
    kind: Kind


class Key(_Ordered):
    """`Kind/workspace/name`, or `Kind/name` for the kinds that stand outside workspaces.

    A tuple, so that comparing, hashing and sorting run in C: a plan does each some hundred thousand times.
    """

    __slots__ = ()

    def __new__(cls, kind: Kind, workspace: str, name: str) -> Self:
        """Raises ValueError for a name that is empty, and for a workspace where the kind has none or needs one."""
        if not name or "/" in workspace:
            raise ValueError(f"a key has a name, and no slash in its workspace: {workspace!r}, {name!r}")
        if (kind in _INSIDE) is not (workspace != ""):
            expects = "a" if kind.in_workspace else "no"
            raise ValueError(f"a {kind} key has {expects} workspace: {workspace!r}, {name!r}")
        return tuple.__new__(cls, (_RANKS[kind], workspace, name, kind))

    def __getnewargs__(self) -> tuple[Kind, str, str]:
        return self.kind, self.workspace, self.name

    def __repr__(self) -> str:
        return f"Key({str(self)!r})"

    def named(self, name: str) -> Key:
        """The key of an object of this kind, in this workspace, with another name."""
        return Key(self.kind, self.workspace, name)

    def inside(self, workspace: str) -> Key:
        """The key of an object of this kind and name in another workspace."""
        return Key(self.kind, workspace, self.name)

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


# For keys that others name: ten thousand tasks name a few workspaces and orchestrations.
shared_key = functools.lru_cache(4096)(Key)


def nearest(key: Key, known: Iterable[Key]) -> Key | None:
    """The one of the known keys that somebody who wrote this one most likely meant, or None."""
    by_text = {str(other).casefold(): other for other in sorted(known)}
    found = difflib.get_close_matches(str(key).casefold(), by_text, n=1, cutoff=0.6)
    return by_text[found[0]] if found else None
