"""A BentoML service over the model, arrays as JSON. `python bentoml_server.py MODEL THREADS`."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

SERVICE = """
import os

import bentoml
import numpy as np
import onnxruntime as ort


@bentoml.service(workers=1)
class Forest:
    def __init__(self) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = int(os.environ["THREADS"])
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = ort.InferenceSession(os.environ["MODEL"], options, providers=["CPUExecutionProvider"])
        self._name = self._session.get_inputs()[0].name

    @bentoml.api
    def predict(self, tensor: np.ndarray) -> np.ndarray:
        return self._session.run(None, {self._name: tensor.astype(np.float32)})[0]
"""


def main() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "service.py").write_text(SERVICE)
        environment = {
            **os.environ,
            "MODEL": str(Path(sys.argv[1]).resolve()),
            "THREADS": sys.argv[2],
            "BENTOML_HOME": folder,
            "BENTOML_DO_NOT_TRACK": "true",
        }
        program = str(Path(sys.executable).with_name("bentoml"))
        command = [program, "serve", "service:Forest", "--host", "127.0.0.1", "--port", str(port)]
        with subprocess.Popen(command, cwd=folder, env=environment, stdout=sys.stderr) as server:
            try:
                wait(f"http://127.0.0.1:{port}/readyz", server)
                ways = [{"name": "BentoML, JSON", "kind": "tensor", "url": f"http://127.0.0.1:{port}/predict"}]
                sys.stdout.write(json.dumps(ways) + "\n")
                sys.stdout.flush()
                server.wait()
            finally:
                server.terminate()


def wait(url: str, server: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        try:
            with urllib.request.urlopen(url, timeout=1):
                return
        except OSError:
            if server.poll() is not None:
                raise SystemExit("the server has ended") from None
            time.sleep(0.1)
    raise SystemExit("the server does not come up")


if __name__ == "__main__":
    main()
