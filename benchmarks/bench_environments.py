"""How long an environment of runs takes: with nothing there, out of uv's cache, and where it is built already.

`python -m benchmarks.bench_environments [--rounds N]`; README.md says what it prints. The cold round needs a network.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from benchmarks.figures import compared
from specrunner.engine.packaging.environments import UvEnvironments
from specrunner.engine.packaging.uv import configured

Found = TypeVar("Found")
BARE = "uv venv + uv pip sync, its cache warm"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="of what is warm; what is cold is done once")
    asked = parser.parse_args()
    with TemporaryDirectory() as folder:
        cache = Path(folder) / "cache"
        environments = UvEnvironments(cache)
        lock, locking = timed(environments.lock, "")
        _, building = timed(environments.ensure, lock)
        print("Empty requirements, which come with pandas, pyarrow and requests")
        print(f"  cold, by the network: resolved in {locking:.2f} s, built and compiled in {building:.2f} s")
        taken: dict[str, list[float]] = {BARE: [], "out of uv's cache, compiled, sealed": [], "built already": []}
        for number in range(asked.rounds):
            fresh = f"{lock}# round {number}\n"
            found = (
                timed(bare, cache, Path(folder) / f"bare{number}", lock)[1],
                timed(environments.ensure, fresh)[1],
                timed(UvEnvironments(cache).ensure, lock)[1],
            )
            for name, seconds in zip(taken, found, strict=True):
                taken[name].append(seconds)
        print(*compared(taken, BARE), sep="\n")


def bare(cache: Path, folder: Path, lock: str) -> None:
    """What uv alone takes for the same set, without bytecode."""
    tool = configured(cache, os.environ)
    uv, environment = str(tool.program), dict(tool.env)
    subprocess.run([uv, "venv", "-q", "--python", sys.executable, str(folder)], check=True, env=environment)
    words = [uv, "pip", "sync", "-q", "--offline", *tool.options, "--python", str(folder / "bin" / "python"), "-"]
    subprocess.run(words, check=True, env=environment, input=lock.encode())


def timed(work: Callable[..., Found], *words: object) -> tuple[Found, float]:
    """What it gives, and the seconds it took."""
    begun = time.monotonic()
    return work(*words), time.monotonic() - begun


if __name__ == "__main__":
    main()
