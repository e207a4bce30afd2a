"""What every adapter of the `Executor` port keeps. A new adapter joins `ADAPTERS` and passes unchanged."""

from __future__ import annotations

import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from specrunner.core.errors import NotFound, SpecrunnerError
from specrunner.core.lifecycle import Reason, RunState
from specrunner.engine.ports import Executor, RunExit, RunOrder
from specrunner.engine.tasks.executors.local import LocalExecutor
from tests.integration.supervisor.groups import place_for_groups

Make = Callable[[], Executor]


@contextmanager
def _local_in_groups() -> Iterator[Make]:
    with place_for_groups() as place:
        yield lambda: LocalExecutor(place)


ADAPTERS: dict[str, Callable[[], AbstractContextManager[Make]]] = {
    "local": lambda: nullcontext(LocalExecutor),
    "local in control groups": _local_in_groups,
}
PATIENCE = 20.0
FOREVER = "import signal, threading\nprint('up', flush=True)\nthreading.Event().wait()\n"


class Runs:
    """Makes orders for pieces of code, and ends what a test has left."""

    def __init__(self, folder: Path, make: Make) -> None:
        self.make = make
        self.executor = make()
        self._folder = folder
        self._made: list[Path] = []

    def order(self, code: str) -> RunOrder:
        number = len(self._made)
        folder = self._folder / f"run-{number}"
        folder.mkdir()
        bundle = self._folder / f"bundle-{number}.zip"
        with zipfile.ZipFile(bundle, "w") as archive:
            archive.writestr("main.py", code)
        self._made.append(folder)
        return RunOrder(
            run_id=f"contract-{self._folder.name}-{number}",
            folder=folder,
            bundle=bundle,
            entry="main.py",
            python=Path(sys.executable),
            arguments={},
            env={"PATH": "/usr/bin:/bin"},
            grace=2.0,
        )

    def start(self, code: str) -> Path:
        order = self.order(code)
        self.executor.start(order)
        return order.folder

    def up(self, code: str = FOREVER) -> Path:
        """Start code that prints `up` and wait until it has."""
        folder = self.start(code)
        until = time.monotonic() + PATIENCE
        while "up" not in [line.text for line in self.executor.log(folder)[0]]:
            assert time.monotonic() < until, self.executor.log(folder)
            time.sleep(0.005)
        return folder

    def end(self, folder: Path) -> RunExit:
        ended = self.executor.wait(folder, PATIENCE)
        assert ended is not None, "the run goes on and on"
        return ended

    def close(self) -> None:
        for folder in self._made:
            self.executor.kill(folder, 0.0)
            self.executor.wait(folder, PATIENCE)


@pytest.fixture(params=sorted(ADAPTERS))
def runs(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Runs]:
    with ADAPTERS[request.param]() as make:
        found = Runs(tmp_path, make)
        yield found
        found.close()


def test_code_that_ends_well_is_a_success(runs: Runs) -> None:
    began = time.time()
    ended = runs.end(runs.start("print('done')"))
    assert (ended.state, ended.reason, ended.exit_code, ended.detail) == (RunState.SUCCESS, None, 0, "")
    assert ended.started is not None and ended.ended is not None
    assert began - 1 <= ended.started <= ended.ended <= time.time() + 1
    assert ended.code_started


@pytest.mark.parametrize("code", [1, 3, 255])
def test_another_exit_code_is_a_failure_that_names_it(runs: Runs, code: int) -> None:
    ended = runs.end(runs.start(f"raise SystemExit({code})"))
    assert (ended.state, ended.reason, ended.exit_code) == (RunState.FAILURE, Reason.EXIT, code)
    assert f"exit code {code}" in ended.detail


def test_a_signal_that_nobody_here_sent_is_a_failure_that_names_it(runs: Runs) -> None:
    ended = runs.end(runs.start("import os\nos.kill(os.getpid(), 11)"))
    assert (ended.state, ended.reason, ended.exit_code) == (RunState.FAILURE, Reason.SIGNAL, 139)
    assert "SIGSEGV" in ended.detail


def test_a_run_over_its_time_is_ended(runs: Runs) -> None:
    order = replace(runs.order(FOREVER), timeout=0.3)
    runs.executor.start(order)
    ended = runs.end(order.folder)
    assert (ended.state, ended.reason) == (RunState.TIMED_OUT, Reason.TIMEOUT)
    assert ended.started is not None and ended.ended is not None
    assert 0.3 <= ended.ended - ended.started < 1.3


def test_nothing_is_said_of_a_run_that_lives(runs: Runs) -> None:
    folder = runs.up()
    assert runs.executor.exit(folder) is None
    assert runs.executor.wait(folder, 0.05) is None


def test_a_killed_run_says_so(runs: Runs) -> None:
    folder = runs.up()
    runs.executor.kill(folder)
    ended = runs.executor.exit(folder)
    assert ended is not None
    assert (ended.state, ended.reason, ended.exit_code) == (RunState.KILLED, Reason.KILLED, 143)


def test_killing_an_ended_run_does_nothing(runs: Runs) -> None:
    folder = runs.start("print('done')")
    before = runs.end(folder)
    runs.executor.kill(folder)
    assert runs.executor.exit(folder) == before


