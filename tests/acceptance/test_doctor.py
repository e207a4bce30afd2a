"""`specrunner doctor`: it tells what is missing, exits 1 only for what is essential, and changes nothing."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from specrunner.cli import doctor as command
from specrunner.core.health import Check, Verdict, worst
from specrunner.engine.health import isolation, network, software, storage, times
from tests.acceptance.spec_repo import SCRIPT, SpecRepo


def found(repo: SpecRepo, *words: str, code: int = 0, **environ: str) -> Mapping[str, Mapping[str, Any]]:
    answer = repo.run("doctor", "--json", *words, code=code, cwd=None, **environ).json
    assert answer["verdict"] == str(worst(Check("", Verdict(one["verdict"]), "") for one in answer["checks"]))
    return {one["check"]: one for one in answer["checks"]}


def test_each_check_says_what_was_found_and_what_is_not_well_what_that_means(repo: SpecRepo) -> None:
    checks = found(repo, "--offline")
    assert {"python", "uv", "git", "cache", "disk space", "clock", "time zones", "subreaper", "ports"} < set(checks)
    assert "package index" not in checks
    for check in checks.values():
        assert check["found"]
        assert check["verdict"] == "ok" or (check["means"].endswith(".") and check["remedy"].endswith("."))


def test_the_table_ends_with_a_sentence_and_explains_only_what_is_not_well(repo: SpecRepo) -> None:
    checks, out = found(repo, "--offline"), repo.run("doctor", "--offline").out
    for name, check in checks.items():
        assert (f"\n{name}: {check['means']}\n" in out) == (check["verdict"] != "ok")
    assert out.splitlines()[-1].startswith(("All is well", "specrunner works here"))


def test_it_leaves_nothing_behind(repo: SpecRepo, tmp_path: Path) -> None:
    before = sorted(repo.root.rglob("*"))
    repo.run("doctor", "--offline", SPECRUNNER_CACHE=str(tmp_path / "cache"), TMPDIR=str(tmp_path))
    assert sorted(repo.root.rglob("*")) == before
    assert sorted(path for path in tmp_path.iterdir() if path != repo.root) == []


def test_a_file_where_the_state_belongs_is_essential(repo: SpecRepo) -> None:
    repo.write(".specrunner", "")
    check = found(repo, "--offline", code=1)["state folder"]
    assert (check["verdict"], check["remedy"]) == (
        "bad",
        f"Move {repo.root / '.specrunner'} away, or name another folder.",
    )
    assert "Something essential is missing" in repo.run("doctor", "--offline", code=1).out


def test_a_cache_that_can_not_be_written_is_essential(repo: SpecRepo) -> None:
    """On /proc nobody makes a folder, root included."""
    check = found(repo, "--offline", code=1, SPECRUNNER_CACHE="/proc/sys/kernel/cache")["cache"]
    assert check["verdict"] == "bad"
    assert "SPECRUNNER_CACHE" in check["remedy"]


def test_an_index_that_does_not_answer_limits_and_its_password_is_not_shown(repo: SpecRepo) -> None:
    index = {"UV_DEFAULT_INDEX": "http://me:hunter2-5e@127.0.0.1:9/simple", "UV_HTTP_RETRIES": "0"}
    result = repo.run("doctor", "--json", code=0, cwd=None, **index)
    check = next(one for one in result.json["checks"] if one["check"] == "package index")
    assert (check["verdict"], "hunter2-5e" in result.said) == ("limited", False)
    assert "pip.conf" in check["remedy"]


def test_without_git_on_the_path_it_says_what_does_not_work(repo: SpecRepo, tmp_path: Path) -> None:
    check = found(repo, "--offline", PATH=str(tmp_path))["git"]
    assert (check["verdict"], check["found"]) == ("limited", "not installed")
    assert "--changed-since" in check["means"]


def test_in_a_namespace_without_loopback_nothing_can_run(repo: SpecRepo) -> None:
    done = subprocess.run(
        ["unshare", "-n", SCRIPT, "doctor", "--offline", "--json"],
        cwd=repo.root,
        env={**os.environ, **repo.environ},
        capture_output=True,
        text=True,
        check=False,
    )
    if not done.stdout:
        pytest.skip(f"no network namespace can be made here: {done.stderr.strip()}")
    checks = {one["check"]: one for one in json.loads(done.stdout)["checks"]}
    assert (done.returncode, checks["ports"]["verdict"]) == (1, "bad")


# What this machine does not lack, asked of the functions


def test_a_missing_uv_is_essential(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone() -> str:
        raise FileNotFoundError("uv")

    monkeypatch.setattr("uv.find_uv_bin", gone)
    check = software.uv()
    assert (check.verdict, check.remedy) == (Verdict.BAD, "Type `pip install uv`.")


@pytest.mark.parametrize(("free", "verdict"), [(1, Verdict.BAD), (storage.ESSENTIAL, Verdict.LIMITED)])
def test_little_room_is_told_of(free: int, verdict: Verdict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Usage:
        def __init__(self, _path: Path) -> None:
            self.free = free

    monkeypatch.setattr("shutil.disk_usage", Usage)
    (check,) = storage.space(tmp_path, tmp_path)
    assert (check.verdict, "env prune" in check.remedy) == (verdict, True)


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "fuse.sshfs"])
def test_a_file_system_of_others_limits(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "file_system", lambda _path: kind)
    assert storage.kind_of("state", tmp_path).verdict is Verdict.LIMITED


def test_the_type_of_a_file_system_is_that_of_its_mount() -> None:
    assert storage.file_system(Path("/proc")) == "proc"


def test_a_clock_from_before_the_installation_is_wrong(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    package = tmp_path / "__init__.py"
    package.touch()
    os.utime(package, (2**33, 2**33))
    monkeypatch.setattr("specrunner.__file__", str(package))
    assert times.clock().verdict is Verdict.BAD


@pytest.mark.parametrize(("state", "verdict"), [(0, Verdict.OK), (5, Verdict.LIMITED), (-1, Verdict.OK)])
def test_a_clock_that_nobody_keeps_right_limits(state: int, verdict: Verdict, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(times, "_state", lambda: state)
    assert times.clock().verdict is verdict


def test_without_zones_only_utc_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(times, "available_timezones", set)
    assert times.zones().means == "Schedules can only be in UTC."


@pytest.mark.parametrize(("path", "verdict"), [(None, Verdict.LIMITED), ("/sys/fs/cgroup/ours", Verdict.OK)])
def test_control_groups_are_ours_only_where_they_were_handed_to_us(
    path: str | None, verdict: Verdict, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("specrunner.engine.tasks.cgroups.delegated", lambda: path)
    assert isolation.groups().verdict is verdict


def test_the_index_is_asked_as_a_build_asks_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "uv"
    program.write_text('#!/bin/sh\ncat > "$TMPDIR/asked"; echo requests==1.0\n')
    program.chmod(0o755)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("uv.find_uv_bin", lambda: str(program))
    assert network.index().found == "it answers, and has requests==1.0"
    assert (tmp_path / "asked").read_text() == "requests\n"


def test_the_gravest_verdict_is_that_of_all() -> None:
    assert worst([]) is Verdict.OK
    assert worst([Check("a", Verdict.LIMITED, ""), Check("b", Verdict.OK, "")]) is Verdict.LIMITED
    assert worst([Check("a", verdict, "") for verdict in Verdict]) is Verdict.BAD
    assert set(command._CLOSING) == set(Verdict)


def test_files_are_shared_only_on_one_file_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    assert storage.links(tmp_path / "cache").verdict is Verdict.OK
    monkeypatch.setenv("UV_CACHE_DIR", "/proc/uv")
    assert storage.links(tmp_path / "cache").verdict is Verdict.LIMITED
