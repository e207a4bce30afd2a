"""Who may do what, as plain values."""

from __future__ import annotations

import pytest

from specrunner.core.access import Identity, Scope, included
from specrunner.core.keys import Key

LAB = Identity("token x", included([Scope.APPLY]), frozenset({"lab", "shop"}))
ALL = Identity("token y", included([Scope.READ]))


@pytest.mark.parametrize(
    ("scope", "includes"),
    [
        (Scope.READ, {Scope.READ}),
        (Scope.PLAN, {Scope.READ, Scope.PLAN}),
        (Scope.RUN, {Scope.READ, Scope.RUN}),
        (Scope.APPLY, {Scope.READ, Scope.PLAN, Scope.RUN, Scope.APPLY}),
        (Scope.ADMIN, set(Scope)),
    ],
)
def test_a_scope_includes_what_it_cannot_do_without(scope: Scope, includes: set[Scope]) -> None:
    assert included([scope]) == includes
    assert Identity("x", included([scope])).may(scope)


def test_no_scope_includes_nothing() -> None:
    assert included([]) == frozenset()


@pytest.mark.parametrize(
    ("key", "spec", "seen", "made"),
    [
        ("Workspace/lab", {}, True, True),
        ("Workspace/other", {}, False, False),
        ("Task/lab/x", {}, True, True),
        ("Task/other/x", {}, False, False),
        ("Task/lab/x", {"workspaces": ["shop"]}, True, True),
        ("Task/lab/x", {"workspaces": ["shop", "other"]}, True, False),
        ("Connection/x", {"workspaces": ["lab"]}, True, True),
        ("Connection/x", {"workspaces": ["lab", "other"]}, True, False),
        ("Connection/x", {"workspaces": ["other"]}, False, False),
        ("Connection/x", {"workspaces": []}, False, False),
        ("Connection/x", {"workspaces": None}, False, False),
    ],
)
def test_a_limit_holds_for_what_is_seen_and_for_what_is_made(
    key: str, spec: dict[str, object], seen: bool, made: bool
) -> None:
    assert LAB.sees(Key.parse(key), spec) is seen
    assert LAB.may_make(Key.parse(key), spec) is made
    assert ALL.sees(Key.parse(key), spec) and ALL.may_make(Key.parse(key), spec)


def test_details_are_for_runs_and_for_who_may_start_them() -> None:
    assert LAB.reads_details and not ALL.reads_details
    assert Identity("run 1", frozenset({Scope.READ}), frozenset({"lab"}), "1").reads_details
