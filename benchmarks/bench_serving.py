"""Inference over HTTP beside other servers, all in one run: rows a second, p50 and p99 by size and number of clients.

`python -m benchmarks.bench_serving [--model M.onnx --rows R.arrow] [--seconds S] [--sizes N,N] [--peers DIR]`. This
process hosts the engine and its API, its log on, as `specrunner serve` does; the clients are another process, see
`serving_client`. README.md says how DIR is made; a peer that is not in it is left out, with a word.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from benchmarks.bench_sdk_inference import EXAMPLE, NAME, ROOT, THREADS, deployed, host, run_in_force
from benchmarks.serving_client import SIZES

PEERS = ("fastapi", "mlserver", "bentoml")


@contextmanager
def peer(name: str, folder: Path | None, model: Path) -> Iterator[list[dict[str, Any]]]:
    """The ways to ask a peer, started for as long as this lasts; none where it is not installed or does not start."""
    python = folder / name / "bin" / "python" if folder else None
    if python is None or not python.exists():
        print(f"{name} is left out: there is no {python or f'--peers DIR with {name}/bin/python in it'}.")
        yield []
        return
    script = ROOT / "benchmarks" / "peers" / f"{name}_server.py"
    command = [str(python), str(script), str(model), str(THREADS)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                print(f"{name} is left out: it did not start. Try `{' '.join(command)}`.")
            yield json.loads(line) if line else []
        finally:
            process.terminate()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=EXAMPLE / "models" / "house_price.onnx")
    parser.add_argument("--rows", type=Path, default=EXAMPLE / "data" / "houses-1k.arrow", help="an Arrow IPC file")
    parser.add_argument("--seconds", type=float, default=4.0, help="for each way, size and number of clients")
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)), help="rows of a request")
    parser.add_argument("--peers", type=Path, help="a folder of virtual environments, one for each peer")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, host(Path(folder)) as engine, ExitStack() as stack:
        deployment = deployed(engine, options.model)
        address, token = engine.run_api().address(), engine.runs.token(run_in_force(engine).id)
        own = f"{address}/v1/api/pipelines/infer/{deployment.name}/{NAME}"
        ways = [
            {"name": "specrunner, Arrow", "kind": "arrow", "url": own, "token": token},
            {"name": "specrunner, JSON records", "kind": "records", "url": own, "token": token},
            {"name": "specrunner, V2", "kind": "v2", "url": f"{address}/v2/models/{NAME}/infer", "token": token},
        ]
        for name in PEERS:
            ways += stack.enter_context(peer(name, options.peers, options.model))
        told = {
            "model": str(options.model),
            "rows": str(options.rows),
            "threads": THREADS,
            "seconds": options.seconds,
            "sizes": [int(size) for size in options.sizes.split(",")],
            "ways": ways,
        }
        (Path(folder) / "told.json").write_text(json.dumps(told))
        client = [sys.executable, "-m", "benchmarks.serving_client", str(Path(folder) / "told.json")]
        subprocess.run(client, check=True, cwd=ROOT)


if __name__ == "__main__":
    main()
