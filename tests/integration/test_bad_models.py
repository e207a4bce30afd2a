"""Whatever a model's code does, the request that it does it to fails in words, and the next good one is answered."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pyarrow as pa
import pytest

from specrunner.core.errors import BadInput, ModelFailed, SpecrunnerError, Transient
from specrunner.engine.serving.workers.model import PythonModel
from specrunner.engine.tasks import processes
from tests.integration.model_samples import DOUBLE, X, load_code

TIME_LIMIT = 3
MEMORY = 2 * 2**30
SLOWEST = 30.0  # seconds in which a good answer is back, on a busy machine
CALLS = 20  # of good requests between which nothing may grow

BAD = """
import os, signal, socket, subprocess, sys, threading, time

def _close_everything():
    for descriptor in range(3, 64):
        try:
            os.close(descriptor)
        except OSError:
            pass

def _loop():
    while True:
        pass

def _print(megabytes):
    piece = "x" * 2**20
    for _ in range(megabytes):
        sys.stdout.write(piece)

def _talk():
    for descriptor in range(3, 64):
        try:
            if os.readlink(f"/proc/self/fd/{descriptor}").startswith("socket:"):
                os.write(descriptor, b"this is no answer, and it is longer than the head of one")
        except OSError:
            pass
    time.sleep(60)

def _leave_children():
    subprocess.Popen(["sleep", "98765"])
    subprocess.Popen(["sleep", "98765"], start_new_session=True)
    subprocess.Popen(["sleep", "98765"], start_new_session=True, env={})
    os._exit(7)

def predict(frame):
    what = frame["what"].iloc[0]
    count = len(frame)
    if what == "good":
        return {"y": list(range(count))}
    if what == "NaN":
        return {"y": [float("nan")] * count}
    if what == "short":
        return {"y": [1.0] * (count - 1)}
    if what == "None":
        return None
    if what == "object":
        return object()
    if what == "raise":
        raise RuntimeError("the model's own words")
    if what == "recursion":
        return predict(frame)
    return {
        "exit": lambda: os._exit(3),
        "sys.exit": lambda: sys.exit(4),
        "loop": _loop,
        "10 GB": lambda: {"y": bytearray(10 * 2**30)},
        "close": lambda: (_close_everything(), time.sleep(60)),
        "1 GB of output": lambda: (_print(1024), os._exit(0)),
        "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
        "segfault": lambda: os.kill(os.getpid(), signal.SIGSEGV),
        "stop": lambda: os.kill(os.getpid(), signal.SIGSTOP),
        "talk": _talk,
        "children": _leave_children,
    }[what]()
