"""Who may do what: the scopes of a token, and what one of them includes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from specrunner.core.keys import Key, Kind
from specrunner.core.values import Json, JsonObject


class Scope(StrEnum):
    """What a caller may do, least first."""

    READ = "read"  # look: what is live, runs, logs, next instants
    PLAN = "plan"  # and compare secrets by their fingerprints
    RUN = "run"  # and start, end and suspend, infer, read the details of connections
    APPLY = "apply"  # and change what is live: whoever does so starts runs
    ADMIN = "admin"  # and make and revoke tokens, read the audit log


_INCLUDED: Final[Mapping[Scope, frozenset[Scope]]] = {
    Scope.READ: frozenset({Scope.READ}),
    Scope.PLAN: frozenset({Scope.READ, Scope.PLAN}),
    Scope.RUN: frozenset({Scope.READ, Scope.RUN}),
    Scope.APPLY: frozenset({Scope.READ, Scope.PLAN, Scope.RUN, Scope.APPLY}),
    Scope.ADMIN: frozenset(Scope),
}
EVERYTHING: Final = frozenset(Scope)


def included(scopes: Iterable[Scope]) -> frozenset[Scope]:
    """These scopes with all that they include."""
    return frozenset(one for scope in scopes for one in _INCLUDED[scope])


@dataclass(frozen=True, slots=True)
class Identity:
    """An authenticated caller: how the audit log names it, what it may do, and where.

    `workspaces` are the names of those it may see, None for all. `reads_details` says that it may read the details of
    the connections attached there; a run may, whatever its scopes.
    """

    who: str
    scopes: frozenset[Scope] = EVERYTHING
    workspaces: frozenset[str] | None = None
    run_id: str = ""

    def may(self, scope: Scope) -> bool:
        """Whether it has that scope."""
        return scope in self.scopes

    @property
    def reads_details(self) -> bool:
        """Whether it may read the details of connections that it sees."""
        return bool(self.run_id) or self.may(Scope.RUN)

    @property
    def is_limited(self) -> bool:
        """Whether there are workspaces that it does not see."""
        return self.workspaces is not None

    def sees_workspace(self, name: str) -> bool:
        """Whether what is in that workspace is there for it."""
        return self.workspaces is None or name in self.workspaces

    def sees(self, key: Key, spec: JsonObject) -> bool:
        """Whether an object with this spec is there for it: a connection is, where it is attached to what it sees."""
        if self.workspaces is None:
            return True
        if key.kind is Kind.CONNECTION:
            return any(name in self.workspaces for name in spec.get("workspaces") or ())
        return (key.name if key.kind is Kind.WORKSPACE else key.workspace) in self.workspaces

    def may_make(self, key: Key, spec: JsonObject) -> bool:
        """Whether an object with this spec reaches no workspace that it does not see.

        A task reaches those that its code may use, a connection those it is attached to, and there is at least one.
        """
        if self.workspaces is None:
            return True
        reached: list[Json] = list(spec.get("workspaces") or ())
        if key.kind is Kind.CONNECTION:
            return bool(reached) and all(name in self.workspaces for name in reached)
        return self.sees(key, spec) and all(name in self.workspaces for name in reached)
