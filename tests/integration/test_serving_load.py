"""64 clients on three pipelines while these are deployed and undeployed: every answer right, every row logged once."""

from __future__ import annotations

import gc
import http.client
import random
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import psutil
import pyarrow as pa
import pytest

from specrunner.engine.records import PipelineVersion
from specrunner.engine.serving.codecs import decode
from specrunner.engine.tables import Media, encode
from tests.conftest import Soak
from tests.integration.server_face import Face, opened
from tests.unit import serving_samples
from tests.unit.serving_samples import WIDTH

CLIENTS = 64
NAMES = ("plain", "chained", "split")
SAMPLES = 12  # of the process's memory
GROWTH = 100  # MiB in the later half, where on a busy machine some of the hundred threads do their first work
TURNS = 8
STILL = 8  # MiB, with one client and no thread that is new


@pytest.fixture
def face(tmp_path: Path) -> Iterator[Face]:
    with opened(tmp_path / "state") as made:
        yield made


def entry(face: Face, folder: Path, name: str, **made: object) -> dict[str, str]:
    data = serving_samples.linear(folder / f"{name}.onnx", **made).read_bytes()  # type: ignore[arg-type]
    version = face.engine.models.upload(face.lab.id, name, f"{name}.onnx", data, {"framework": "onnx"})
    return {"name": name, "version": version.version, "sha": version.sha}


def pipelines(face: Face, folder: Path) -> dict[str, PipelineVersion]:
    """One model; two in a row; and a split by key between two, so that right answers are known of all of them."""
    one, two = entry(face, folder, "one"), entry(face, folder, "two", factor=2.0)
    then = entry(face, folder, "then", width=1, output="again")
    weights = [{"model": one, "weight": 1}, {"model": two, "weight": 1}]
    steps: dict[str, list[dict[str, object]]] = {
        "plain": [{"ModelInference": {"models": [one]}}],
        "chained": [{"ModelInference": {"models": [one]}}, {"ModelInference": {"models": [then]}}],
        "split": [{"RandomSplit": {"hash_key": "who", "weights": weights}}],
    }
    made = {
        name: face.engine.pipelines.add_version(face.lab.id, name, {"id": name, "steps": steps[name]}) for name in steps
    }
    for name, version in made.items():
        face.engine.planes.deploy(version.pipeline_id, version.id, face.engine.spec_holder)
        assert face.engine.pipelines.named(face.lab.id, name).current == version
    return made


def right(name: str, values: np.ndarray[tuple[int, ...], np.dtype[np.float32]], answer: pa.Table) -> bool:
    weighted = values @ serving_samples.weights()[:, 0]
    if name == "plain":
        return bool(answer.column("out.variable").to_pylist() == [[value + 1] for value in weighted.tolist()])
    if name == "chained":
        return bool(answer.column("out.again").to_pylist() == [[(value + 1) / 8 + 1] for value in weighted.tolist()])
    factors = [2.0 if '"two"' in label else 1.0 for label in answer.column("out._model_split").to_pylist()]
    expected = [[factor * value + 1] for factor, value in zip(factors, weighted.tolist(), strict=True)]
    return bool(answer.column("out.variable").to_pylist() == expected)


class Client(threading.Thread):
    """Asks one pipeline after another until it is told to stop; keeps what went wrong, and how long answers took."""

    def __init__(self, face: Face, number: int, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self.draw = random.Random(number)
        self.number, self._stop_event = number, stop
        self._address = urlsplit(str(face.http.base_url))
        self._headers = {
            "Authorization": str(face.http.headers["Authorization"]),
            "Content-Type": Media.ARROW_FILE,
            "Accept": Media.ARROW_FILE,
        }
        self._paths = {name: f"/v1/api/pipelines/infer/{name}-{number}/{name}" for number, name in enumerate(NAMES, 1)}
        self.wrong: list[str] = []
        self.taken: list[float] = []
        self.rows: Counter[str] = Counter()

    def run(self) -> None:
        connection = http.client.HTTPConnection(self._address.hostname or "", self._address.port, timeout=120)
        connection.connect()
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        asked = 0
        while not self._stop_event.is_set():
            self._ask(connection, asked)
            asked += 1
        connection.close()

    def _ask(self, connection: http.client.HTTPConnection, asked: int) -> None:
        name, rows = self.draw.choice(NAMES), self.draw.choice((1, 1, 1, 20, 200))
        values = np.arange(rows * WIDTH, dtype=np.float32).reshape(rows, WIDTH) % 97 + self.number
        columns = {"tensor": pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), WIDTH)}
        if name == "split":
            columns["who"] = pa.array([f"{self.number} {asked} {row}" for row in range(rows)])
        body = encode(pa.table(columns), Media.ARROW_FILE)
        began = time.perf_counter()
        connection.request("POST", self._paths[name], body, self._headers)
        answer = connection.getresponse()
        content = answer.read()
        self.taken.append(time.perf_counter() - began)
        if answer.status != 200:
            self.wrong.append(f"{name} {answer.status} {content[:300]!r}")
            return
        self.rows[name] += rows
        if not right(name, values, decode(content, Media.ARROW_FILE)):
            self.wrong.append(f"{name}: another answer")


