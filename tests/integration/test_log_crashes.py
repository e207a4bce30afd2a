"""The inference log of a process that is killed at any moment: what was answered a second before is there, whole."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from specrunner.engine.serving.inference_log import InferenceLog
from tests.conftest import Soak

# Appends requests of 1 to 50 rows, numbered on, and says every few of them how far it is.
WRITER = """
import sys, time
from pathlib import Path
import numpy as np
import pyarrow as pa
from specrunner.engine.serving.inference_log import InferenceLog

folder, first = Path(sys.argv[1]), int(sys.argv[2])
log = InferenceLog(folder, segment_bytes=200_000)
draw = np.random.default_rng(first)

def answer(first, rows):
    numbers = np.arange(first, first + rows)
    time_of_all = pa.array([time.time_ns() // 1_000_000] * rows, pa.timestamp("ms"))
    return pa.table({"time": time_of_all, "in.number": numbers, "out.twice": 2 * numbers})

answer(0, 1)  # whatever loads at first use has loaded now
print("ready", flush=True)
while True:
    rows = int(draw.integers(1, 51))
    log.append(answer(first, rows))
    first += rows
    print(first, time.monotonic(), flush=True)
    time.sleep(0.0005)
"""


def killed_after(folder: Path, first: int, seconds: float) -> int:
    """How many rows a writer had appended a second before it was killed, counted from the beginning of the log."""
    command = [sys.executable, "-c", WRITER, str(folder), str(first)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, bufsize=1) as writer:
        assert writer.stdout is not None and writer.stdout.readline() == "ready\n"
        end, said = time.monotonic() + seconds, []
        while time.monotonic() < end:
            said.append(writer.stdout.readline())
            assert said[-1], "the writer has died by itself"
        os.kill(writer.pid, signal.SIGKILL)
        killed = time.monotonic()
        said += writer.stdout.readlines()
    whole = [line.split() for line in said if line.endswith("\n")]
    return max([int(count) for count, moment in whole if float(moment) < killed - 1.0], default=first)


def rows_of(folder: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """The numbers of all rows, in order; each row is whole, and the log counts as many as it gives."""
    log = InferenceLog(folder)
    pages = list(log.pages())
    numbers = np.concatenate([page.column("in.number").to_numpy() for page in pages] or [np.empty(0, np.int64)])
    twice = np.concatenate([page.column("out.twice").to_numpy() for page in pages] or [np.empty(0, np.int64)])
    assert (twice == 2 * numbers).all()
    assert log.count() == len(numbers)
    return numbers


def test_a_killed_writer_loses_the_last_second_at_most_and_no_row_is_torn(tmp_path: Path, soak: Soak) -> None:
    draw, folder, begun, written = random.Random(soak.seed), tmp_path / "log", [], 0
    for _ in range(100 if soak.is_full else 4):
        safe = killed_after(folder, written, draw.uniform(0.01, 1.6))
        begun.append(written)
        numbers = rows_of(folder)
        assert len(numbers) >= safe
        assert (numbers == np.arange(len(numbers))).all(), "rows are lost, repeated or out of order"
        written = len(numbers)
    newest = InferenceLog(folder).read(limit=10).table.column("in.number").to_pylist()
    assert newest == list(range(written - 1, written - 11, -1)) and begun == sorted(begun)
