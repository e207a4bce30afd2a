"""From "run it" to the first line of main.py, beside a bare `python main.py` of the same interpreter.

`python -m benchmarks.bench_start [--rounds N] [--view engine|cli]`; README.md says what it prints. Every round does
each variant once, so that what else the machine does falls on all of them alike.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.figures import compared, stages, usual_environment
from benchmarks.peers import rq_start
from specrunner.cli.wiring import STATE_FOLDER, open_target
from specrunner.core.keys import Key, Kind
from specrunner.core.outcome import RunView
from specrunner.targets.base import Target

TASK = Key(Kind.TASK, "bench", "tell the time")
SPECRUNNER = [str(Path(sysconfig.get_path("scripts")) / "specrunner")]
MARKED = [sys.executable, str(Path(__file__).with_name("marked_cli.py"))]
MAIN = "import time\nprint(time.time_ns())\n"
FILES: Mapping[str, str] = {
    "specrunner.yaml": (
        "apiVersion: specrunner/v1\nkind: Project\nmetadata: {name: bench}\n"
        "spec: {defaultWorkspace: bench, target: local}\n"
    ),
    "workspace.yaml": "apiVersion: specrunner/v1\nkind: Workspace\nmetadata: {name: bench}\n",
    "orchestration.yaml": (
        "apiVersion: specrunner/v1\nkind: Orchestration\nmetadata: {name: clock}\nspec: {source: code}\n"
    ),
    "code/main.py": MAIN,
}
# What is reached in a marked apply, in order, in words. Left out are those that not every round has.
CLI_STAGES: Mapping[str, str] = {
    "begun": "the process is asked for",
    "before status_of": "interpreter and command line up",
    "before load": "reader of specs loaded",
    "after load": "specs read",
    "import specrunner.engine.engine": "lock taken",
    "before Engine.__init__": "engine loaded",
    "after Engine.__init__": "state opened",
    "after LocalTarget.read": "what is live read",
    "before LocalTarget.put": "planned and shown",
    "after LocalTarget.put": "task changed",
    "import specrunner.server.host": "run's row made, environment found",
    "before LoopbackApi.address": "server loaded",
    "after LoopbackApi.address": "server listens",
    "before LocalExecutor.start": "order made",
    "supervised": "supervisor up, process forked",
    "first line": "first line of main.py",
    "after LocalTarget.run": "run's end written down",
    "before LocalTarget.close": "status file written",
    "after LocalTarget.close": "state closed",
    "ended": "process gone",
}


def write_repository(root: Path) -> None:
    for name, text in FILES.items():
        place = root / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")


def change_argument(root: Path, number: int) -> None:
    spec = f"spec: {{orchestration: clock, args: {{round: {number}}}}}\n"
    text = f"apiVersion: specrunner/v1\nkind: Task\nmetadata: {{name: {TASK.name}}}\n{spec}"
    (root / "task.yaml").write_text(text, encoding="utf-8")


def apply(root: Path, command: list[str]) -> None:
    """Apply by this command line. Raises CalledProcessError with what it said where that fails."""
    words = [*command, "-C", str(root), "apply", "--yes"]
    subprocess.run(words, check=True, capture_output=True, env=usual_environment())


def first_line(target: Target, run: RunView) -> float:
    """When main.py said its first line, by itself, in seconds since the epoch."""
    return int(next(text for _, text in target.log(run.id))) / 1e9


def bare_start(python: str, main: Path) -> float:
    """Seconds from asking for the process to its first line."""
    begun = time.time()
    ended = subprocess.run([python, str(main)], check=True, capture_output=True, env={"PYTHONUNBUFFERED": "1"})
    return int(ended.stdout) / 1e9 - begun


def run_record(root: Path, run_id: str, name: str) -> dict[str, Any]:
    """One of the records that a run leaves in its folder."""
    text = (root / STATE_FOLDER / "runs" / run_id / name).read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def python_of(root: Path, target: Target) -> str:
    """The interpreter of the environment that the newest run was started in."""
    return str(run_record(root, target.runs(TASK)[0].id, "run.json")["command"][0])


def engine_round(root: Path, target: Target) -> dict[str, float]:
    """One run through an open engine; the moments of its stages."""
    begun = time.time()
    run = target.run(TASK, None)
    returned = time.time()
    return {
        "begun": begun,
        "run's row made": instant(run.created),
        "order written, supervisor spawned": run_record(root, run.id, "run.json")["ordered"],
        "supervisor up, process forked": run_record(root, run.id, "supervisor.json")["started"],
        "first line of main.py": first_line(target, run),
        "run's end written down": returned,
    }


def instant(moment: datetime) -> float:
    return moment.timestamp()


@contextmanager
def peers(python: str, main: Path) -> Iterator[Mapping[str, Callable[[], float]]]:
    """How others start main.py, as far as they are installed; each gives the seconds to its first line."""
    if words := rq_start.missing():
        print(f"without RQ: {words}")
        yield {}
        return
    with rq_start.starting(python, main) as start:
        yield {"RQ with a subprocess": start}


def bench_engine(root: Path, rounds: int) -> None:
    with open_target(root) as target:
        python, main = python_of(root, target), root / "code" / "main.py"
        engine_round(root, target)  # the first one of a process loads and starts the API for runs
        taken: dict[str, list[float]] = {"bare python main.py": [], "specrunner": []}
        ours = []
        with peers(python, main) as others:
            for _ in range(rounds):
                taken["bare python main.py"].append(bare_start(python, main))
                ours.append(found := engine_round(root, target))
                taken["specrunner"].append(found["first line of main.py"] - found["begun"])
                for name, start in others.items():
                    taken.setdefault(name, []).append(start())
    print(f"Engine, one open process: submit to first line, {rounds} rounds")
    print(*compared(taken, "bare python main.py"), sep="\n")
    print("  where it goes (p50):")
    print(*stages(ours), sep="\n")


def marked_round(root: Path, target: Target) -> dict[str, float]:
    """One apply with a clock at its landmarks; the moments of its stages, in order."""
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        begun = time.time()
        apply(root, [*MARKED, file.name])
        ended = time.time()
        marks = json.loads(Path(file.name).read_text(encoding="utf-8"))
    run = target.runs(TASK)[0]
    supervised = run_record(root, run.id, "supervisor.json")["started"]
    marks |= {"begun": begun, "ended": ended, "supervised": supervised, "first line": first_line(target, run)}
    return {words: marks[name] for name, words in CLI_STAGES.items() if name in marks}


def cli_round(root: Path, target: Target) -> float:
    """Seconds from asking for the process of the command line to the first line of main.py."""
    begun = time.time()
    apply(root, SPECRUNNER)
    return first_line(target, target.runs(TASK)[0]) - begun


def bench_cli(root: Path, rounds: int) -> None:
    bare, ours, marked = [], [], []
    with open_target(root) as target:
        python, main = python_of(root, target), root / "code" / "main.py"
        for number in range(rounds):
            bare.append(bare_start(python, main))
            change_argument(root, 2 * number + 1)
            ours.append(cli_round(root, target))
            change_argument(root, 2 * number + 2)
            marked.append(marked_round(root, target))
    print(f"Command line: `specrunner apply --yes`, process start to first line, {rounds} rounds")
    print(*compared({"bare python main.py": bare, "specrunner apply --yes": ours}, "bare python main.py"), sep="\n")
    print("  where it goes (p50; rounds of their own, with clocks):")
    print(*stages(marked), sep="\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=40, help="rounds of the engine view; the other does half")
    parser.add_argument("--view", choices=("engine", "cli", "both"), default="both")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_repository(root)
        change_argument(root, 0)
        apply(root, SPECRUNNER)  # builds the environment where it isn't there
        if options.view != "cli":
            bench_engine(root, options.rounds)
        if options.view != "engine":
            bench_cli(root, max(1, options.rounds // 2))


if __name__ == "__main__":
    main()
