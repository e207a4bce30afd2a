"""How uv is run, tried with programs that behave as uv would not."""

from __future__ import annotations

import os
import time
from pathlib import Path

import psutil
import pytest

from specrunner.core.errors import PackagingFailed
from specrunner.engine.packaging.uv import TimeLimitExceeded, Uv


def program(folder: Path, script: str) -> Uv:
    path = folder / "uv"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return Uv(path, {"PATH": os.environ["PATH"]})


def run(tool: Uv, *arguments: str, seconds: float = 30.0, stdin: str = "", heard: list[str] | None = None) -> str:
    return tool.run(
        *arguments,
        summary="It failed",
        remedy="Mend it.",
        deadline=time.monotonic() + seconds,
        stdin=stdin,
        on_output=None if heard is None else heard.append,
    )


def test_stdout_is_returned_and_stderr_is_heard_line_by_line(tmp_path: Path) -> None:
    heard: list[str] = []
    tool = program(tmp_path, 'cat; echo "$1"; echo one >&2; printf "two" >&2')
    assert run(tool, "argument", stdin="given\n", heard=heard) == "given\nargument\n"
    assert heard == ["one", "two"]


def test_a_failure_tells_the_last_lines_without_passwords(tmp_path: Path) -> None:
    tool = program(tmp_path, "for i in $(seq 30); do echo line $i at https://me:word@a.test/ >&2; done; exit 3")
    with pytest.raises(PackagingFailed) as caught:
        run(tool)
    lines = caught.value.detail.splitlines()
    assert (len(lines), lines[-1]) == (20, "line 30 at https://****@a.test/")
    assert (caught.value.summary, caught.value.remedy) == ("It failed", "Mend it.")


def test_a_silent_failure_tells_the_status(tmp_path: Path) -> None:
    with pytest.raises(PackagingFailed) as caught:
        run(program(tmp_path, "exit 7"))
    assert caught.value.detail == "uv ended with status 7"


def test_when_the_time_is_over_the_whole_tree_is_killed(tmp_path: Path) -> None:
    # One child in the group, one in a session of its own, as build backends may be; both hold the pipe open.
    tool = program(tmp_path, "sleep 600 & echo $! >&2; setsid sleep 600 & echo $! >&2; wait")
    heard: list[str] = []
    with pytest.raises(TimeLimitExceeded, match="the time for it is over"):
        run(tool, seconds=1.0, heard=heard)
    assert len(heard) == 2
    deadline = time.monotonic() + 10
    while any(_lives(int(pid)) for pid in heard):
        assert time.monotonic() < deadline, "a process survived"
        time.sleep(0.01)  # the end of a process that is not our child is no event that we could await


def test_a_listener_that_fails_leaves_no_process(tmp_path: Path) -> None:
    def fail(line: str) -> None:
        raise KeyboardInterrupt(line)

    tool = program(tmp_path, "echo $$ >&2; exec sleep 600")
    with pytest.raises(KeyboardInterrupt) as caught:
        tool.run(summary="", remedy="", deadline=time.monotonic() + 30, on_output=fail)
    assert not _lives(int(str(caught.value)))


def _lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
