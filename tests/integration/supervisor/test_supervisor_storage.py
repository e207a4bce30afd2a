"""A full disk and a read-only folder: a clear state, nothing corrupt, nothing left alive."""

from __future__ import annotations

from pathlib import Path

from tests.integration.private_disk import seen as scene

SCENES = "tests.integration.supervisor.storage_scenes"


def test_a_run_on_a_disk_that_fills_up_ends_as_it_did_and_says_what_is_missing(tmp_path: Path) -> None:
    seen = scene(SCENES, tmp_path, "full_while_it_runs")
    ended = seen["ended"]
    assert (ended["state"], ended["results"]) == ("success", None)
    assert "the log is incomplete: No space left on device" in ended["detail"]
    assert "its results are dropped: No space left on device" in ended["detail"]
    assert seen["again"] == ended
    assert seen["log"] == "up"


def test_a_run_is_not_started_on_a_full_disk(tmp_path: Path) -> None:
    seen = scene(SCENES, tmp_path, "full_before_it_starts")
    assert seen["problem"].startswith("Unavailable: ")
    assert "No space left on device" in seen["problem"]
    assert "Make room on the disk" in seen["problem"]
    assert (seen["ended"]["state"], seen["ended"]["code_started"]) == ("lost", False)
    assert seen["later"] == seen["ended"]
    assert seen["alive"] == []


def test_a_run_whose_folder_became_read_only_is_lost_and_the_reason_is_told(tmp_path: Path) -> None:
    seen = scene(SCENES, tmp_path, "read_only_while_it_runs")
    ended = seen["ended"]
    assert (ended["state"], ended["code_started"]) == ("lost", True)
    assert "Operation not permitted: 'exit.json" in ended["detail"]
    assert seen["killed"] is None
    assert (seen["later"], seen["record"]) == (ended, "lost")
    assert seen["lines"] == ["up", "after"]
    assert seen["alive"] == []


def test_a_run_is_not_started_on_a_read_only_disk_and_can_be_once_it_is_writable(tmp_path: Path) -> None:
    seen = scene(SCENES, tmp_path, "read_only_before_it_starts")
    assert seen["problem"].startswith("Unavailable: ")
    assert "Read-only file system" in seen["problem"]
    assert (seen["ended"]["state"], seen["ended"]["code_started"]) == ("lost", False)
    assert seen["killed"] is None
    assert seen["later"]["state"] == "success"
