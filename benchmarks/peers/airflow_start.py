"""Airflow with the same task: from a trigger that its API has taken to the first line of the run's one task.

In an environment of its own (`uv venv airflow && VIRTUAL_ENV=airflow uv pip install 'apache-airflow>=3.1,<4'`):

    airflow/bin/python benchmarks/peers/airflow_start.py [ROUNDS]

As `airflow standalone` comes: SQLite in an empty AIRFLOW_HOME, the local executor, its scheduler, API server, processor
and triggerer. The clock starts with the instant that Airflow itself has written down for the run (`queued_at`), so the
seconds of its command line do not count: what it compares to is the engine's view of `bench_start`.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

WITHIN = 240.0  # seconds that it is given to come up, and each run to begin
DAG = """\
import os, time
from airflow.sdk import dag, task

@dag(schedule=None)
def one():
    @task
    def first_line():
        with open(os.environ["MARK"] + ".new", "w") as file:
            file.write(str(time.time_ns()))
        os.rename(os.environ["MARK"] + ".new", os.environ["MARK"])

    first_line()

one()
"""
AIRFLOW = str(Path(sys.executable).with_name("airflow"))


def main(rounds: int) -> None:
    with TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "dags").mkdir()
        (home / "dags" / "one.py").write_text(DAG, encoding="utf-8")
        path = f"{Path(AIRFLOW).parent}:{os.environ['PATH']}"
        own = {
            "AIRFLOW_HOME": folder,
            "MARK": str(home / "mark"),
            "PATH": path,
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        }
        environment = {**os.environ, **own, "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False"}
        with (
            (home / "log").open("wb") as log,
            subprocess.Popen(
                [AIRFLOW, "standalone"], env=environment, stdout=log, stderr=log, start_new_session=True
            ) as server,
        ):
            try:
                until(lambda: bool(rows(home, "select 1 from dag where dag_id = 'one'")), "its DAG to be known")
                taken = sorted(start(home, environment) for _ in range(rounds))
            finally:
                os.killpg(server.pid, signal.SIGTERM)
    print(f"airflow, {rounds} rounds: p50 {taken[len(taken) // 2]:.2f} s, worst {taken[-1]:.2f} s")


def start(home: Path, environment: dict[str, str]) -> float:
    """Seconds from the instant at which the run was queued to its first line."""
    mark = home / "mark"
    subprocess.run([AIRFLOW, "dags", "trigger", "one"], check=True, env=environment, capture_output=True)
    until(mark.exists, "the first line")
    first = int(mark.read_text(encoding="utf-8")) / 1e9
    mark.unlink()
    (queued,) = rows(home, "select queued_at from dag_run order by id desc limit 1")[0]
    return first - datetime.fromisoformat(str(queued)).replace(tzinfo=UTC).timestamp()


def rows(home: Path, query: str) -> list[tuple[object, ...]]:
    """What its database says; nothing where it is not there yet."""
    try:
        with closing(sqlite3.connect(f"file:{home / 'airflow.db'}?mode=ro", uri=True)) as connection:
            return connection.execute(query).fetchall()
    except sqlite3.OperationalError:
        return []


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + WITHIN
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited in vain for {what}")
        time.sleep(0.01)


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 5)
