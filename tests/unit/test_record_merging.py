"""What stays of a record when another one comes on top of it."""

from __future__ import annotations

import pytest

from specrunner.record.merging import news
from specrunner.record.plumbing import Change

INTENT = "a" * 64
TASK = "default/tasks/lab/once.yaml"


def task(state: str) -> bytes:
    intents = f"intents:\n  {INTENT}: {state}\n" if state else "intents: {}\n"
    return f"kind: TaskStatus\nkey: Task/lab/once\n{intents}applied: {{}}\n".encode()


@pytest.mark.parametrize(
    ("theirs", "ours", "is_news"),
    [
        ("success", "", False),  # ours is of a machine on which it never ran
        ("success", "lost", False),
        ("success", "running", False),
        ("failure", "", False),
        ("failure", "running", True),  # it is tried again
        ("failure", "success", True),
        ("running", "", True),
        ("success", "success", True),
    ],
)
def test_a_task_is_not_told_by_who_does_not_know_how_its_order_has_ended(theirs: str, ours: str, is_news: bool) -> None:
    blobs = {"theirs": task(theirs), "ours": task(ours)}
    found = news([Change(TASK, "before", "ours")], {TASK: "theirs"}, lambda blob: blobs[blob])
    assert found == ({TASK: "ours"} if is_news else {})