def test_whoever_asks_need_not_have_started_it(runs: Runs) -> None:
    folder = runs.up()
    another = runs.make()
    assert another.exit(folder) is None
    assert [line.text for line in another.log(folder)[0]] == ["up"]
    another.kill(folder)
    assert another.wait(folder, PATIENCE) == runs.end(folder)


def test_a_waiter_is_woken_by_the_end(runs: Runs) -> None:
    folder = runs.up()
    found: list[RunExit | None] = []
    waiter = threading.Thread(target=lambda: found.append(runs.make().wait(folder, PATIENCE)))
    waiter.start()
    runs.executor.kill(folder)
    waiter.join(PATIENCE)
    assert [ended and ended.state for ended in found] == [RunState.KILLED]


def test_a_run_happens_once(runs: Runs) -> None:
    order = runs.order("print('done')")
    runs.executor.start(order)
    before = runs.end(order.folder)
    with pytest.raises(SpecrunnerError):
        runs.executor.start(order)
    assert runs.executor.exit(order.folder) == before


def test_runs_started_at_once_do_not_hinder_each_other(runs: Runs) -> None:
    orders = [runs.order(f"print({number})") for number in range(6)]
    threads = [threading.Thread(target=runs.executor.start, args=(order,)) for order in orders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert [runs.end(order.folder).state for order in orders] == [RunState.SUCCESS] * 6
    found = [[line.text for line in runs.executor.log(order.folder)[0]] for order in orders]
    assert found == [[str(number)] for number in range(6)]


def test_one_of_several_who_start_a_run_at_once_does(runs: Runs) -> None:
    order = runs.order("print('once')")
    refused: list[SpecrunnerError] = []

    def start() -> None:
        try:
            runs.make().start(order)
        except SpecrunnerError as error:
            refused.append(error)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert len(refused) == 3
    assert runs.end(order.folder).state is RunState.SUCCESS
    assert [line.text for line in runs.executor.log(order.folder)[0]] == ["once"]


def test_a_run_killed_right_after_its_start_is_ended(runs: Runs) -> None:
    folder = runs.start(FOREVER)
    runs.executor.kill(folder)
    assert runs.end(folder).state is RunState.KILLED


def test_the_killer_of_a_folder_that_is_not_there_is_told(runs: Runs, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        runs.executor.kill(tmp_path / "none")
    ended = runs.executor.exit(tmp_path / "none")
    assert ended is not None
    assert ended.state is RunState.LOST


def test_a_run_that_was_never_started_is_lost_and_its_code_never_began(runs: Runs) -> None:
    ended = runs.executor.exit(runs.order("print('never')").folder)
    assert ended is not None
    assert (ended.state, ended.reason, ended.code_started) == (RunState.LOST, Reason.LOST, False)


def test_what_is_said_of_a_lost_run_never_changes(runs: Runs) -> None:
    order = runs.order("print('never')")
    before = runs.executor.exit(order.folder)
    with pytest.raises(SpecrunnerError):
        runs.executor.start(order)
    assert runs.executor.exit(order.folder) == before


def test_a_run_killed_before_its_start_never_starts(runs: Runs) -> None:
    order = runs.order("print('never')")
    runs.executor.kill(order.folder)
    with pytest.raises(SpecrunnerError):
        runs.executor.start(order)
    ended = runs.end(order.folder)
    assert (ended.state, ended.code_started) == (RunState.KILLED, False)


@pytest.mark.parametrize("broken", ["bundle", "entry", "python"])
def test_what_cannot_be_started_says_so_and_leaves_nothing(runs: Runs, broken: str) -> None:
    order = runs.order("print('never')")
    wrong = {
        "bundle": replace(order, bundle=order.folder / "none.zip"),
        "entry": replace(order, entry="none.py"),
        "python": replace(order, python=order.folder / "none"),
    }
    with pytest.raises(SpecrunnerError) as caught:
        runs.executor.start(wrong[broken])
    assert caught.value.detail
    assert caught.value.remedy
    ended = runs.executor.exit(order.folder)
    assert ended is not None
    assert not ended.code_started


def test_the_log_is_read_from_an_offset_on(runs: Runs) -> None:
    folder = runs.start("print('one')\nprint('two')\nprint('no line end', end='')")
    ended = runs.end(folder)
    lines, end = runs.executor.log(folder)
    assert [line.text for line in lines] == ["one", "two", "no line end"]
    assert ended.started is not None
    assert all(ended.started <= line.time <= time.time() for line in lines)
    rest, same = runs.executor.log(folder, 4)
    assert ([line.text for line in rest], same) == (["two", "no line end"], end)
    assert runs.executor.log(folder, end) == ([], end)


def test_a_line_is_given_once_it_is_complete(runs: Runs) -> None:
    folder = runs.up("print('up\\nhalf', end='', flush=True)\nimport threading\nthreading.Event().wait()")
    lines, offset = runs.executor.log(folder)
    assert [line.text for line in lines] == ["up"]
    runs.executor.kill(folder)
    assert [line.text for line in runs.executor.log(folder, offset)[0]] == ["half"]


def test_results_are_part_of_the_end(runs: Runs) -> None:
    code = "import json, os\njson.dump({'rows': 3, 'names': ['a', None]}, open(os.environ['SPECRUNNER_RESULTS'], 'w'))"
    assert runs.end(runs.start(code)).results == {"rows": 3, "names": ["a", None]}
