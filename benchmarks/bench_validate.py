"""`specrunner validate` on many documents, cold and warm, beside bare libyaml and jsonschema on the same files.

`python -m benchmarks.bench_validate [--documents N] [--rounds N] [--scale]`. It makes its own repositories in a
temporary folder: N tasks in N/100 files and in N files. Every round does each variant once, each in a process of its
own, so that what else the machine does falls on all alike: read the ratios. *Bare* is the least that one would
write: `yaml.load_all` with CSafeLoader and jsonschema's validator of the task schema, collector and all. *Cold* has
no cache and writes it, *warm* uses it, *off* has none. With `--scale` it prints the time per document from 1,000 to
50,000 documents, which should be flat.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from benchmarks.figures import percentile, usual_environment

SPECRUNNER = str(Path(sysconfig.get_path("scripts")) / "specrunner")
SCHEMAS = Path(__file__).parents[1] / "schemas"
HEAD = "apiVersion: specrunner/v1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec: {{{spec}}}\n"
TASK = """\
apiVersion: specrunner/v1
kind: Task
metadata:
  name: forecast store {number}
  labels: {{team: pricing, store: s{number}}}
spec:
  orchestration: forecast
  args:
    store: {number}
    horizon: 14
    table: bikes
  schedule:
    cron: "{minute} {hour} * * *"
    timezone: Europe/Berlin
  timeout: 10m
  retries: {{limit: 2, backoff: 30s}}
  env: {{LOG_LEVEL: info}}
"""
BARE = """
import json, pathlib, sys, yaml, jsonschema
from referencing import Registry, Resource
root, schemas = map(pathlib.Path, sys.argv[1:])
common, task = (json.loads((schemas / f"{name}.schema.json").read_text()) for name in ("common", "task"))
registry = Registry().with_resource(common["$id"], Resource.from_contents(common))
validator = jsonschema.Draft202012Validator(task, registry=registry)
for path in sorted(root.rglob("*.yaml")):
    for document in yaml.load_all(path.read_bytes(), Loader=yaml.CSafeLoader):
        if document["kind"] == "Task":
            validator.validate(document)
"""


def write_repository(root: Path, documents: int, files: int) -> Path:
    (root / "code").mkdir(parents=True)
    (root / "code/main.py").write_text("print(1)\n", encoding="utf-8")
    for kind, name, spec in (
        ("Project", "bench", "defaultWorkspace: bench"),
        ("Workspace", "bench", ""),
        ("Orchestration", "forecast", "source: code"),
    ):
        file = "specrunner" if kind == "Project" else kind.lower()
        (root / f"{file}.yaml").write_text(HEAD.format(kind=kind, name=name, spec=spec), encoding="utf-8")
    each = documents // files
    for number in range(files):
        folder = root / "tasks" / f"{number // 500:03}"
        folder.mkdir(parents=True, exist_ok=True)
        texts = (task(number * each + one) for one in range(each))
        (folder / f"{number:05}.yaml").write_text("---\n".join(texts), encoding="utf-8")
    return root


def task(number: int) -> str:
    return TASK.format(number=number, minute=number % 60, hour=number % 24)


def measured(command: list[str], extra: Mapping[str, str]) -> tuple[float, float]:
    """Seconds and peak memory in MB of one process, from asking for it to its end. Raises where it fails.

    Bytecode is kept, as in every installation; without it, compiling would take longer than most of what is measured.
    """
    environment = usual_environment() | dict(extra)
    begun = time.perf_counter()
    child = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.perf_counter() - begun
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise subprocess.CalledProcessError(child.returncode, command)
    return seconds, usage.ru_maxrss / 1024


def one_round(root: Path) -> Iterator[tuple[str, tuple[float, float]]]:
    validate = [SPECRUNNER, "-C", str(root), "validate"]
    shutil.rmtree(root / ".specrunner", ignore_errors=True)
    yield "bare CSafeLoader + jsonschema", measured([sys.executable, "-c", BARE, str(root), str(SCHEMAS)], {})
    yield "specrunner validate, off", measured(validate, {"SPECRUNNER_NO_CACHE": "1"})
    yield "specrunner validate, cold", measured(validate, {})
    yield "specrunner validate, warm", measured(validate, {})


def bench(root: Path, rounds: int) -> None:
    taken: dict[str, list[tuple[float, float]]] = {}
    for _ in range(rounds):
        for name, found in one_round(root):
            taken.setdefault(name, []).append(found)
    base = percentile([seconds for seconds, _ in next(iter(taken.values()))], 0.5)
    for name, all_found in taken.items():
        seconds = percentile([one for one, _ in all_found], 0.5)
        memory = max(one for _, one in all_found)
        print(f"  {name:<32} p50 {seconds:6.2f} s  x{seconds / base:5.2f} of bare  peak {memory:5.0f} MB")


def bench_scale(folder: Path, rounds: int) -> None:
    print("Time per document")
    for documents in (1_000, 5_000, 10_000, 50_000):
        root = write_repository(folder / f"scale-{documents}", documents, documents // 100)
        taken = [dict(one_round(root)) for _ in range(rounds)]
        words = []
        for name in taken[0]:
            each = percentile([found[name][0] for found in taken], 0.5) / documents
            words.append(f"{name.rpartition(', ')[2][:4]} {each * 1e6:6.0f} µs")
        memory = max(found["specrunner validate, cold"][1] for found in taken)
        print(f"  {documents:>6,} documents  {'  '.join(words)}  peak cold {memory:4.0f} MB")
        shutil.rmtree(root)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--scale", action="store_true", help="print the time per document at several sizes instead")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if options.scale:
            bench_scale(Path(folder), options.rounds)
            return
        for files in (options.documents // 100, options.documents):
            print(f"{options.documents:,} tasks in {files:,} files, {options.rounds} rounds")
            bench(write_repository(Path(folder) / str(files), options.documents, files), options.rounds)


if __name__ == "__main__":
    main()
