"""How long does it take to look into an inference log of ten million rows?

`python -m benchmarks.bench_inference_log [--rows 10000000] [--request 100] [--folder DIR]`. It fills a log with
requests a few milliseconds apart, then asks it as `logs` does: the newest 100 rows, one minute in the middle, and the
count of all rows; cold (a reader that knows nothing yet, as each command line is) and warm (one that has looked).
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

import numpy as np
import pyarrow as pa

from specrunner.engine.serving.inference_log import InferenceLog

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
WIDTH = 18
ROUNDS = 7


def fill(folder: Path, rows: int, request: int) -> timedelta:
    """Requests of so many rows, as a pipeline of 18 features answers them; the time from the first to the last."""
    log = InferenceLog(folder)
    values = np.random.default_rng(1).random(request * WIDTH).astype(np.float32)
    inputs = pa.ListArray.from_arrays(pa.array(np.arange(request + 1, dtype=np.int32) * WIDTH), pa.array(values))
    outputs = pa.ListArray.from_arrays(pa.array(np.arange(request + 1, dtype=np.int32)), pa.array(values[:request]))
    failures = pa.array(np.zeros(request, np.int8))
    step, begun = 10, time.perf_counter()
    for number in range(rows // request):
        stamp = int(BEGIN.timestamp() * 1000) + number * step
        times = pa.array(np.full(request, stamp), pa.timestamp("ms"))
        columns = {"time": times, "in.tensor": inputs, "out.variable": outputs, "check_failures": failures}
        log.append(pa.table(columns))
    log.close()
    seconds = time.perf_counter() - begun
    size = sum(path.stat().st_size for path in folder.iterdir())
    print(
        f"filled: {rows:,} rows in {rows // request:,} requests, {size / 2**30:.2f} GiB, {rows / seconds:,.0f} rows/s"
    )
    return timedelta(milliseconds=rows // request * step)


def asked(name: str, folder: Path, ask: Callable[[InferenceLog], object]) -> None:
    """The time of a question, cold and warm."""
    cold: list[float] = []
    warm: list[float] = []
    for _ in range(ROUNDS):
        log = InferenceLog(folder)
        for taken in (cold, warm):
            begun = time.perf_counter()
            found = ask(log)
            taken.append(time.perf_counter() - begun)
    print(f"{name:<28} cold {median(cold) * 1e3:8.1f} ms   warm {median(warm) * 1e3:8.1f} ms   {found}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--request", type=int, default=100)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as scratch:
        folder = Path(scratch) / "log"
        span = fill(folder, options.rows, options.request)
        minute = BEGIN + span / 2, BEGIN + span / 2 + timedelta(minutes=1)
        asked("newest 100 rows", folder, lambda log: f"{log.read(limit=100).table.num_rows} rows")
        asked(
            "one minute, a page",
            folder,
            lambda log: f"{log.read(start=minute[0], end=minute[1]).table.num_rows:,} rows",
        )
        asked("count of one minute", folder, lambda log: f"{log.count(*minute):,} rows")
        asked("count of all", folder, lambda log: f"{log.count():,} rows")


if __name__ == "__main__":
    main()
