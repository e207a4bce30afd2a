"""Runs of small pieces of code under real supervisors."""

from __future__ import annotations

import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from specrunner.engine.ports import RunExit, RunOrder
from specrunner.engine.tasks import exitfile, processes
from specrunner.engine.tasks.executors.local import LocalExecutor

PATIENCE = 20.0


class Runs:
    """Starts code, waits for what it does, and ends what a test has left."""

    def __init__(self, folder: Path) -> None:
        self.executor = LocalExecutor()
        self._folder = folder
        self._orders: list[RunOrder] = []

    def order(self, code: str, **fields: Any) -> RunOrder:
        number = len(self._orders)
        folder = self._folder / f"run-{number}"
        folder.mkdir()
        bundle = self._folder / f"bundle-{number}.zip"
        with zipfile.ZipFile(bundle, "w") as archive:
            archive.writestr("main.py", code)
        order = RunOrder(
            run_id=f"test-{self._folder.name}-{number}",
            folder=folder,
            bundle=bundle,
            entry="main.py",
            python=Path(sys.executable),
            arguments={},
            env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"},
            grace=2.0,
        )
        self._orders.append(replace(order, **fields))
        return self._orders[-1]

    def start(self, code: str, **fields: Any) -> Path:
        order = self.order(code, **fields)
        self.executor.start(order)
        return order.folder

    def run(self, code: str, **fields: Any) -> tuple[RunExit, list[str]]:
        """How it ended and the lines it wrote."""
        folder = self.start(code, **fields)
        return self.end(folder), self.lines(folder)

    def end(self, folder: Path) -> RunExit:
        ended = self.executor.wait(folder, PATIENCE)
        assert ended is not None, "the run goes on and on"
        return ended

    def lines(self, folder: Path) -> list[str]:
        return [line.text for line in self.executor.log(folder)[0]]

    def until(self, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, "it never came to that"
            time.sleep(0.005)

    def pids(self, folder: Path, count: int) -> list[processes.Identity]:
        """The processes whose pids the code has printed, one a line, once they are that many."""
        self.until(lambda: len(self.lines(folder)) >= count)
        found = [processes.identify(int(line)) for line in self.lines(folder)[:count]]
        return [identity for identity in found if identity is not None]

    def supervisor(self, folder: Path) -> processes.Identity:
        record = exitfile.read(str(folder / exitfile.SUPERVISOR))
        assert record is not None
        return processes.Identity.from_json(record["supervisor"])

    def alive(self) -> list[int]:
        """The pids of all processes of all these runs."""
        found = []
        for order in self._orders:
            marks = processes.run_marks(order.run_id, str(order.folder / exitfile.RESULTS))
            found += [entry.pid for entry in processes.marked(marks)]
        return found

    def close(self) -> None:
        for order in self._orders:
            self.executor.kill(order.folder, 0.0)
            self.executor.wait(order.folder, PATIENCE)


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[Runs]:
    found = Runs(tmp_path.resolve())
    yield found
    found.close()
