"""What a controller tells is recorded: the file of its own, and a line on the page that people open."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jsonschema
import pytest
import yaml

from specrunner.record.followed import Followed, followed_in
from specrunner.record.status import record
from specrunner.targets.memory import MemoryTarget
from tests.unit.core_samples import OWNER
from tests.unit.reconcile_samples import workspace
from tests.unit.test_record_status import NOON, SCHEMA, Kept, apply_and_record

GOOD, BAD = "a" * 40, "b" * 40
UNHEALED = {"unhealed": "Task/w/t: <the disk> is full", "unhealed_since": "2026-11-21T12:00:00Z"}
LIVE = Followed("https://git.example.com/specs", "main", GOOD, GOOD, "live")
REFUSED = replace(
    LIVE, seen=BAD, standing="refused", problem="error: 25 is no hour <x>\n  write 23", since="2026-11-21T12:00:00Z"
)


def told(kept: Kept, followed: Followed | None, target: Any) -> str:
    record(kept, OWNER, None, target, now=NOON, followed=followed)
    return kept.files["staging/README.md"].decode()


@pytest.fixture
def target() -> Any:
    return MemoryTarget()


def test_the_file_fits_the_schema_and_can_be_read_back(target: Any) -> None:
    kept = Kept()
    for followed in (LIVE, REFUSED, replace(REFUSED, live=""), replace(REFUSED, **UNHEALED)):
        told(kept, followed, target)
        data = kept.files["staging/controller.yaml"]
        jsonschema.Draft202012Validator(SCHEMA).validate(yaml.safe_load(data))
        assert followed_in(data) == followed


def test_the_page_tells_what_is_live_and_what_was_refused_and_why(target: Any) -> None:
    kept = Kept()
    assert f"`{GOOD[:12]}` is live" in told(kept, LIVE, target)
    page = told(kept, REFUSED, target)
    assert f"`{GOOD[:12]}` is live" in page and f"`{BAD[:12]}` was refused" in page
    assert "25 is no hour \\<x\\>" in page and "write 23" not in page
    assert "was refused" in told(kept, replace(REFUSED, problem=" \n "), target)
    assert "\\<the disk\\> is full" in told(kept, replace(REFUSED, **UNHEALED), target)
    assert "the disk" not in told(kept, REFUSED, target)
    assert "in part" in told(kept, replace(REFUSED, live=BAD, standing="partly"), target)
    assert "refused" not in told(kept, replace(LIVE, live=BAD, seen=BAD), target)


def test_an_apply_by_somebody_else_leaves_what_the_controller_told(target: Any) -> None:
    kept = Kept()
    told(kept, REFUSED, target)
    apply_and_record(kept, target, workspace())
    assert followed_in(kept.files["staging/controller.yaml"]) == REFUSED
    assert f"`{BAD[:12]}` was refused" in kept.files["staging/README.md"].decode()


def test_the_same_again_is_no_news(target: Any) -> None:
    kept = Kept()
    told(kept, REFUSED, target)
    kept.changed = []
    told(kept, REFUSED, target)
    assert kept.changed == []


@pytest.mark.parametrize("data", [b"", b"[]", b"kind: Other", b"kind: ControllerStatus", b"{", b"\xff", b"&a [*a]"])
def test_a_file_that_somebody_broke_is_told_of_no_more(data: bytes, target: Any) -> None:
    kept = Kept()
    kept.files["staging/controller.yaml"] = data
    apply_and_record(kept, target, workspace())
    assert "Follows" not in kept.files["staging/README.md"].decode()
