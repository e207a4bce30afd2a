"""`specrunner plan` and `apply` on many resources, beside octoDNS planning as many DNS records from YAML.

`python -m benchmarks.bench_plan [--resources N] [--rounds N] [--scale]`. It makes its own spec repository in a
temporary folder: N resources in N/100 files (a tenth of them connections, the rest scheduled tasks, so that nothing
runs), and 100 zones with N records together for octoDNS, which it installs from PyPI into an environment of its own.
First both are applied; then every round plans each without a change, in turns, each in a process of its own. *Cold*
has no parse cache, *warm* has one, *one changed* is warm with one file edited. With `--scale` it prints the time per
object of the first apply and of the plan after it, from 1,000 to 50,000 (or N), which should be flat: by the clock, and
of the processor, which says something on a busy machine too.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator
from pathlib import Path

from benchmarks.bench_validate import HEAD, SPECRUNNER, measured, task
from benchmarks.figures import percentile

Figures = dict[str, list[tuple[float, float]]]
SIZES = (1_000, 5_000, 10_000, 50_000)

CONNECTION = """\
apiVersion: specrunner/v1
kind: Connection
metadata: {{name: store-{number}}}
spec:
  type: HTTP
  workspaces: [bench]
  details: {{host: "https://store-{number}.example.test", table: bikes}}
"""
RECORD = "r{number}:\n  type: A\n  ttl: 300\n  value: 192.0.2.{last}\n"
PROVIDER = """\
  {name}:
    class: octodns.provider.yaml.YamlProvider
    directory: {folder}/{name}
    default_ttl: 3600
    enforce_order: false
"""


def write_repository(root: Path, resources: int) -> Path:
    """A spec repository of so many resources, a hundred in a file; the project's own few documents come on top."""
    (root / "code").mkdir(parents=True)
    (root / "code/main.py").write_text("print(1)\n", encoding="utf-8")
    project = "defaultWorkspace: bench, status: none, safety: {maxUpdatePercent: 100, maxDeletePercent: 100}"
    for kind, name, spec in (
        ("Project", "bench", project),
        ("Workspace", "bench", ""),
        ("Orchestration", "forecast", "source: code"),
    ):
        file = "specrunner" if kind == "Project" else kind.lower()
        (root / f"{file}.yaml").write_text(HEAD.format(kind=kind, name=name, spec=spec), encoding="utf-8")
    (root / "many").mkdir()
    for first in range(0, resources, 100):
        text = "---\n".join(_document(number) for number in range(first, min(first + 100, resources)))
        (root / "many" / f"{first:06}.yaml").write_text(text, encoding="utf-8")
    return root


def _document(number: int) -> str:
    return CONNECTION.format(number=number) if number % 10 == 0 else task(number)


def write_zones(folder: Path, records: int) -> Path:
    """Zones with as many records, and the configuration that compares them with a second folder of YAML."""
    for name in ("source", "target"):
        (folder / name).mkdir(parents=True)
    zones = [f"zone-{number}.test." for number in range(100)]
    for zone in zones:
        text = "".join(RECORD.format(number=n, last=n % 250 + 1) for n in range(records // len(zones)))
        (folder / "source" / f"{zone}yaml").write_text(f"---\n{text}", encoding="utf-8")
    config = folder / "config.yaml"
    lines = [f"  {zone}: {{sources: [source], targets: [target]}}\n" for zone in zones]
    providers = "".join(PROVIDER.format(name=name, folder=folder) for name in ("source", "target"))
    config.write_text(f"providers:\n{providers}zones:\n{''.join(lines)}", encoding="utf-8")
    return config


def octodns(folder: Path) -> str:
    """The command of an octoDNS installed from PyPI."""
    venv.create(folder, with_pip=True)
    subprocess.run([folder / "bin/pip", "install", "--quiet", "octodns"], check=True, stderr=subprocess.DEVNULL)
    return str(folder / "bin/octodns-sync")


def plans(root: Path, sync: list[str], number: int) -> Iterator[tuple[str, tuple[float, float]]]:
    """One round: each plan once."""
    plan = [SPECRUNNER, "-C", str(root), "plan"]
    yield "octoDNS, unchanged", measured(sync, {})
    shutil.rmtree(root / ".specrunner/cache", ignore_errors=True)
    yield "specrunner plan, cold", measured(plan, {})
    yield "specrunner plan, warm", measured(plan, {})
    edited = root / "many/000000.yaml"
    before = edited.read_text(encoding="utf-8")
    edited.write_text(before.replace("horizon: 14", f"horizon: {100 + number}", 1), encoding="utf-8")
    yield "specrunner plan, one changed", measured(plan, {})
    edited.write_text(before, encoding="utf-8")


def bench(folder: Path, resources: int, rounds: int) -> None:
    root = write_repository(folder / "specs", resources)
    config = write_zones(folder / "zones", resources)
    sync = [octodns(folder / "octodns"), "--config-file", str(config), "--quiet"]
    subprocess.run([*sync, "--doit", "--force"], check=True, capture_output=True)
    seconds, memory = measured([SPECRUNNER, "-C", str(root), "apply", "--yes"], {})
    print(f"{resources:,} resources and as many records, {rounds} rounds")
    print(f"  first apply {seconds:6.2f} s  {resources / seconds:6.0f} objects/s  peak {memory:4.0f} MB")
    taken: Figures = {}
    for number in range(rounds):
        for name, found in plans(root, sync, number):
            taken.setdefault(name, []).append(found)
    base = percentile([one for one, _ in taken["octoDNS, unchanged"]], 0.5)
    for name, all_found in taken.items():
        middle = percentile([one for one, _ in all_found], 0.5)
        peak = max(one for _, one in all_found)
        print(f"  {name:<30} p50 {middle:6.2f} s  x{middle / base:5.2f} of octoDNS  peak {peak:4.0f} MB")


def bench_scale(folder: Path, most: int) -> None:
    print("Time per object, by the clock and of the processor")
    for resources in (size for size in SIZES if size <= most):
        root = write_repository(folder / str(resources), resources)
        for words in (["apply", "--yes"], ["plan"]):
            before = _spent()
            seconds, memory = measured([SPECRUNNER, "-C", str(root), *words], {})
            clock, processor = (1e6 * each / resources for each in (seconds, _spent() - before))
            print(f"  {resources:>6,}  {words[0]:<5} {clock:6.0f} µs  {processor:6.0f} µs  peak {memory:4.0f} MB")
        shutil.rmtree(root)


def _spent() -> float:
    """The processor's seconds that ended child processes have taken."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--resources", type=int, help="how many, 10,000 if not said; with --scale the most, 50,000")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--scale", action="store_true", help="print the time per object at several sizes instead")
    options = parser.parse_args()
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    with tempfile.TemporaryDirectory() as folder:
        if options.scale:
            bench_scale(Path(folder), options.resources or max(SIZES))
        else:
            bench(Path(folder), options.resources or 10_000, options.rounds)


if __name__ == "__main__":
    main()
