"""Ending runs: whatever a run has made of itself, nothing of it is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from specrunner.core.lifecycle import Reason, RunState
from specrunner.engine.tasks import exitfile, processes

if TYPE_CHECKING:
    from tests.integration.supervisor.conftest import Runs

# Prints four pids: its own, a plain child's, one in a session of its own, and one forked twice; all ignore SIGTERM
# where told to. The last two can't be reached through the process group.
TREE = """
import os, signal, subprocess, sys, time
IGNORE = {ignore}
if IGNORE:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
def forever():
    os.write(1, b'%d\\n' % os.getpid())
    while True:
        time.sleep(60)
if os.fork() == 0:
    forever()
if os.fork() == 0:
    os.setsid()
    forever()
if os.fork() == 0:
    os.setsid()
    if os.fork():
        os._exit(0)
    os.setsid()
    forever()
{main}
"""


def _tree(ignore: bool = False, main: str = "forever()") -> str:
    return TREE.format(ignore=ignore, main=main)


@pytest.mark.parametrize("ignore", [False, True], ids=["polite", "ignoring SIGTERM"])
def test_a_timeout_ends_the_whole_tree(runs: Runs, ignore: bool) -> None:
    folder = runs.start(_tree(ignore), timeout=1.5, grace=0.2)
    tree = runs.pids(folder, 4)
    ended = runs.end(folder)
    assert (ended.state, ended.reason) == (RunState.TIMED_OUT, Reason.TIMEOUT)
    assert ended.started is not None and ended.ended is not None
    assert 1.5 <= ended.ended - ended.started < 2.5
    assert len(tree) == 4
    assert [identity for identity in tree if processes.is_alive(identity)] == []
    assert runs.alive() == []


@pytest.mark.parametrize("ignore", [False, True], ids=["polite", "ignoring SIGTERM"])
def test_a_kill_ends_the_whole_tree_before_it_returns(runs: Runs, ignore: bool) -> None:
    folder = runs.start(_tree(ignore), grace=60.0)
    tree = runs.pids(folder, 4)
    runs.executor.kill(folder, grace=0.2)
    assert len(tree) == 4
    assert [identity for identity in tree if processes.is_alive(identity)] == []
    assert runs.end(folder).exit_code == (137 if ignore else 143)


def test_what_the_main_process_leaves_behind_goes_with_it(runs: Runs) -> None:
    main = "while len(os.listdir('.')) < 2:\n    time.sleep(0.01)"
    folder = runs.start(_tree(main=main))
    tree = runs.pids(folder, 3)
    (folder / "work" / "go").touch()
    ended = runs.end(folder)
    assert ended.state is RunState.SUCCESS
    assert len(tree) == 3
    assert [identity for identity in tree if processes.is_alive(identity)] == []


def test_code_that_cleans_up_on_sigterm_is_given_the_time(runs: Runs) -> None:
    code = (
        "import signal, threading\ndone = threading.Event()\n"
        "signal.signal(signal.SIGTERM, lambda *_: done.set())\nprint('up')\ndone.wait()\nprint('cleaned up')"
    )
    folder = runs.start(code)
    runs.until(lambda: runs.lines(folder) == ["up"])
    runs.executor.kill(folder, grace=10.0)
    assert runs.lines(folder) == ["up", "cleaned up"]
    assert (runs.end(folder).state, runs.end(folder).exit_code) == (RunState.KILLED, 0)


def test_a_stopped_process_is_woken_to_clean_up(runs: Runs) -> None:
    code = (
        "import os, signal\ndef clean(*_):\n    print('cleaned up')\n    os._exit(0)\n"
        "signal.signal(signal.SIGTERM, clean)\nprint('up')\nos.kill(os.getpid(), signal.SIGSTOP)\n"
    )
    folder = runs.start(code)
    record = exitfile.read(str(folder / exitfile.SUPERVISOR))
    assert record is not None
    main = processes.Identity.from_json(record["child"])
    runs.until(lambda: (found := processes.stat(main.pid)) is not None and found.state == "T")
    runs.executor.kill(folder, grace=10.0)
    assert runs.lines(folder) == ["up", "cleaned up"]
    assert (runs.end(folder).state, runs.end(folder).exit_code) == (RunState.KILLED, 0)


def test_a_second_kill_may_shorten_the_grace(runs: Runs) -> None:
    folder = runs.start(_tree(ignore=True))
    runs.pids(folder, 4)
    exitfile.write(str(folder / exitfile.KILL), {"grace": 60.0})
    assert processes.send(runs.supervisor(folder), signal.SIGTERM)
    began = time.monotonic()
    runs.executor.kill(folder, grace=0.0)
    assert time.monotonic() - began < 10
    assert runs.end(folder).state is RunState.KILLED


def test_a_killed_supervisor_takes_its_main_process_along(runs: Runs) -> None:
    folder = runs.start("import os, time\nprint(os.getpid())\ntime.sleep(60)")
    [main] = runs.pids(folder, 1)
    assert processes.send(runs.supervisor(folder), signal.SIGKILL)
    assert processes.wait_gone(main, 10)


@pytest.mark.parametrize("ignore", [False, True], ids=["polite", "ignoring SIGTERM"])
def test_a_run_whose_supervisor_was_killed_is_lost_and_nothing_of_it_stays(runs: Runs, ignore: bool) -> None:
    folder = runs.start(_tree(ignore))
    tree = runs.pids(folder, 4)
    assert processes.send(runs.supervisor(folder), signal.SIGKILL)
    ended = runs.end(folder)
    assert (ended.state, ended.reason, ended.code_started) == (RunState.LOST, Reason.LOST, True)
    assert ended.started is not None and ended.ended is not None and ended.started <= ended.ended
    assert [identity for identity in tree if processes.is_alive(identity)] == []
    assert runs.executor.exit(folder) == ended


def test_a_run_with_a_stopped_supervisor_can_be_killed(runs: Runs) -> None:
    folder = runs.start(_tree())
    tree = runs.pids(folder, 4)
    assert processes.send(runs.supervisor(folder), signal.SIGSTOP)
    runs.executor.kill(folder, grace=0.5)
    assert [identity for identity in tree if processes.is_alive(identity)] == []
    assert runs.end(folder).state is RunState.KILLED


KILL_ELSEWHERE = """
import pathlib, sys
from specrunner.engine.tasks.executors.local import LocalExecutor
executor, folder = LocalExecutor(), pathlib.Path(sys.argv[1])
assert executor.exit(folder) is None
executor.kill(folder, 1.0)
print(executor.exit(folder).state)
"""


def test_another_process_can_kill_it(runs: Runs) -> None:
    folder = runs.start(_tree())
    tree = runs.pids(folder, 4)
    said = _elsewhere(KILL_ELSEWHERE, folder)
    assert said == "killed"
    assert [identity for identity in tree if processes.is_alive(identity)] == []
    assert runs.end(folder).state is RunState.KILLED


WAIT_ELSEWHERE = """
import pathlib, sys
from specrunner.engine.tasks.executors.local import LocalExecutor
print(LocalExecutor().wait(pathlib.Path(sys.argv[1]), 20).state)
"""


def test_another_process_can_wait_for_it(runs: Runs) -> None:
    folder = runs.start("import os, time\nwhile not os.path.exists('go'):\n    time.sleep(0.01)")
    waiter = subprocess.Popen([sys.executable, "-c", WAIT_ELSEWHERE, str(folder)], stdout=subprocess.PIPE, text=True)
    (folder / "work" / "go").touch()
    said, _ = waiter.communicate(timeout=30)
    assert said.strip() == "success"


START_ELSEWHERE = """
import os, pathlib, sys
from specrunner.engine.ports import RunOrder
from specrunner.engine.tasks.executors.local import LocalExecutor
folder = pathlib.Path(sys.argv[1])
LocalExecutor().start(RunOrder(
    run_id=sys.argv[3], folder=folder, bundle=pathlib.Path(sys.argv[2]), entry="main.py",
    python=pathlib.Path(sys.executable), arguments={}, env={"PATH": "/usr/bin:/bin"},
))
os.kill(os.getpid(), 9)
"""


def test_a_run_survives_whoever_started_it(runs: Runs) -> None:
    order = runs.order("import os, time\nwhile not os.path.exists('go'):\n    time.sleep(0.01)\nprint('still here')")
    command = [sys.executable, "-c", START_ELSEWHERE, str(order.folder), str(order.bundle), order.run_id]
    assert subprocess.run(command, check=False, timeout=30).returncode == -signal.SIGKILL
    assert runs.executor.exit(order.folder) is None
    (order.folder / "work" / "go").touch()
    assert runs.end(order.folder).state is RunState.SUCCESS
    assert runs.lines(order.folder) == ["still here"]


def test_no_zombie_of_a_supervisor_stays(runs: Runs) -> None:
    folder = runs.start("print('done')")
    supervisor = runs.supervisor(folder)
    runs.end(folder)
    runs.until(lambda: runs.executor.exit(folder) is not None and processes.identify(supervisor.pid) != supervisor)
    with pytest.raises(ChildProcessError):
        os.waitpid(supervisor.pid, os.WNOHANG)


def _elsewhere(code: str, folder: Path) -> str:
    command = [sys.executable, "-c", code, str(folder)]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout.strip()
