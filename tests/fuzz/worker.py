"""One process of the byte fuzzer: reads inputs `first` to `last` of a seed, under limits of memory and time.

`python -m tests.fuzz.worker FOLDER SEED FIRST LAST`; with `large` as the seed, the documents of `large.py`. The
limits end the process: SIGPROF after two seconds of processor time on one input (a second of ours is no second on a
busy machine), SIGALRM after a minute of waiting, MemoryError above 500 MB of address space. `FOLDER/at` then says
which input it was.
"""

from __future__ import annotations

import random
import resource
import shutil
import signal
import sys
from pathlib import Path

from specrunner.core.decide import make_plan
from specrunner.core.errors import InvalidSpecs
from specrunner.core.plan import to_json
from specrunner.core.values import canonical
from specrunner.report.diagnostics import diagnostic_json, diagnostic_lines
from specrunner.spec.desired import load
from tests.fuzz.corpus import fragments, repositories
from tests.fuzz.large import DOCUMENTS, FILES
from tests.fuzz.mutate import Mutator

MEMORY = 500 * 2**20
PROCESSOR_SECONDS = 2.0
SECONDS = 60.0


def main(folder: str, seed: str, first: str, last: str) -> None:
    """Fail with the traceback of the first input that raises anything but InvalidSpecs."""
    if seed == "large":
        large(Path(folder), int(first), int(last))
        return
    base = Path(folder)
    trees = repositories()
    mutator = Mutator([data for tree in trees for name, data in tree.items() if name.endswith(".yaml")], fragments())
    for number, tree in enumerate(trees):
        _write(base / str(number), tree)
        _read(base / str(number))  # what loads at first use is not the input's
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    valid = 0
    for index in range(int(first), int(last)):
        source = random.Random(f"{seed}/{index}")
        number = source.randrange(len(trees))
        name = source.choice([name for name in trees[number] if name.endswith(".yaml")])
        text = mutator.mutated(source, trees[number][name])
        (base / "at").write_text(str(index))
        path = base / str(number) / name
        path.write_bytes(text)
        valid += _limited(base / str(number))
        path.write_bytes(trees[number][name])
    print(f"{valid} of {int(last) - int(first)} were valid")  # noqa: T201 (the parent reads it)


def large(base: Path, first: int, last: int) -> None:
    """The large documents of these numbers, each beside the sample."""
    sample = repositories()[0]
    _write(base / "large", sample)
    _read(base / "large")
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    for index in range(first, last):
        _write(base / "large", sample)
        (base / "at").write_text(str(index))
        name = list(DOCUMENTS)[index]
        (base / "large" / FILES.get(name, "large.yaml")).write_text(DOCUMENTS[name], "utf-8")
        _limited(base / "large")


def _limited(root: Path) -> bool:
    signal.setitimer(signal.ITIMER_PROF, PROCESSOR_SECONDS)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    valid = _read(root)
    signal.setitimer(signal.ITIMER_PROF, 0)
    signal.setitimer(signal.ITIMER_REAL, 0)
    return valid


def _write(root: Path, tree: dict[str, bytes]) -> None:
    shutil.rmtree(root, ignore_errors=True)
    for name, data in tree.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def _read(root: Path) -> bool:
    """Read a repository; what comes of it can be planned, or be shown."""
    try:
        desired = load(root)
    except InvalidSpecs as problem:
        assert problem.diagnostics, "nothing is said to be wrong"
        for line in diagnostic_lines(list(problem.diagnostics)):
            line.text.encode()
        canonical([diagnostic_json(one) for one in problem.diagnostics])
        assert all(one.summary and one.place for one in problem.diagnostics), problem.diagnostics
        return False
    canonical(to_json(make_plan(desired, {}, {})))
    for found in desired.resources.values():
        canonical([found.spec, dict(found.labels), found.description, dict(found.secrets)]).encode()
        str(found.key).encode()
    return True


if __name__ == "__main__":
    main(*sys.argv[1:])
