"""Runs on a disk of their own that is full or read-only: `python -m … SCENE FOLDER`, in a private mount namespace.

What was seen is printed as JSON; `test_supervisor_storage` starts this and judges it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from specrunner.core.errors import SpecrunnerError
from specrunner.engine.ports import RunExit
from specrunner.engine.tasks import exitfile
from specrunner.engine.tasks.executors.local import LocalExecutor
from tests.integration.private_disk import fill, mounted
from tests.integration.supervisor.conftest import Runs

SIZE = 2**20  # bytes of the disk


def remount(folder: Path, mode: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{mode}", str(folder)], check=True)


def protect(folder: Path, on: bool) -> None:
    """Let nobody, root included, make or remove anything in a folder. (A disk in use can't be made read-only.)"""
    subprocess.run(["chattr", "+i" if on else "-i", str(folder)], check=True)


def told(ended: RunExit | None) -> dict[str, Any] | None:
    if ended is None:
        return None
    return {"state": ended.state, "detail": ended.detail, "results": ended.results, "code_started": ended.code_started}


def refused(action: Callable[[], object]) -> str | None:
    try:
        action()
    except SpecrunnerError as error:
        return f"{type(error).__name__}: {error.detail} {error.remedy}"
    return None


def started(runs: Runs, disk: Path, code: str) -> Path:
    """A run whose code waits for a line in the pipe `go`, which lies on another disk; it has begun."""
    go = disk.parent / "go"
    subprocess.run(["mkfifo", str(go)], check=True)
    folder = runs.start(f"print('up', flush=True)\nopen({str(go)!r}).read()\n{code}")
    runs.until(lambda: runs.lines(folder) == ["up"])
    return folder


def go(disk: Path) -> None:
    (disk.parent / "go").write_text("go")


def full_while_it_runs(runs: Runs, disk: Path) -> dict[str, Any]:
    """The disk fills up; the code goes on writing, also its results, and ends well."""
    code = "import os\nopen('/dev/stdout', 'w').write('x' * 300_000)\n"
    results = f"with open({str(disk.parent / 'results')!r}, 'w') as file:\n    file.write('[' + '1,' * 9000 + '1]')\n"
    link = f"os.symlink({str(disk.parent / 'results')!r}, os.environ['SPECRUNNER_RESULTS'])\n"
    folder = started(runs, disk, code + results + link)
    fill(disk)
    go(disk)
    ended = runs.end(folder)
    return {"ended": told(ended), "again": told(LocalExecutor().exit(folder)), "log": runs.lines(folder)[0]}


def full_before_it_starts(runs: Runs, disk: Path) -> dict[str, Any]:
    order = runs.order("print('never')")
    filler = fill(disk)
    problem = refused(lambda: runs.executor.start(order))
    seen = told(runs.executor.exit(order.folder))
    filler.unlink()
    return {"problem": problem, "ended": seen, "later": told(runs.executor.exit(order.folder)), "alive": runs.alive()}


def read_only_while_it_runs(runs: Runs, disk: Path) -> dict[str, Any]:
    folder = started(runs, disk, "print('after')")
    protect(folder, True)
    go(disk)
    ended = told(runs.end(folder))
    killed = refused(lambda: runs.executor.kill(folder))
    protect(folder, False)
    later = told(runs.executor.exit(folder))
    record = exitfile.read(str(folder / exitfile.EXIT))
    return {
        "ended": ended,
        "killed": killed,
        "later": later,
        "record": record and record["state"],
        "lines": runs.lines(folder),
        "alive": runs.alive(),
    }


def read_only_before_it_starts(runs: Runs, disk: Path) -> dict[str, Any]:
    order = runs.order("print('never')")
    remount(disk, "ro")
    problem = refused(lambda: runs.executor.start(order))
    seen = told(runs.executor.exit(order.folder))
    killed = refused(lambda: runs.executor.kill(order.folder))
    remount(disk, "rw")
    runs.executor.start(order)  # nothing was put down, so it may still happen
    return {"problem": problem, "ended": seen, "killed": killed, "later": told(runs.end(order.folder))}


SCENES: Mapping[str, Callable[[Runs, Path], dict[str, Any]]] = {
    scene.__name__: scene
    for scene in (full_while_it_runs, full_before_it_starts, read_only_while_it_runs, read_only_before_it_starts)
}


def main(scene: str, folder: Path) -> None:
    disk = mounted(folder, SIZE)
    runs = Runs(disk)
    try:
        json.dump(SCENES[scene](runs, disk), sys.stdout)
    finally:
        runs.close()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]).resolve())