"""

# What is said of each, and whether the process lives on.
WAYS = {
    "short": "2 rows went in and 1 came out",
    "None": "nothing (None)",
    "object": "builtins.object",
    "raise": "the model's own words",
    "recursion": "RecursionError",
    "sys.exit": "SystemExit: 4",
    "10 GB": "ran out of memory",
    "exit": "exit code 3",
    "kill": "SIGKILL",
    "segfault": "SIGSEGV",
    "close": "closed its pipe",
    "talk": "what is no answer",
    "children": "exit code 7",
    "loop": "took too long",
    "stop": "took too long",
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PythonModel]:
    folder = tmp_path_factory.mktemp("bad")
    loaded = load_code(folder, BAD, timeout=TIME_LIMIT, memory=MEMORY)
    yield loaded
    loaded.close()


def ask(what: str, rows: int = 2) -> pa.Table:
    return pa.table({"what": [what] * rows})


def good(model: PythonModel) -> None:
    """Answered within bounds; on a machine so busy that no worker is up in time, the answer is to ask again."""
    until = time.monotonic() + SLOWEST
    while True:
        try:
            assert model.predict(ask("good")).to_pydict() == {"y": [0, 1]}
        except Transient:
            assert time.monotonic() < until
        else:
            return


@pytest.mark.parametrize("what", WAYS)
def test_a_bad_answer_is_told_in_words_and_the_next_good_one_comes(model: PythonModel, what: str) -> None:
    with pytest.raises(ModelFailed) as error:
        model.predict(ask(what))
    told = " ".join(line for line in (error.value.summary, error.value.detail) if line)
    assert WAYS[what] in told and error.value.remedy
    assert error.value.http_status == 500
    good(model)


def test_not_a_number_is_an_answer(model: PythonModel) -> None:
    (first, second) = model.predict(ask("NaN"))["y"].to_pylist()
    assert math.isnan(first) and math.isnan(second)
    assert model.predict_json({"what": ["NaN", "NaN"]}) == [{"y": [None, None]}]


def test_a_gigabyte_of_output_is_cut_and_hurts_nobody(
    model: PythonModel, tmp_path_factory: pytest.TempPathFactory
) -> None:
    before = psutil.Process().memory_info().rss
    with pytest.raises(ModelFailed):
        model.predict(ask("1 GB of output"))
    good(model)
    folder = tmp_path_factory.getbasetemp()
    assert max(path.stat().st_size for path in folder.glob("bad*/logs/*/log*")) <= 2 * 2**20
    assert psutil.Process().memory_info().rss - before < 64 * 2**20


def test_nothing_of_a_dead_worker_stays_alive(model: PythonModel) -> None:
    for _ in range(2):
        with pytest.raises(ModelFailed):
            model.predict(ask("children"))
        good(model)
    ours = processes.descendants([os.getpid()])
    names = [psutil.Process(entry.pid).cmdline()[:2] for entry in ours if entry.alive]
    assert ["sleep", "98765"] not in names
    strays = [p for p in psutil.process_iter(["cmdline"]) if p.info["cmdline"] == ["sleep", "98765"]]
    assert strays == []


def test_after_all_of_it_no_descriptor_and_no_process_is_left_over(model: PythonModel) -> None:
    good(model)
    us = psutil.Process()
    descriptors, processes = us.num_fds(), len(us.children())
    for _ in range(3):
        with pytest.raises(ModelFailed):
            model.predict(ask("exit"))
        for _ in range(CALLS):
            good(model)
    assert us.num_fds() <= descriptors
    assert len(us.children()) == processes


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import this_is_nowhere\n", "ModuleNotFoundError: No module named 'this_is_nowhere'"),
        ("def predict(table:\n", "SyntaxError"),
        ("answer = 42\n", "defines no function predict(table)"),
        ("print('its last words')\nimport os; os._exit(9)\n", "exit code 9: its last words"),
        ("raise SystemExit('no')\n", "SystemExit: no"),
        ("def predict():\n    return 1\n", "takes no argument"),
        ("def predict(frame):\n    return {'y': []}\n", "1 rows went in and 0 came out"),
        ("def predict(frame):\n    return 1 / frame['x'].iloc[0].item()\n", "ZeroDivisionError"),
    ],
)
def test_what_does_not_load_is_told_at_once_with_the_models_own_words(tmp_path: Path, code: str, words: str) -> None:
    with pytest.raises(BadInput) as error:
        load_code(tmp_path, code, inputs=X)
    assert words in f"{error.value.summary} {error.value.detail}"
    assert "specrunner_worker" not in error.value.detail, "the traceback begins in the model's code"
    assert list((tmp_path / "models" / "loaded").iterdir()) == [], "nothing is left behind"


def test_a_model_that_can_no_longer_start_says_why_and_recovers_by_itself(tmp_path: Path) -> None:
    block = tmp_path / "block"
    code = f"import os\nif os.path.exists({str(block)!r}): raise OSError('the database is away')\n"
    code += "def predict(frame):\n    if frame['x'].iloc[0] == 1: os._exit(1)\n    return frame\n"
    model = load_code(tmp_path, code, inputs=X, timeout=20)
    try:
        block.touch()
        with pytest.raises(ModelFailed):
            model.predict(pa.table({"x": [1.0]}))
        with pytest.raises(SpecrunnerError, match="can't be started") as error:
            model.predict(pa.table({"x": [2.0]}))
        assert error.value.http_status == 503 and "the database is away" in error.value.detail
        block.unlink()
        until = time.monotonic() + SLOWEST
        while True:
            try:
                assert model.predict(pa.table({"x": [2.0]})).to_pydict() == {"x": [2.0]}
                break
            except SpecrunnerError:
                assert time.monotonic() < until
                time.sleep(0.1)
    finally:
        model.close()


def test_a_good_model_is_what_the_bad_ones_are_held_against(tmp_path: Path) -> None:
    model = load_code(tmp_path, DOUBLE, inputs=X)
    assert model.predict(pa.table({"x": [1, 2]})).to_pydict() == {"y": [2.0, 4.0]}
    model.close()
