"""Workers of Python models: what they are given, how many answer, what they may take, and when they end."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pyarrow as pa
import pytest

from specrunner.core.errors import BadInput, ModelFailed, SpecrunnerError, Unavailable
from specrunner.core.values import Json
from specrunner.engine.serving.workers.model import PythonModel, PythonRuntime
from tests.integration.engine_samples import StubEnvironments, until
from tests.integration.model_samples import DOUBLE, X, load_code, zipped

WHO = """
import os, time
def predict(frame):
    time.sleep(frame['x'].iloc[0])
    return {'pid': [os.getpid()] * len(frame)}
"""
DIES_OR_WAITS = """
import os, time
def predict(frame):
    x = frame['x'].iloc[0]
    if x < 0: os._exit(1)
    time.sleep(x)
    return frame
"""
TALKS = """
import os, sys
print('hello from the model')
def predict(frame):
    print('its last words', file=sys.stderr)
    os._exit(2)
"""
ROW = pa.table({"x": [1.0]})


@pytest.fixture
def load(tmp_path: Path) -> Iterator[Callable[..., PythonModel]]:
    """Load code as a model; all are closed at the end."""
    loaded: list[PythonModel] = []

    def one(code: str, **config: Json) -> PythonModel:
        folder = tmp_path / str(len(loaded))
        folder.mkdir()
        loaded.append(load_code(folder, code, **config))
        return loaded[-1]

    yield one
    for model in loaded:
        model.close()


def test_replicas_answer_at_once_and_one_alone_in_turn(load: Callable[..., PythonModel]) -> None:
    model = load(WHO, replicas=2, inputs=X)
    until(lambda: len(psutil.Process().children()) == 2, "the second replica")

    def ask(_number: int) -> int:
        pid: int = model.predict(pa.table({"x": [0.5]}))["pid"][0].as_py()
        return pid

    until(lambda: len(set(ThreadPoolExecutor(2).map(ask, range(2)))) == 2, "both to answer")
    alone = load(WHO, replicas=1, inputs=X)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: alone.predict(pa.table({"x": [0.0]}))["pid"][0].as_py(), range(16)))
    assert len(set(found)) == 1


def test_a_death_of_one_replica_is_nothing_to_the_other(load: Callable[..., PythonModel]) -> None:
    before = set(psutil.Process().children())
    model = load(DIES_OR_WAITS, replicas=2, inputs=X)
    until(lambda: len(set(psutil.Process().children()) - before) == 2, "the second replica")
    with ThreadPoolExecutor(2) as pool:
        slow = pool.submit(model.predict, pa.table({"x": [1.0]}))
        with pytest.raises(ModelFailed):
            model.predict(pa.table({"x": [-1.0]}))
        assert slow.result().to_pydict() == {"x": [1.0]}


def test_who_finds_nobody_free_in_time_is_told_so(load: Callable[..., PythonModel]) -> None:
    model = load(WHO, inputs=X, timeout=20)
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(model.predict, pa.table({"x": [2.0]}))
        time.sleep(0.2)  # so that it is the first
        short = model._pool
        short._seconds = 0.3
        with pytest.raises(SpecrunnerError, match="is busy") as error:
            model.predict(ROW)
        assert error.value.http_status == 503
        assert slow.result().num_rows == 1


def test_closing_fails_what_is_under_way_and_leaves_no_process_and_no_file(load: Callable[..., PythonModel]) -> None:
    before = set(psutil.Process().children())
    model = load(WHO, inputs=X)
    scratch = model._scratch.folder
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(model.predict, pa.table({"x": [30.0]}))
        until(model._pool._free.empty, "the request to be under way")
        model.close()
        with pytest.raises(Unavailable, match="closed"):
            slow.result()
    assert not scratch.exists()
    until(lambda: set(psutil.Process().children()) <= before, "every process to be gone")


HOST = """
import sys, time
from pathlib import Path
from tests.integration.model_samples import load_code
code = '''
import os, subprocess
subprocess.Popen(["sleep", "4321"], start_new_session=True, env={})
def predict(frame):
    while True: pass
'''
model = load_code(Path(sys.argv[1]), code)
import psutil, threading, pyarrow as pa
threading.Thread(target=lambda: model.predict(pa.table({"x": [1.0]})), daemon=True).start()
time.sleep(0.5)
print(*(p.pid for p in psutil.Process().children(recursive=True)), flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_workers_die_with_their_host_also_in_the_middle_of_an_answer(tmp_path: Path, how: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-c", HOST, tmp_path], stdout=subprocess.PIPE, text=True) as host:
        assert host.stdout is not None
        pids = [int(pid) for pid in host.stdout.readline().split()]
        assert len(pids) == 3, "keeper, worker, and what it started"
        host.send_signal(how)
        host.wait()
    until(lambda: not any(psutil.pid_exists(pid) for pid in pids), "all of them to be gone")


def test_what_a_killed_host_left_is_swept_by_the_next(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOST, tmp_path], stdout=subprocess.PIPE, text=True) as host:
        assert host.stdout is not None and host.stdout.readline()
        host.kill()
        host.wait()
    (left,) = (tmp_path / "models" / "loaded").iterdir()
    os.utime(left, (0, 0))  # as if it had been a while ago
    model = load_code(tmp_path, DOUBLE)
    assert not left.exists()
    model.close()


def test_a_keeper_that_is_killed_takes_its_worker_along_and_the_next_request_is_answered(
    load: Callable[..., PythonModel],
) -> None:
    before = set(psutil.Process().children())
    model = load(WHO, inputs=X)
    pid = model.predict(pa.table({"x": [0.0]}))["pid"][0].as_py()
    (keeper,) = set(psutil.Process().children()) - before
    keeper.kill()
    until(lambda: not psutil.pid_exists(pid), "the worker to be gone")
    with pytest.raises(ModelFailed):
        model.predict(ROW)
    assert model.predict(pa.table({"x": [0.0]})).num_rows == 1


def test_the_environment_of_a_worker_is_declared_and_nothing_else(
    load: Callable[..., PythonModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_SECRET_OF_THE_ENGINE", "sesame")
    code = "import json, os\ndef predict(frame):\n    return {'y': [json.dumps(dict(os.environ))] * len(frame)}\n"
    environment = json.loads(load(code, threads=3).predict(ROW)["y"][0].as_py())
    assert "sesame" not in environment.values()
    assert environment["OMP_NUM_THREADS"] == "3"
    assert environment["HOME"] != os.environ["HOME"]
    assert not {name for name in environment if name.startswith(("PYTHON", "SPECRUNNER_TOKEN"))}


def test_a_model_may_bring_modules_data_and_a_folder_around_it(tmp_path: Path) -> None:
    files = {
        "house/model.py": "import json, pathlib, helper\n"
        "FACTOR = json.loads(pathlib.Path(__file__).with_name('factor.json').read_text())\n"
        "def predict(frame):\n    return {'y': helper.times(frame['x'], FACTOR)}\n",
        "house/helper.py": "def times(values, factor):\n    return values * factor\n",
        "house/factor.json": "4",
    }
    model = PythonRuntime(StubEnvironments(), tmp_path / "models").load(zipped(tmp_path / "m.zip", files), {})
    assert model.predict(ROW).to_pydict() == {"y": [4.0]}
    model.close()


class Doubling:
    """Something with `predict` that pickles; the worker can't import it, so a pickle of it does not load."""

    def predict(self, rows: object) -> object:
        return rows


def test_one_pickle_with_a_script_answers_json_and_tables(tmp_path: Path) -> None:
    path = tmp_path / "one.pkl"
    script = "def predict(frame):\n    return {'y': [value * model['factor'] for value in frame['x']]}\n"
    path.write_bytes(pickle.dumps({"model": {"factor": 3}, "script": script}))
    model = PythonRuntime(StubEnvironments(), tmp_path / "models").load(path, {"framework": "python"})
    assert model.predict_json({"x": {"0": 1, "1": 2}}) == [{"y": [3, 6]}]
    assert model.predict(pa.table({"x": [1, 2]})).to_pydict() == {"y": [3, 6]}
    with pytest.raises(BadInput, match="can't infer this input") as error:
        model.predict_json({"z": [1]})
    assert "KeyError" in error.value.detail
    model.close()


def test_a_pickle_of_a_class_that_is_not_there_says_which(tmp_path: Path) -> None:
    path = tmp_path / "odd.pkl"
    path.write_bytes(pickle.dumps(Doubling()))
    with pytest.raises(BadInput, match=r"odd\.pkl does not load: ModuleNotFoundError"):
        PythonRuntime(StubEnvironments(), tmp_path / "models").load(path, {"framework": "python"})


def test_the_limit_of_memory_is_each_workers_own(load: Callable[..., PythonModel]) -> None:
    code = "def predict(frame):\n    return {'y': [len(bytearray(int(frame['x'].iloc[0]) * 2**20))] * len(frame)}\n"
    model = load(code, memory=2**30, inputs=[{"name": "x", "type": "int64"}])
    assert model.predict(pa.table({"x": [16]}))["y"].to_pylist() == [16 * 2**20]
    with pytest.raises(ModelFailed, match="ran out of memory") as error:
        model.predict(pa.table({"x": [2048]}))
    assert "1,073,741,824 bytes" in error.value.detail
    assert model.predict(pa.table({"x": [16]})).num_rows == 1


def test_what_a_worker_prints_is_kept_and_told_when_it_dies(load: Callable[..., PythonModel]) -> None:
    with pytest.raises(ModelFailed) as error:
        load(TALKS).predict(ROW)
    assert "hello from the model\nits last words" in error.value.detail


def test_many_threads_each_get_their_own_answer(load: Callable[..., PythonModel]) -> None:
    model = load(DOUBLE, replicas=2, inputs=X)
    gate = threading.Barrier(8)

    def ask(number: int) -> bool:
        gate.wait()
        rows = [float(number * 1000 + row) for row in range(20)]
        return all(model.predict(pa.table({"x": rows})).to_pydict() == {"y": [2 * x for x in rows]} for _ in range(20))

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, range(8)))
