"""The clients of `bench_serving`, in a process of their own: all ways in turns, by one client and by eight at once."""

from __future__ import annotations

import http.client
import json
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pyarrow as pa

from benchmarks.bare_model import ARROW, BareModel, arrow_bytes, read_arrow
from benchmarks.figures import percentile

SIZES = (1, 100, 1_000, 10_000)
CLIENTS = (1, 8)
FLOOR = "in-process floor"
TURNS = 4

Values = np.ndarray[Any, np.dtype[np.float32]]


@dataclass
class Way:
    """One way to ask: where, what a request looks like, and what was measured."""

    name: str
    kind: str
    url: str
    token: str = ""
    taken: list[float] = field(default_factory=list)
    seconds: float = 0.0

    def headers(self) -> dict[str, str]:
        media = ARROW if self.kind == "arrow" else "application/json"
        headers = {"Content-Type": media, "Accept": media}
        return headers | ({"Authorization": f"Bearer {self.token}"} if self.token else {})


def body_of(kind: str, rows: Values) -> bytes:
    if kind == "arrow":
        column = pa.FixedSizeListArray.from_arrays(pa.array(rows.reshape(-1)), rows.shape[1])
        return arrow_bytes(pa.table({"tensor": column}))
    if kind == "records":
        return json.dumps([{"tensor": row} for row in rows.tolist()]).encode()
    if kind == "tensor":
        return json.dumps({"tensor": rows.tolist()}).encode()
    tensor = {"name": "tensor", "datatype": "FP32", "shape": list(rows.shape), "data": rows.reshape(-1).tolist()}
    return json.dumps({"inputs": [tensor]}).encode()


def values_of(kind: str, content: bytes) -> Values:
    if kind == "arrow":
        return np.array(read_arrow(content).column("out.variable").to_pylist(), np.float32).reshape(-1)
    found = json.loads(content)
    if kind == "records":
        found = [row["out.variable"] for row in found]
    elif kind == "v2":
        found = found["outputs"][0]["data"]
    return np.array(found, np.float32).reshape(-1)


class Asking:
    """One client of a way: a kept connection, and the request's bytes made beforehand."""

    def __init__(self, way: Way, body: bytes) -> None:
        self._way, self._body, self._headers = way, body, way.headers()
        self._parts = urlsplit(way.url)
        self._connection = http.client.HTTPConnection(self._parts.hostname or "", self._parts.port, timeout=120)

    def connect(self) -> None:
        """Anew: while the others had their turns, the server may have given the connection up."""
        self._connection.close()
        self._connection.connect()
        self._connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __call__(self) -> bytes:
        self._connection.request("POST", self._parts.path, self._body, self._headers)
        answer = self._connection.getresponse()
        content = answer.read()
        if answer.status != 200:
            raise SystemExit(f"{self._way.name} answered {answer.status}: {content[:500]!r}")
        return content


class Floor:
    """The same work without a server."""

    def __init__(self, model: BareModel, body: bytes) -> None:
        self._model, self._body = model, body

    def connect(self) -> None:
        """There is nothing to connect to."""

    def __call__(self) -> bytes:
        return self._model.answer(self._body)


def turn(way: Way, asks: Sequence[Asking | Floor], seconds: float) -> None:
    """Ask for so many seconds, each client as often as it can. Raises SystemExit where one of them failed."""
    for ask in asks:
        ask.connect()
    until = time.perf_counter() + seconds

    def work(ask: Asking | Floor) -> list[float]:
        taken: list[float] = []
        while time.perf_counter() < until or not taken:
            begun = time.perf_counter()
            ask()
            taken.append(time.perf_counter() - begun)
        return taken

    begun = time.perf_counter()
    with ThreadPoolExecutor(len(asks)) as pool:
        for taken in pool.map(work, asks):
            way.taken += taken
    way.seconds += time.perf_counter() - begun


def measure(model: BareModel, ways: list[Way], rows: Values, clients: int, seconds: float) -> None:
    bodies = {kind: body_of(kind, rows) for kind in {way.kind for way in ways} | {"arrow"}}
    floor = Way(FLOOR, "arrow", "")
    asks: dict[str, list[Asking | Floor]] = {FLOOR: [Floor(model, bodies["arrow"])]}
    asks |= {way.name: [Asking(way, bodies[way.kind]) for _ in range(clients)] for way in ways}
    expected = values_of("arrow", asks[FLOOR][0]())
    every = [*([floor] if clients == 1 else []), *ways]
    for way in every:
        way.taken, way.seconds = [], 0.0
        if not np.allclose(values_of(way.kind, asks[way.name][0]()), expected, rtol=1e-6):
            raise SystemExit(f"{way.name} answers with other numbers than onnxruntime; the figures would mean nothing.")
    for _ in range(TURNS):
        for way in every:
            turn(way, asks[way.name], seconds / TURNS)
    show(every, len(rows), clients)


def show(ways: list[Way], rows: int, clients: int) -> None:
    print(f"{rows:,} row(s) a request, {clients} client(s)")
    rates = {way.name: len(way.taken) * rows / way.seconds for way in ways}
    base = rates[ways[0].name]
    for way in ways:
        p50, p99 = (percentile(way.taken, part) * 1e3 for part in (0.5, 0.99))
        share = f"{100 * rates[way.name] / base:5.1f} % of {ways[0].name}"
        print(f"  {way.name:<28} {rates[way.name]:>12,.0f} rows/s  p50 {p50:8.3f} ms  p99 {p99:8.3f} ms  {share}")
    print(flush=True)


def main() -> None:
    told: Mapping[str, Any] = json.loads(Path(sys.argv[1]).read_text())
    model = BareModel(Path(told["model"]), told["threads"])
    ways = [Way(**way) for way in told["ways"]]
    whole = np.array(read_arrow(Path(told["rows"]).read_bytes()).column(0).to_pylist(), np.float32)
    for size in told["sizes"]:
        rows = np.tile(whole, (-(-size // len(whole)), 1))[:size]
        for clients in CLIENTS:
            measure(model, ways, rows, clients, told["seconds"])


if __name__ == "__main__":
    main()
