"""What is said of runs whose start was interrupted, or whose machine went down."""

from __future__ import annotations

import signal
import threading
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from specrunner.core.errors import Busy, PackagingFailed, Unavailable
from specrunner.core.lifecycle import RunState
from specrunner.engine.tasks import exitfile, launch, processes
from specrunner.engine.tasks.executors import local
from specrunner.engine.tasks.launch import write_orders

if TYPE_CHECKING:
    from tests.integration.supervisor.conftest import Runs

PATIENCE = 20.0


class SlowUnpacking:
    """Stands in for the unpacking of a bundle and takes until `go` is set."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.go = threading.Event()

    def __call__(self, bundle: Path, folder: Path) -> None:
        self.begun.set()
        assert self.go.wait(PATIENCE)
        with zipfile.ZipFile(bundle) as archive:
            archive.extractall(folder)


def test_a_run_that_is_being_started_is_not_lost(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = SlowUnpacking()
    monkeypatch.setattr(local, "unpack", slow)
    order = runs.order("print('done')")
    starter = threading.Thread(target=runs.executor.start, args=(order,))
    starter.start()
    assert slow.begun.wait(PATIENCE)
    assert local.LocalExecutor().exit(order.folder) is None
    assert local.LocalExecutor().wait(order.folder, 0.05) is None
    with pytest.raises(Busy):
        local.LocalExecutor().start(order)
    slow.go.set()
    starter.join(PATIENCE)
    assert runs.end(order.folder).state is RunState.SUCCESS


def test_a_kill_waits_for_a_start_that_is_under_way(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = SlowUnpacking()
    monkeypatch.setattr(local, "unpack", slow)
    order = runs.order("import threading\nthreading.Event().wait()")
    starter = threading.Thread(target=runs.executor.start, args=(order,))
    starter.start()
    assert slow.begun.wait(PATIENCE)
    killer = threading.Thread(target=local.LocalExecutor().kill, args=(order.folder,))
    killer.start()
    slow.go.set()
    starter.join(PATIENCE)
    killer.join(PATIENCE)
    assert runs.end(order.folder).state is RunState.KILLED


def test_a_start_that_fails_leaves_no_supervisor(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(bundle: Path, folder: Path) -> None:
        raise PackagingFailed("The bundle is bad.", "It is.", "Make another.")

    monkeypatch.setattr(local, "unpack", refuse)
    order = runs.order("print('never')")
    with pytest.raises(PackagingFailed):
        runs.executor.start(order)
    assert not launch.start_claimed(order.folder)
    ended = runs.end(order.folder)
    assert (ended.state, ended.code_started) == (RunState.LOST, False)


def test_a_supervisor_that_dies_at_once_is_told_with_its_last_words(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "_BOOT", "raise SystemExit('no room for me')")
    with pytest.raises(Unavailable) as caught:
        runs.start("print('never')")
    assert "no room for me" in caught.value.detail


def test_after_a_restart_of_the_machine_a_running_run_is_lost(runs: Runs) -> None:
    order = runs.order("print('ran')")
    write_orders(order)
    us = processes.identify(runs.supervisor(runs.start("import time\ntime.sleep(60)")).pid)
    assert us is not None
    before = processes.Identity(us.pid, us.start, "the boot before")
    record = {"supervisor": before.as_json(), "child": before.as_json(), "started": 1000.0}
    exitfile.write(str(order.folder / exitfile.SUPERVISOR), record)
    ended = runs.end(order.folder)
    assert (ended.state, ended.started, ended.code_started) == (RunState.LOST, 1000.0, True)
    assert processes.is_alive(us)


def test_a_start_that_the_machine_went_down_in_may_have_begun(runs: Runs) -> None:
    order = runs.order("print('perhaps')")
    write_orders(order)
    orders = exitfile.read(str(order.folder / exitfile.RUN))
    assert orders is not None
    exitfile.write(str(order.folder / exitfile.RUN), orders | {"boot": "the boot before"})
    assert runs.end(order.folder).code_started


def test_a_supervisor_that_fails_inside_leaves_nothing_alive(runs: Runs) -> None:
    # A kill order that can't be read is a fault inside, as it is only written by us.
    folder = runs.start("import os, time\nos.write(1, b'%d\\n' % os.getpid())\ntime.sleep(60)")
    [main] = runs.pids(folder, 1)
    (folder / exitfile.KILL).write_text("{torn")
    assert processes.send(runs.supervisor(folder), signal.SIGTERM)
    ended = runs.end(folder)
    assert ended.state is RunState.LOST
    assert not processes.is_alive(main)
    assert "Expecting property name" in ended.detail
