"""A host whose disk is full: it stays up, and makes up for what it could not write down."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

from tests.integration.private_disk import seen


def test_a_host_goes_on_when_its_full_disk_has_room_again_and_loses_no_instant(tmp_path: Path) -> None:
    found = seen("tests.integration.host_on_full_disk", tmp_path)
    assert (found["up"], found["integrity"]) == (True, "ok")
    assert {later - earlier for earlier, later in pairwise(found["instants"])} == {60.0}
    assert found["made_up_for"] > 1
    assert set(found["states"]) <= {"success", "failure"}
