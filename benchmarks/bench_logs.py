"""A run that writes a great deal, beside the same program writing straight to a file.

`python -m benchmarks.bench_logs [--rounds N] [--megabytes N]`; README.md says what it prints.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

from benchmarks.figures import compared, percentile
from specrunner.engine.ports import RunOrder
from specrunner.engine.tasks.executors.local import LocalExecutor

LINE = 200  # bytes, with its end
SECRETS = ("a-token-that-never-comes", "a pass phrase", "9q!")
# The clock runs in the program itself: how long its output holds it up is the question. Its parent is the supervisor,
# whose highest memory it looks up when all is written.
MAIN = """
import os, sys, time
rest = "x" * (LINE - 9) + "\\n"
begun = time.monotonic()
for number in range(LINES):
    sys.stdout.write(f"{number:07d} " + rest)
sys.stdout.flush()
took = time.monotonic() - begun
status = open(f"/proc/{os.getppid()}/status").read()
peak = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
open("figures", "w").write(f"{took} {peak}")
"""
# A run is unbuffered unless it asks for something else.
BUFFERING: Mapping[str, str] = {"as runs are, a write per line": "1", "buffered, a write per 8 KiB": ""}


def straight(folder: Path, main: Path, env: Mapping[str, str]) -> float:
    """Seconds of the program when a file takes its output."""
    with (folder / "out").open("wb") as out:
        subprocess.run([sys.executable, str(main)], cwd=folder, env=env, stdout=out, check=True)
    return float((folder / "figures").read_text().split()[0])


def supervised(folder: Path, main: Path, env: Mapping[str, str], redact: tuple[str, ...]) -> tuple[float, int]:
    """Seconds of the program when a supervisor takes its output, and the supervisor's peak memory in KiB."""
    bundle = folder / "bundle.zip"
    with zipfile.ZipFile(bundle, "w") as archive:
        archive.write(main, "main.py")
    python = Path(sys.executable)
    order = RunOrder("bench", folder, bundle, "main.py", python, arguments={}, env=env, redact=redact)
    executor = LocalExecutor()
    executor.start(order)
    ended = executor.wait(folder)
    if ended is None or ended.exit_code != 0:
        raise SystemExit(f"The program failed: {ended}")
    took, peak = (folder / "work" / "figures").read_text().split()
    return float(took), int(peak)


def bench(name: str, unbuffered: str, lines: int, rounds: int) -> None:
    env = {"PYTHONUNBUFFERED": unbuffered}
    base = "straight to a file"
    taken: dict[str, list[float]] = {base: [], "supervised": [], "supervised, three texts to mask": []}
    peaks = []
    for _ in range(rounds):
        for variant, found in taken.items():
            with tempfile.TemporaryDirectory() as place:
                folder = Path(place)
                main = folder / "program.py"
                main.write_text(MAIN.replace("LINES", str(lines)).replace("LINE", str(LINE)))
                if variant == base:
                    found.append(straight(folder, main, env))
                else:
                    seconds, peak = supervised(folder, main, env, SECRETS if "mask" in variant else ())
                    found.append(seconds)
                    peaks.append(peak)
    print(f"{lines:,} lines of {LINE} bytes, {name}, {rounds} rounds")
    print(*compared(taken, base), sep="\n")
    print(f"  supervisor's memory at its highest: p50 {percentile(peaks, 0.5):,} KiB, most {max(peaks):,} KiB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--megabytes", type=int, default=200)
    options = parser.parse_args()
    for name, unbuffered in BUFFERING.items():
        bench(name, unbuffered, options.megabytes * 1_000_000 // LINE, options.rounds)


if __name__ == "__main__":
    main()
