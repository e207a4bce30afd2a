"""Runs in control groups of their own. Skipped with the reason where this machine has none to give."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from specrunner.core.lifecycle import Reason, RunState
from specrunner.engine.tasks import cgroups, processes
from specrunner.engine.tasks.executors.local import LocalExecutor
from tests.integration.supervisor.groups import place_for_groups

if TYPE_CHECKING:
    from tests.integration.supervisor.conftest import Runs

# Forks a process that has left its session, its parent and its environment.
STRAY = """
import os, signal, time
if os.fork() == 0:
    os.setsid()
    if os.fork():
        os._exit(0)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.write(1, b'%d\\n' % os.getpid())
    os.execve('/bin/sleep', ['sleep', '60'], {})
"""


@pytest.fixture
def place(runs: Runs) -> Iterator[Path]:
    with place_for_groups() as found:
        runs.executor = LocalExecutor(found)
        yield found
        runs.close()


def test_what_a_run_makes_is_in_its_group_and_the_group_goes_with_it(runs: Runs, place: Path) -> None:
    _, lines = runs.run("import subprocess\nsubprocess.run(['cat', '/proc/self/cgroup'])")
    [name] = [line for line in lines if line.startswith("0::")]
    assert f"/{place.name}/specrunner-" in name
    assert [entry for entry in place.iterdir() if entry.is_dir()] == []


def test_one_that_left_everything_behind_ends_also_when_the_supervisor_was_killed(runs: Runs, place: Path) -> None:
    folder = runs.start(STRAY + "time.sleep(60)")
    [stray] = runs.pids(folder, 1)
    runs.until(lambda: b"PATH" not in Path(f"/proc/{stray.pid}/environ").read_bytes())
    assert processes.send(runs.supervisor(folder), signal.SIGKILL)
    assert runs.end(folder).state is RunState.LOST
    assert not processes.is_alive(stray)
    assert [entry for entry in place.iterdir() if entry.is_dir()] == []


def test_a_limit_of_memory_holds_whoever_enforces_it(runs: Runs, place: Path) -> None:
    by_the_group = "memory" in (place / "cgroup.controllers").read_text().split()
    ended, _ = runs.run("import mmap\nblock = bytearray(2**30)", memory=256 * 2**20)
    assert (ended.state, ended.reason) == (RunState.FAILURE, Reason.OOM)
    assert ended.exit_code == (137 if by_the_group else 1)


def test_a_run_whose_group_cannot_be_made_goes_without(runs: Runs, tmp_path: Path) -> None:
    runs.executor = LocalExecutor(tmp_path / "no such place")
    ended, lines = runs.run("print('ran')")
    assert (ended.state, lines) == (RunState.SUCCESS, ["ran"])


def test_a_run_that_its_group_does_not_let_in_is_limited_all_the_same(runs: Runs, tmp_path: Path) -> None:
    runs.executor = LocalExecutor(tmp_path)  # a plain folder: a group can be made there, and nobody can enter it
    ended, _ = runs.run("block = bytearray(2**30)", memory=256 * 2**20)
    assert (ended.state, ended.reason) == (RunState.FAILURE, Reason.OOM)


class Delegation:
    """A folder that looks like a control group, and what systemd has written on it."""

    def __init__(self, path: Path, mark: bytes | None) -> None:
        self.path = path
        self.mark = mark
        (path / "cgroup.procs").touch()
        (path / "cgroup.subtree_control").write_text("cpu memory pids\n")

    def getxattr(self, path: str, name: str) -> bytes:
        if self.mark is None or name != "user.delegate" or Path(path) != self.path:
            raise OSError("no such attribute")
        return self.mark


@pytest.mark.parametrize(("mark", "found"), [(b"1", True), (b"0", False), (None, False)])
def test_a_group_is_ours_only_if_it_was_handed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mark: bytes | None, found: bool
) -> None:
    (tmp_path / "leaf").mkdir()
    delegation = Delegation(tmp_path, mark)
    monkeypatch.setattr(os, "getxattr", delegation.getxattr)
    monkeypatch.setattr(cgroups, "_own", lambda: str(tmp_path / "leaf"))
    assert cgroups.delegated() == (str(tmp_path) if found else None)


def test_a_group_without_a_limit_of_memory_is_of_no_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    delegation = Delegation(tmp_path, b"1")
    (tmp_path / "cgroup.subtree_control").write_text("cpu\n")
    monkeypatch.setattr(os, "getxattr", delegation.getxattr)
    monkeypatch.setattr(cgroups, "_own", lambda: str(tmp_path))
    assert cgroups.delegated() is None


def test_a_limit_is_written_where_the_group_has_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the kernel makes of it is not shown here: this machine's memory may be held by another hierarchy."""
    made = os.mkdir

    def mkdir(path: Any) -> None:
        made(path)
        for name in ("memory.max", "memory.swap.max", "memory.oom.group"):
            (Path(path) / name).touch()

    monkeypatch.setattr(os, "mkdir", mkdir)
    group = cgroups.Group(str(tmp_path / "run"), 1000)
    (tmp_path / "run" / "memory.events").write_text("low 0\noom 1\noom_kill 3\n")
    assert group.limits_memory
    written = {name: (tmp_path / "run" / name).read_text() for name in ("memory.max", "memory.oom.group")}
    assert written == {"memory.max": "1000", "memory.oom.group": "1"}
    assert group.oom_kills() == 3
