"""RQ with the same task: a job that runs `python main.py` as a process of its own, from enqueueing to its first line.

One Redis without persistence on a Unix socket, and one worker of the usual kind, which forks for each job. What it does
not do is what a run of ours adds: no environment, no declared variables, no kill of a tree, no record of the end.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
UP_WITHIN = 20.0  # seconds


def run_main(python: str, main: str) -> int:
    """The job: what main.py says in its first line."""
    ended = subprocess.run([python, main], check=True, capture_output=True, env={"PYTHONUNBUFFERED": "1"})
    return int(ended.stdout)


def missing() -> str:
    """What is not here that this needs; empty where all is."""
    try:
        import redis  # noqa: F401
        import rq  # noqa: F401
    except ImportError:
        return "RQ is not installed here: pip install rq"
    return "" if _server() else "there is no redis-server on the PATH, and REDIS_SERVER names none"


@contextmanager
def starting(python: str, main: Path) -> Iterator[Callable[[], float]]:
    """A function that runs the job once and gives the seconds until its first line; Redis and worker live meanwhile."""
    from redis import Redis
    from rq import Queue

    with TemporaryDirectory() as folder:
        socket = Path(folder) / "redis"
        words = [str(_server()), "--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", folder]
        with _process(words):
            connection = Redis(unix_socket_path=str(socket))
            _until(lambda: bool(connection.ping()))
            worker = [sys.executable, "-m", "rq.cli", "worker", "--quiet", "--url", f"unix://{socket}"]
            with _process(worker):
                queue = Queue(connection=connection)

                def start() -> float:
                    begun = time.time()
                    return int(_result(queue.enqueue(run_main, python, str(main)))) / 1e9 - begun

                start()  # the worker is up then
                yield start


def _result(job: Any) -> Any:
    _until(lambda: bool(job.is_finished or job.is_failed))
    return job.return_value()


def _server() -> str | None:
    return os.environ.get("REDIS_SERVER") or shutil.which("redis-server")


@contextmanager
def _process(words: list[str]) -> Iterator[None]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment) as process:
        try:
            yield
        finally:
            process.terminate()


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + UP_WITHIN
    while time.monotonic() < deadline:
        with suppress(OSError):  # redis' own errors of connecting are such
            if condition():
                return
        time.sleep(0.005)
    raise TimeoutError("it did not come up, or the job did not end")
