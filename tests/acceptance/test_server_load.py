"""Many clients at once, and a server that is started anew under them: no error, no run lost, none made twice."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from specrunner.core.keys import Key
from specrunner.core.lifecycle import RunState
from specrunner.core.outcome import RunView
from specrunner.targets.server.http import Connection
from specrunner.targets.server.target import ServerTarget
from tests.acceptance.conftest import make_repo
from tests.acceptance.spec_repo import SpecRepo, stopped
from tests.acceptance.test_server_target import called, pointed, serving
from tests.conftest import Soak

TASK = Key.parse("Task/lab/work")
CODE = "import time\nprint('at work')\ntime.sleep(0.3)\n"


@dataclass(slots=True)
class Load:
    """So many clients that look, until they are told to stop; what each look took, in seconds."""

    url: str
    clients: int
    pause: float
    took: list[float] = field(default_factory=list)
    trouble: list[Exception] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def stop(self) -> None:
        """Let them look no more, while there is still something to look at."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def __enter__(self) -> Load:
        self._threads = [threading.Thread(target=self._look) for _ in range(self.clients)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self.stop()

    def _look(self) -> None:
        with closing(ServerTarget(Connection(self.url))) as target:
            looks: list[Callable[[], object]] = [lambda: target.read()[TASK].state, lambda: target.runs(TASK)]
            while not self._stop.wait(self.pause):
                try:
                    for look in looks:
                        began = time.monotonic()
                        look()
                        self.took.append(time.monotonic() - began)
                except Exception as problem:  # whatever it is, it is the finding
                    self.trouble.append(problem)
                    return

    def told(self) -> str:
        ordered = sorted(self.took)
        p50, p99 = ordered[len(ordered) // 2], ordered[len(ordered) * 99 // 100]
        return f"{self.clients} clients, {len(ordered)} looks: p50 {p50 * 1000:.1f} ms, p99 {p99 * 1000:.1f} ms"


@pytest.fixture
def host(tmp_path: Path, cache: Path) -> SpecRepo:
    return make_repo(tmp_path / "host", cache)


def applied(tmp_path: Path, cache: Path, url: str) -> None:
    repo = pointed(make_repo(tmp_path / "specs", cache), url)
    repo.orchestration("work", CODE)
    kept = {"succeeded": 1000, "failed": 1000}  # all of them, so that none is missed because it was cleared away
    repo.task("work", "work", schedule={"cron": "0 0 1 1 *", "overlap": "allow"}, history=kept)
    called(repo, "apply", "--yes")


def all_run(url: str, count: int) -> list[RunView]:
    """So many runs at once, each waited for."""

    def one(_number: int) -> RunView:
        with closing(ServerTarget(Connection(url))) as target:
            return target.run(TASK, None)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


def test_many_clients_look_while_many_runs_execute(
    host: SpecRepo, tmp_path: Path, cache: Path, soak: Soak, capsys: pytest.CaptureFixture[str]
) -> None:
    clients, count = (200, 50) if soak.is_full else (16, 6)
    with serving(host, "--max-runs", "8") as (_, url):
        applied(tmp_path, cache, url)
        with Load(url, clients, 0.2) as load:
            runs = all_run(url, count)
        assert load.trouble == []
        assert [run.status for run in runs] == [RunState.SUCCESS] * count
        assert len({run.id for run in runs}) == count
    with capsys.disabled():
        sys.stdout.write(f"\n{count} runs, {load.told()}\n")


def test_a_restart_under_load_loses_no_run_and_makes_none_twice(
    host: SpecRepo, tmp_path: Path, cache: Path, soak: Soak
) -> None:
    clients, count = (200, 50) if soak.is_full else (8, 6)
    with serving(host, "--max-runs", "4") as (first, url):
        applied(tmp_path, cache, url)
        with ThreadPoolExecutor(1) as pool, Load(url, clients, 0.2) as load:
            running = pool.submit(all_run, url, count)
            with closing(ServerTarget(Connection(url))) as target:
                while not any(run.status.ended for run in target.runs(TASK)):
                    time.sleep(0.05)
            stopped(first, signal.SIGTERM, 0)
            with serving(host, "--max-runs", "4") as (_, again):
                assert again == url
                runs = running.result(120)
                load.stop()
                assert load.trouble == []
                assert [run.status for run in runs] == [RunState.SUCCESS] * count
                with closing(ServerTarget(Connection(url))) as target:
                    assert sorted(run.id for run in target.runs(TASK)) == sorted(run.id for run in runs)
