"""`specrunner env`: what environments there are, who uses them, and that only what nobody uses is deleted."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

import pytest

from tests.acceptance.spec_repo import SpecRepo

SLEEP = "import time; print('up', flush=True); time.sleep(300)"
LONG_AGO = 1_000_000_000.0


@pytest.fixture
def own(repo: SpecRepo, tmp_path: Path) -> SpecRepo:
    """A spec repository with a cache of its own."""
    return SpecRepo(repo.root, {"SPECRUNNER_CACHE": str(tmp_path / "own-cache")})


def fake(repo: SpecRepo, name: str, used: float = LONG_AGO) -> Path:
    """An environment as a builder leaves it, as far as the list and the deletion look at it."""
    folder = Path(repo.environ["SPECRUNNER_CACHE"]) / "environments" / name
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").symlink_to("/bin/sleep")
    marker = folder / "specrunner-environment.json"
    marker.write_text(json.dumps({"lock": "a==1\nb==2\n", "python": {"version": "3.11.7"}, "base": "x"}))
    (folder / "big").write_bytes(b"x" * 3_000_000)
    os.utime(marker, (used, used))
    return folder


def test_without_a_cache_there_is_nothing_to_list_and_nothing_is_made(own: SpecRepo) -> None:
    assert "No environment is built yet" in own.run("env", "list").out
    assert own.run("env", "list", "--json").json == []
    assert "Nothing to delete" in own.run("env", "prune").out
    assert not Path(own.environ["SPECRUNNER_CACHE"]).exists()
    assert not (own.root / ".specrunner").exists()


def test_the_list_says_size_age_and_content_those_used_last_first(own: SpecRepo) -> None:
    fake(own, "a" * 32)
    fake(own, "b" * 32, time.time() - 2 * 3600 - 60)
    header, first, second, closing = own.run("env", "list").out.splitlines()
    assert header.split()[:2] == ["environment", "size"]
    assert first.split()[:6] == ["b" * 12, "2.9", "MiB", "2h", "ago", "3.11.7"]
    assert second.startswith("a" * 12)
    assert closing.startswith("2 environments in ")
    found = own.run("env", "list", "--json").json
    assert [(one["name"][0], one["packages"], one["used_by"], one["runs_now"]) for one in found] == [
        ("b", 2, [], False),
        ("a", 2, [], False),
    ]


def test_prune_deletes_what_is_older_than_asked_and_a_dry_run_nothing(own: SpecRepo) -> None:
    old, fresh = fake(own, "a" * 32), fake(own, "b" * 32, time.time() - 40 * 86400)
    out = own.run("env", "prune", "--older-than", "50d", "--dry-run").out
    assert "1 environment would be deleted." in out
    assert old.exists()
    assert "1 environment deleted." in own.run("env", "prune", "--older-than", "50d").out
    assert (old.exists(), fresh.exists()) == (False, True)
    own.run("env", "prune")
    assert not fresh.exists()
    assert "Write for instance `10m`." in own.run("env", "prune", "--older-than", "long", code=64).err


def test_what_a_process_was_started_from_stays(own: SpecRepo) -> None:
    busy = fake(own, "c" * 32)
    with subprocess.Popen([busy / "bin" / "python", "300"]) as process:
        try:
            assert own.run("env", "list", "--json").json[0]["runs_now"] is True
            assert "Nothing to delete" in own.run("env", "prune", "--dry-run").out
            assert "Nothing to delete" in own.run("env", "prune").out
            assert busy.exists()
        finally:
            process.kill()
    own.run("env", "prune")
    assert not busy.exists()


def test_what_live_orchestrations_run_in_is_named_and_stays(repo: SpecRepo) -> None:
    repo.orchestration("greet", "print('hello')")
    repo.run("apply", "--yes")
    used = [one for one in repo.run("env", "list", "--json").json if one["used_by"]]
    assert [one["used_by"] for one in used] == [["lab/greet"]]
    assert "lab/greet" in repo.run("env", "list").out
    marker = Path(used[0]["folder"], "specrunner-environment.json")
    os.utime(marker, (LONG_AGO, LONG_AGO))
    try:
        repo.run("env", "prune")
        assert marker.exists()
    finally:
        os.utime(marker)
