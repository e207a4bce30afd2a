from __future__ import annotations

import pytest

from specrunner.core.keys import Key, Kind


def test_a_key_reads_as_kind_workspace_and_name() -> None:
    assert str(Key(Kind.TASK, "forecasting", "nightly forecast")) == "Task/forecasting/nightly forecast"
    assert str(Key(Kind.CONNECTION, "", "inputs")) == "Connection/inputs"


@pytest.mark.parametrize(
    "text",
    ["Workspace/forecasting", "Connection/a/b", "Task/w/a/b", "Task/w/ spaced ", "Model/w/m", "Pipeline/w/p.1"],
)
def test_what_is_written_is_read_back(text: str) -> None:
    assert str(Key.parse(text)) == text


def test_a_name_may_contain_slashes_and_a_workspace_may_not() -> None:
    assert Key.parse("Task/w/a/b") == Key(Kind.TASK, "w", "a/b")
    with pytest.raises(ValueError, match="slash"):
        Key(Kind.TASK, "a/b", "c")


@pytest.mark.parametrize("text", ["", "Task", "Task/", "Task/w", "Task/w/", "Task//name", "Connection/", "Job/w/x"])
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"Kind|key|form"):
        Key.parse(text)


@pytest.mark.parametrize("kind", Kind)
def test_a_key_has_a_workspace_exactly_where_its_kind_has_one(kind: Kind) -> None:
    assert Key.of(kind, "x", "w").workspace == ("w" if kind.in_workspace else "")
    with pytest.raises(ValueError, match="workspace"):
        Key(kind, "" if kind.in_workspace else "w", "x")


def test_only_workspaces_and_connections_stand_outside_workspaces() -> None:
    assert {kind for kind in Kind if not kind.in_workspace} == {Kind.WORKSPACE, Kind.CONNECTION}


def test_keys_sort_by_kind_then_workspace_then_name() -> None:
    words = ["Workspace/z", "Connection/b", "Model/b/a", "Model/b/b", "Pipeline/a/a", "Orchestration/a/a", "Task/a/a"]
    keys = [Key.parse(text) for text in words]
    assert sorted([*keys[3:], *keys[:3]]) == keys


def test_equal_keys_are_one_entry_of_a_mapping() -> None:
    assert {Key.parse("Task/w/x"): 1} == {Key(Kind.TASK, "w", "x"): 1}
