"""Dagster with the same task: from asking `dagster job launch` for a run to the first line of its one op.

In an environment of its own (`uv venv dagster && VIRTUAL_ENV=dagster uv pip install dagster`):

    dagster/bin/python benchmarks/peers/dagster_start.py [ROUNDS]

SQLite in an empty DAGSTER_HOME, a code server that is up already, runs launched at once instead of by a queue, and the
default launcher, which starts a process per run. The time is that of the whole command line until the op runs, so what
it compares to is `specrunner apply --yes` of `bench_start`.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

WITHIN = 120.0  # seconds that a run is given to begin
JOB = """\
import os, time
from dagster import job, op

@op
def first_line():
    with open(os.environ["MARK"] + ".new", "w") as file:
        file.write(str(time.time_ns()))
    os.rename(os.environ["MARK"] + ".new", os.environ["MARK"])

@job
def one():
    first_line()
"""


SETTINGS = """\
telemetry: {enabled: false}
run_coordinator: {module: dagster.core.run_coordinator, class: DefaultRunCoordinator}
"""
DAGSTER = str(Path(sys.executable).with_name("dagster"))


def main(rounds: int) -> None:
    with TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
        free.close()
        home = Path(folder)
        server = f"load_from: [{{grpc_server: {{host: 127.0.0.1, port: {port}, location_name: here}}}}]\n"
        for name, text in {"jobs.py": JOB, "dagster.yaml": SETTINGS, "workspace.yaml": server}.items():
            (home / name).write_text(text, encoding="utf-8")
        environment = {**os.environ, "DAGSTER_HOME": folder, "MARK": str(home / "mark")}
        words = [DAGSTER, "api", "grpc", "-f", "jobs.py", "-h", "127.0.0.1", "-p", port]
        with subprocess.Popen(words, cwd=home, env=environment, stderr=subprocess.DEVNULL) as code_server:
            try:
                until_up(int(port))
                taken = sorted(start(home, environment) for _ in range(rounds))
            finally:
                code_server.terminate()
    print(f"dagster job launch, {rounds} rounds: p50 {taken[len(taken) // 2]:.2f} s, worst {taken[-1]:.2f} s")


def until_up(port: int) -> None:
    deadline = time.monotonic() + WITHIN
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise TimeoutError("the code server did not come up")


def start(folder: Path, environment: dict[str, str]) -> float:
    """Seconds from asking for the process of the command line to the op's first line."""
    mark = folder / "mark"
    words = [DAGSTER, "job", "launch", "-w", "workspace.yaml", "--location", "here", "-j", "one"]
    begun = time.time()
    subprocess.run(words, check=True, cwd=folder, env=environment, capture_output=True)
    deadline = time.monotonic() + WITHIN
    while not mark.exists():
        if time.monotonic() > deadline:
            raise TimeoutError("the run did not begin")
        time.sleep(0.005)
    first = int(mark.read_text(encoding="utf-8")) / 1e9
    mark.unlink()
    return first - begun


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 5)
