"""The client of `bench_sdk_inference`, a process of its own as a run is. It is given its platform by the environment.

Each round asks every variant once for the same rows: bare onnxruntime in this process, the hand-written server of
`bare_asgi`, and specrunner's server, the last with a raw keep-alive client and through the SDK.
"""

from __future__ import annotations

import argparse
import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pyarrow as pa

from benchmarks.bare_model import ARROW, BareModel, arrow_bytes, read_arrow
from benchmarks.figures import compared
from specrunner import sdk

BARE = "bare onnxruntime + Arrow"
Ask = Callable[[], pa.Table]


def raw(url: str, token: str, body: bytes) -> Ask:
    """HTTP without our client: one kept connection, the request's bytes made beforehand."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port)
    connection.connect()
    connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    headers = {"Content-Type": ARROW, "Accept": ARROW, "Authorization": f"Bearer {token}"}

    def ask() -> pa.Table:
        connection.request("POST", parts.path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
        if answer.status != 200:
            raise SystemExit(f"The server answered {answer.status}: {content.decode('utf-8', 'replace')}")
        return read_arrow(content)

    return ask


@contextmanager
def bare_server(model: Path, threads: int) -> Iterator[str]:
    """The URL of a hand-written server in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.bare_asgi", str(model), str(threads)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def variants(pipeline: sdk.Pipeline, table: pa.Table, model: BareModel, server: str) -> Mapping[str, Ask]:
    body = arrow_bytes(table)
    return {
        BARE: lambda: read_arrow(model.answer(body)),
        "hand-written ASGI, raw client": raw(server, "", body),
        "specrunner, raw client": raw(pipeline.url(), os.environ["SPECRUNNER_TOKEN"], body),
        "specrunner, SDK": lambda: pipeline.infer(table),
    }


def check_equal(asked: Mapping[str, Ask], column: str) -> None:
    """All variants must answer with the same numbers, or they do not do the same work."""
    expected = asked[BARE]().column(column).to_pylist()
    for name, ask in asked.items():
        if ask().column(column).to_pylist() != expected:
            raise SystemExit(f"{name} answers with other numbers than {BARE}; the figures would mean nothing.")


def rounds(asked: Mapping[str, Ask], seconds: float) -> dict[str, list[float]]:
    """Seconds per request of each variant, asked in turns until the time is over."""
    taken: dict[str, list[float]] = {name: [] for name in asked}
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        for name, ask in asked.items():
            begun = time.perf_counter()
            ask()
            taken[name].append(time.perf_counter() - begun)
    return taken


def measure(pipeline: sdk.Pipeline, table: pa.Table, model: BareModel, server: str, seconds: float) -> None:
    asked = variants(pipeline, table, model, server)
    check_equal(asked, model.column)
    rounds(asked, seconds / 10)  # to warm up
    taken = rounds(asked, seconds)
    print(f"{table.num_rows:,} row(s) a request, {len(taken[BARE]):,} rounds")
    print(*compared(taken, BARE, table.num_rows), sep="\n", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("pipeline")
    parser.add_argument("model", type=Path)
    parser.add_argument("rows", type=Path)
    parser.add_argument("threads", type=int)
    parser.add_argument("seconds", type=float)
    options = parser.parse_args()
    model = BareModel(options.model, options.threads)
    whole = read_arrow(options.rows.read_bytes()).combine_chunks()
    with sdk.Client() as client, bare_server(options.model, options.threads) as server:
        pipeline = client.pipelines_by_name(options.pipeline)[0]
        for table in (whole.slice(0, 1), whole):
            measure(pipeline, table, model, server, options.seconds)


if __name__ == "__main__":
    main()
