"""A push, then its webhook: how long until it is live, by `specrunner serve --repo`.

`python -m benchmarks.bench_controller [--rounds N]`. It makes a bare remote, a clone and a host in a folder of its own,
on this machine, so that no network is measured. Each round pushes another schedule of a task and calls the webhook.
*Live* is when the database of the host has that schedule; *known* when the host says that the commit is live, by then
it is recorded as well. Beside it stands the same `specrunner apply` as a person types it, in a clone of its own with a
state folder of its own. *CPU* is the processor time of the host and of all that it starts, per round: on a machine with
nothing else to do, the wall clock comes near it.
"""

from __future__ import annotations

import argparse
import hashlib
import hmac
import json
import os
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from benchmarks.figures import percentile

SECRET = "between the two of us"
PROJECT = """\
apiVersion: specrunner/v1
kind: Project
metadata: {name: bench}
spec: {defaultWorkspace: lab, status: {branch: specrunner-status}}
---
apiVersion: specrunner/v1
kind: Workspace
metadata: {name: lab}
---
apiVersion: specrunner/v1
kind: Orchestration
metadata: {name: hello}
spec: {source: hello}
"""
TASK = """\
apiVersion: specrunner/v1
kind: Task
metadata: {name: nightly}
spec: {orchestration: hello, schedule: "%d 2 * * *"}
"""


@dataclass(frozen=True, slots=True)
class Place:
    """The bare remote, the clone that is pushed from, and the folder of the host."""

    remote: Path
    clone: Path
    host: Path

    def pushed(self, number: int) -> str:
        """Push another schedule; the commit."""
        (self.clone / "task.yaml").write_text(TASK % number)
        for words in (("add", "-A"), ("commit", "-qm", f"{number}"), ("push", "-q", "origin", "HEAD:main")):
            git(self.clone, *words)
        return git(self.clone, "rev-parse", "HEAD")

    def live(self) -> str:
        """The schedule that the host's database has; empty where there is none yet."""
        database = self.host / ".specrunner" / "state.db"
        try:
            with sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True) as connection:
                found = connection.execute("select spec from tasks").fetchall()
        except sqlite3.OperationalError:
            return ""
        return str(json.loads(found[0][0])["schedule"]["cron"]) if found else ""

    def known(self) -> str:
        """The commit that the host says is live."""
        file = self.host / ".specrunner" / "controller" / "memory.json"
        return str(json.loads(file.read_bytes())["good"]) if file.exists() else ""


def git(folder: Path, *words: str) -> str:
    command = ["git", "-c", "user.name=b", "-c", "user.email=b@example.org", *words]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def made(folder: Path) -> Place:
    place = Place(folder / "remote.git", folder / "clone", folder / "host")
    git(folder, "init", "-q", "--bare", "-b", "main", str(place.remote))
    git(folder, "clone", "-q", str(place.remote), str(place.clone))
    place.host.mkdir()
    (place.clone / "hello").mkdir()
    (place.clone / "hello" / "main.py").write_text("print('hello')\n")
    (place.clone / "specrunner.yaml").write_text(PROJECT)
    (place.clone / ".gitignore").write_text(".specrunner/\n")
    return place


def reached(what: Callable[[], bool], began: float) -> float:
    while not what():
        if time.perf_counter() - began > 300:
            sys.exit("It has not become live within five minutes.")
        time.sleep(0.01)
    return time.perf_counter() - began


def used(host: subprocess.Popen[bytes]) -> float:
    """The processor time of a process and of its children that have ended."""
    times = psutil.Process(host.pid).cpu_times()
    return times.user + times.system + times.children_user + times.children_system


def rounds_of(place: Place, host: subprocess.Popen[bytes], port: int, rounds: int) -> list[tuple[float, ...]]:
    url, body = f"http://127.0.0.1:{port}/v1/specrunner/webhook", b"{}"
    signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    found: list[tuple[float, ...]] = []
    for number in range(1, rounds + 1):
        commit, before = place.pushed(number), used(host)
        began = time.perf_counter()
        httpx.post(url, content=body, headers={"X-Hub-Signature-256": f"sha256={signature}"}).raise_for_status()
        live = reached(lambda number=number: place.live() == f"{number} 2 * * *", began)  # type: ignore[misc]
        known = reached(lambda commit=commit: place.known() == commit, began)  # type: ignore[misc]
        found.append((live, known, used(host) - before, by_hand(place)))
    return found


def by_hand(place: Place) -> float:
    began = time.perf_counter()
    command = [sys.executable, "-m", "specrunner", "-C", str(place.clone), "apply", "--yes", "--no-wait", "--no-push"]
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - began


def measured(folder: Path, rounds: int) -> list[tuple[float, ...]]:
    place = made(folder)
    first = place.pushed(0)
    by_hand(place)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    command = [sys.executable, "-m", "specrunner", "-C", str(place.host), "serve", "--repo", str(place.remote)]
    environ = {**os.environ, "SPECRUNNER_WEBHOOK_SECRET": SECRET}
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(
            [*command, "--interval", "1h", "--port", str(port)], env=environ, stdout=log, stderr=log
        ) as host,
    ):
        try:
            reached(lambda: place.known() == first, time.perf_counter())
            return rounds_of(place, host, port, rounds)
        finally:
            host.terminate()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-controller-") as name:
        found = list(zip(*measured(Path(name), given.rounds), strict=True))
    base = percentile(found[3], 0.5)
    print("from the webhook of a push")
    for label, taken in zip(("live", "known, and recorded", "CPU of the host", "apply by hand"), found, strict=True):
        half, most = percentile(taken, 0.5), percentile(taken, 0.9)
        print(f"  {label:<22} p50 {half:6.2f} s  p90 {most:6.2f} s  x{half / base:5.2f}")


if __name__ == "__main__":
    main()
