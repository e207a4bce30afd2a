"""A full disk and a read-only folder: a clear state, nothing corrupt, nothing left alive.

Each scene has a small disk of its own in a private mount namespace, because root, whom modes do not stop, may run this.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]


def _seen(scene: str, folder: Path) -> dict[str, Any]:
    """What happened in a scene of `storage_scenes`."""
    allowed = subprocess.run(
        [
            "unshare",
            "-m",
            "sh",
            "-c",
            f"mount -t tmpfs none '{folder}' && touch '{folder}/a' && chattr +i '{folder}/a'",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if allowed.returncode:
        pytest.skip(f"no private disk can be made here: {allowed.stderr.strip()}")
    command = ["unshare", "-m", sys.executable, "-m", "tests.integration.supervisor.storage_scenes", scene, str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_run_on_a_disk_that_fills_up_ends_as_it_did_and_says_what_is_missing(tmp_path: Path) -> None:
    seen = _seen("full_while_it_runs", tmp_path)
    ended = seen["ended"]
    assert (ended["state"], ended["results"]) == ("success", None)
    assert "the log is incomplete: No space left on device" in ended["detail"]
    assert "its results are dropped: No space left on device" in ended["detail"]
    assert seen["again"] == ended
    assert seen["log"] == "up"


def test_a_run_is_not_started_on_a_full_disk(tmp_path: Path) -> None:
    seen = _seen("full_before_it_starts", tmp_path)
    assert seen["problem"].startswith("Unavailable: ")
    assert "No space left on device" in seen["problem"]
    assert "Make room on the disk" in seen["problem"]
    assert (seen["ended"]["state"], seen["ended"]["code_started"]) == ("lost", False)
    assert seen["later"] == seen["ended"]
    assert seen["alive"] == []


def test_a_run_whose_folder_became_read_only_is_lost_and_the_reason_is_told(tmp_path: Path) -> None:
    seen = _seen("read_only_while_it_runs", tmp_path)
    ended = seen["ended"]
    assert (ended["state"], ended["code_started"]) == ("lost", True)
    assert "Operation not permitted: 'exit.json" in ended["detail"]
    assert seen["killed"] is None
    assert (seen["later"], seen["record"]) == (ended, "lost")
    assert seen["lines"] == ["up", "after"]
    assert seen["alive"] == []


def test_a_run_is_not_started_on_a_read_only_disk_and_can_be_once_it_is_writable(tmp_path: Path) -> None:
    seen = _seen("read_only_before_it_starts", tmp_path)
    assert seen["problem"].startswith("Unavailable: ")
    assert "Read-only file system" in seen["problem"]
    assert (seen["ended"]["state"], seen["ended"]["code_started"]) == ("lost", False)
    assert seen["killed"] is None
    assert seen["later"]["state"] == "success"