class Sampled:
    """The memory of this process beside the number of requests answered, taken now and then."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self.taken: list[tuple[int, float]] = []  # requests, MiB

    def take(self, requests: int) -> None:
        self.taken.append((requests, self._process.memory_info().rss / 2**20))

    @property
    def later(self) -> list[tuple[int, float]]:
        """What was taken once every thread had done its first work."""
        return self.taken[len(self.taken) // 2 :]

    @property
    def slope(self) -> float:
        """MiB for a thousand requests, over the later half, by least squares."""
        requests, mebibytes = np.array(self.later).T
        return float(np.polyfit(requests, mebibytes, 1)[0] * 1000) if np.ptp(requests) else 0.0

    def __str__(self) -> str:
        return ", ".join(f"{mebibytes:.0f}" for _, mebibytes in self.taken)


def churn(face: Face, versions: dict[str, PipelineVersion], stop: threading.Event) -> None:
    """Deploy new versions that say the same, and give holds back, as runs do; the spec's own hold stays."""
    holders = [face.engine.holder_of_run(str(number)) for number in range(5)]
    draw = random.Random(1)
    while not stop.is_set():
        _deploy_and_undeploy(face, versions, draw.choice(NAMES), draw.choice(holders), lambda: stop.wait(0.02))


def _deploy_and_undeploy(
    face: Face,
    versions: dict[str, PipelineVersion],
    name: str,
    holder: str,
    between: Callable[[], object] = lambda: None,
) -> None:
    version = face.engine.pipelines.add_version(face.lab.id, name, versions[name].definition)
    deployment = face.engine.planes.deploy(version.pipeline_id, version.id, holder)
    between()
    face.engine.planes.undeploy(deployment.id, holder)


def test_under_load_every_answer_is_right_and_every_row_is_logged_once(
    face: Face, tmp_path: Path, soak: Soak, capsys: pytest.CaptureFixture[str]
) -> None:
    versions, stop = pipelines(face, tmp_path), threading.Event()
    clients = [Client(face, number, stop) for number in range(CLIENTS)]
    churning = threading.Thread(target=churn, args=(face, versions, stop), daemon=True)
    seconds, memory = 60.0 if soak.is_full else 3.0, Sampled()
    for thread in (*clients, churning):
        thread.start()
    for _ in range(SAMPLES):
        stop.wait(seconds / SAMPLES)
        memory.take(sum(len(client.taken) for client in clients))
    stop.set()
    for thread in (*clients, churning):
        thread.join(120)
    assert [words for client in clients for words in client.wrong] == []
    answered = sum((client.rows for client in clients), Counter())
    logs = {name: face.engine.planes.log(version.pipeline_id) for name, version in versions.items()}
    assert {name: log.count() for name, log in logs.items()} == dict(answered)
    keys = [key for page in logs["split"].pages() for key in page.column("in.who").to_pylist()]
    assert len(keys) == len(set(keys)) == answered["split"]
    taken = np.sort(np.concatenate([client.taken for client in clients]))
    with capsys.disabled():
        p50, p99 = taken[len(taken) // 2] * 1e3, taken[int(len(taken) * 0.99)] * 1e3
        sys.stdout.write(
            f"\n{len(taken):,} requests of {CLIENTS} clients in {seconds:g} s: p50 {p50:.0f} ms, p99 {p99:.0f} ms; "
            f"memory in MiB {memory}, in the later half {memory.slope:+.1f} for a thousand requests\n"
        )
    first, last = memory.later[0][1], memory.later[-1][1]
    assert last - first < GROWTH, f"memory in MiB: {memory}"


def test_nothing_grows_with_the_number_of_requests_and_deployments(face: Face, tmp_path: Path) -> None:
    versions, memory = pipelines(face, tmp_path), Sampled()
    client = Client(face, 1, threading.Event())
    address = urlsplit(str(face.http.base_url))
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=120)
    draw, holder = random.Random(1), face.engine.holder_of_run("1")
    known = []
    for turn in range(TURNS):
        for number in range(100):
            client._ask(connection, turn * 100 + number)
        for _ in range(10):
            _deploy_and_undeploy(face, versions, draw.choice(NAMES), holder)
        known.append(len(face.engine.planes._of_version))
        gc.collect()
        memory.take(len(client.taken))
    connection.close()
    assert client.wrong == [] and known == [known[0]] * TURNS
    assert memory.later[-1][1] - memory.later[0][1] < STILL, f"memory in MiB: {memory}"
