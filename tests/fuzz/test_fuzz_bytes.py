"""Whatever bytes stand in a spec file: they are read, or what is wrong is said, soon and in little memory."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.conftest import Soak
from tests.fuzz.large import DOCUMENTS

CHECKOUT = Path(__file__).parents[2]
SHORT, FULL = 400, 1_000_000
BATCH = 10_000  # inputs of one process
_LIMITS = {
    -signal.SIGPROF: "took more than 2 s of processor time",
    -signal.SIGALRM: "waited for a minute",
    -signal.SIGKILL: "was killed, most likely for want of memory",
    -signal.SIGSEGV: "crashed the interpreter",
}


def test_no_input_is_answered_by_a_traceback_a_hang_or_a_flood(soak: Soak, tmp_path: Path) -> None:
    count = FULL if soak.is_full else SHORT
    batches = [(first, min(first + BATCH, count)) for first in range(0, count, BATCH)]
    with ThreadPoolExecutor(2 if soak.is_full else 1) as pool:
        told = list(pool.map(lambda batch: _fuzz(tmp_path / str(batch[0]), soak.seed, *batch), batches))
    valid = sum(int(text.split()[0]) for text in told)
    assert 0 < valid < count, f"{valid} of {count} inputs were valid: the mutator no longer finds the border"


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_that_is_large_in_one_direction_is_read_soon(name: str, tmp_path: Path) -> None:
    number = list(DOCUMENTS).index(name)
    _fuzz(tmp_path / "large", "large", number, number + 1)


def _fuzz(folder: Path, seed: int | str, first: int, last: int) -> str:
    folder.mkdir()
    command = [sys.executable, "-m", "tests.fuzz.worker", str(folder), str(seed), str(first), str(last)]
    environ = {**os.environ, "MALLOC_ARENA_MAX": "1"}  # or each thread of a library reserves its own address space
    done = subprocess.run(command, cwd=CHECKOUT, env=environ, capture_output=True, text=True, check=False)
    if done.returncode:
        at = (folder / "at").read_text() if (folder / "at").exists() else "the corpus"
        what = _LIMITS.get(done.returncode, f"ended the process with {done.returncode}")
        again = f"{sys.executable} -m tests.fuzz.worker FOLDER {seed} {at} {int(at) + 1 if at.isdigit() else at}"
        pytest.fail(f"seed {seed}, input {at} {what}; again with: {again}\n{done.stderr[-6000:]}")
    return done.stdout
