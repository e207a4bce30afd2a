"""Telling processes apart and ending them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from specrunner.engine.tasks import processes

MARKS = {"SPECRUNNER_RUN_ID": f"unit-{os.getpid()}", "SPECRUNNER_RESULTS": "/nowhere/results.json"}
TWO = "import os, sys, time\nos.fork()\nprint(flush=True)\ntime.sleep(60)"


@pytest.fixture
def two() -> Iterator[subprocess.Popen[bytes]]:
    """A process and its child, both up."""
    with subprocess.Popen([sys.executable, "-I", "-S", "-c", TWO], env=MARKS, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.read(2)
        yield process
        processes.end_marked(MARKS, 0.0)
        process.stdout.close()


def test_the_same_pid_at_another_time_or_boot_is_another_process() -> None:
    us = processes.identify(os.getpid())
    assert us is not None
    assert processes.is_alive(us)
    assert not processes.is_alive(processes.Identity(us.pid, us.start + 1, us.boot))
    assert not processes.is_alive(processes.Identity(us.pid, us.start, "another boot"))


def test_an_identity_survives_its_record() -> None:
    us = processes.identify(os.getpid())
    assert us is not None
    assert processes.Identity.from_json(us.as_json()) == us


def test_a_stranger_with_the_pid_is_not_signalled(two: subprocess.Popen[bytes]) -> None:
    it = processes.identify(two.pid)
    assert it is not None
    assert not processes.send(processes.Identity(it.pid, it.start + 1, it.boot), signal.SIGKILL)
    assert not processes.wait_gone(it, 0.05)
    assert processes.send(it, signal.SIGKILL)
    assert processes.wait_gone(it, 10)


def test_descendants_are_all_below_and_not_the_roots(two: subprocess.Popen[bytes]) -> None:
    below = {entry.pid for entry in processes.descendants([os.getpid()])}
    assert two.pid in below
    assert len(processes.descendants([two.pid])) == 1
    assert {entry.pid for entry in processes.descendants([two.pid])} < below


def test_a_zombie_is_not_alive(two: subprocess.Popen[bytes]) -> None:
    it = processes.identify(two.pid)
    assert it is not None
    two.send_signal(signal.SIGKILL)
    assert processes.wait_gone(it, 10)
    assert processes.identify(two.pid) == it  # not yet reaped
    assert not processes.is_alive(it)


def test_marked_processes_are_found_and_ended(two: subprocess.Popen[bytes]) -> None:
    assert len(processes.marked(MARKS)) == 2
    assert processes.marked({**MARKS, "SPECRUNNER_RESULTS": "/elsewhere"}) == []
    assert processes.end_marked(MARKS, 5.0) == []
    assert processes.marked(MARKS) == []


def test_a_name_with_spaces_and_parentheses_does_not_confuse() -> None:
    code = "import ctypes, time\nctypes.CDLL(None).prctl(15, b'a) R (b c', 0, 0, 0)\nprint(flush=True)\ntime.sleep(60)"
    with subprocess.Popen([sys.executable, "-I", "-S", "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.read(1)
        found = processes.stat(process.pid)
        process.kill()
    assert found is not None
    assert found.parent == os.getpid()


def test_without_pidfd_it_is_done_by_looking(two: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError("no pidfd here")

    monkeypatch.setattr(os, "pidfd_open", refuse)
    it = processes.identify(two.pid)
    assert it is not None
    assert not processes.wait_gone(it, 0.05)
    processes.send(it, signal.SIGKILL)
    assert processes.wait_gone(it, 10)
