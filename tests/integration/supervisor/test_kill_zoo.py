"""Nasty programs, really started: once `kill` has returned nothing of them is alive, and nobody else is hurt."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from specrunner.core.lifecycle import Reason, RunState
from specrunner.engine.tasks.executors.local import LocalExecutor
from tests.conftest import Soak
from tests.integration.supervisor.groups import place_for_groups

if TYPE_CHECKING:
    from tests.integration.supervisor.conftest import Runs

LIFE = 60  # seconds after which each of them gives up by itself: a test that fails must not leave a storm behind
HEAD = f"""
import os, signal, sys, threading, time
END = time.monotonic() + {LIFE}
def up():
    open('up', 'w').close()
def deaf():
    for number in set(signal.Signals) - {{signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD}}:
        signal.signal(number, signal.SIG_IGN)
def idle():
    while time.monotonic() < END:
        time.sleep(1)
    os._exit(0)
"""
ZOO: Mapping[str, str] = {
    "ignores every signal that can be ignored": "deaf()\nup()\nidle()",
    "moves into a session of its own": "if os.fork() == 0:\n    os.setsid()\n    deaf()\n    up()\nidle()",
    "forks twice and loses its parents": (
        "if os.fork() == 0:\n    os.setsid()\n    if os.fork():\n        os._exit(0)\n"
        "    os.setsid()\n    deaf()\n    up()\nidle()"
    ),
    "is two hundred, each in its own session": (
        "deaf()\nfor number in range(200):\n    if os.fork() == 0:\n        os.setsid()\n        idle()\nup()\nidle()"
    ),
    "is a tree of a hundred that grows from its leaves": (
        "deaf()\ndepth = 0\nwhile depth < 100 and os.fork() == 0:\n    depth += 1\nif depth == 100:\n    up()\nidle()"
    ),
    "is never the same process for long": (
        "if os.fork():\n    idle()\ndeaf()\nhops = 0\n"
        "while time.monotonic() < END:\n"
        "    if os.fork():\n        os._exit(0)\n"
        "    os.setsid()\n    hops += 1\n    if hops == 20:\n        up()\n"
    ),
    "replaces every child that dies": (
        "deaf()\n"
        "def child():\n    pid = os.fork()\n    if pid == 0:\n        os.setsid()\n        idle()\n    return pid\n"
        "for number in range(10):\n    child()\n"
        "up()\n"
        "while time.monotonic() < END:\n    os.wait()\n    child()\n"
    ),
    "has many threads": (
        "deaf()\n"
        "for number in range(50):\n    threading.Thread(target=idle).start()\n"
        "threading.Thread(target=lambda: [None for _ in iter(int, 1)], daemon=True).start()\n"
        "up()\nidle()"
    ),
    "has stopped itself": (
        "if os.fork() == 0:\n    os.setsid()\n    up()\n    os.kill(os.getpid(), signal.SIGSTOP)\n    idle()\n"
        "os.kill(os.getpid(), signal.SIGSTOP)\nidle()"
    ),
    "closes all that it was given": (
        "deaf()\nif os.fork() == 0:\n    os.setsid()\nos.closerange(0, 100)\nos.open('up', os.O_CREAT)\nidle()"
    ),
    "throws its environment away": (
        "deaf()\nif os.fork() == 0:\n    os.setsid()\n    up()\n"
        f"    os.execve('/bin/sleep', ['sleep', '{LIFE}'], {{}})\nidle()"
    ),
}


def _inhabitants(folder: Path) -> list[int]:
    """The pids of all living processes whose current directory lies in the run's folder, whoever their parents are."""
    found = []
    for place in Path("/proc").iterdir():
        try:
            if place.name.isdecimal() and (place / "cwd").readlink().is_relative_to(folder):
                found.append(int(place.name))
        except OSError:
            continue
    return found


@pytest.fixture
def bystanders(runs: Runs) -> Iterator[None]:
    """Another run and a process of the host, in the same sessions and groups as ours; both must outlive the test."""
    folder = runs.start("import os, time\nwhile not os.path.exists('go'):\n    time.sleep(0.01)\nprint('unhurt')")
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as host:
        yield
        assert host.poll() is None
        assert host.stdin is not None
        host.stdin.write(b"\n")
    assert host.returncode == 0
    (folder / "work" / "go").touch()
    assert runs.end(folder).state is RunState.SUCCESS
    assert runs.lines(folder) == ["unhurt"]


@pytest.mark.usefixtures("bystanders")
@pytest.mark.parametrize("animal", ZOO)
def test_nothing_of_it_is_alive_once_it_is_killed(runs: Runs, animal: str, soak: Soak) -> None:
    for _ in range(20 if soak.is_full else 1):
        folder = runs.start(HEAD + ZOO[animal], grace=30.0)
        runs.until((folder / "work" / "up").exists)
        assert _inhabitants(folder / "work"), "nothing to kill: the test would prove nothing"
        begun = time.monotonic()
        runs.executor.kill(folder, grace=0.1)
        assert _inhabitants(folder) == []
        assert time.monotonic() - begun < 10
        ended = runs.executor.exit(folder)
        assert ended is not None
        assert (ended.state, ended.reason) == (RunState.KILLED, Reason.KILLED)


@pytest.mark.usefixtures("bystanders")
@pytest.mark.parametrize("groups", [False, True], ids=["under subreapers", "in control groups"])
def test_a_whole_zoo_is_gone_when_its_runs_are_killed_at_once(runs: Runs, groups: bool) -> None:
    with place_for_groups() if groups else nullcontext() as place:
        runs.executor = LocalExecutor(place)
        _kill_the_zoo(runs)


def _kill_the_zoo(runs: Runs) -> None:
    folders = [runs.start(HEAD + code, grace=0.1) for code in ZOO.values()]
    for folder in folders:
        runs.until((folder / "work" / "up").exists)
    for folder in folders:
        runs.executor.kill(folder, grace=0.1)
        assert _inhabitants(folder) == []


LEFT_BEHIND: Mapping[str, str] = {
    "one that forks twice": (
        "if os.fork() == 0:\n    os.setsid()\n    if os.fork():\n        os._exit(0)\n    deaf()\n    idle()"
    ),
    "one that is never the same for long": (
        "if os.fork() == 0:\n    deaf()\n"
        "    while time.monotonic() < END:\n        if os.fork():\n            os._exit(0)\n        os.setsid()"
    ),
}


@pytest.mark.usefixtures("bystanders")
@pytest.mark.parametrize("animal", LEFT_BEHIND)
def test_what_a_main_process_leaves_behind_ends_with_it(runs: Runs, animal: str) -> None:
    folder = runs.start(HEAD + LEFT_BEHIND[animal] + "\ntime.sleep(0.1)\nos._exit(0)", grace=0.1)
    assert runs.end(folder).state is RunState.SUCCESS
    assert _inhabitants(folder) == []
