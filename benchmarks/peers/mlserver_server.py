"""MLServer with a runtime for the model, asked by V2. `python mlserver_server.py MODEL THREADS`."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

RUNTIME = """
import onnxruntime as ort
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse


class Forest(MLModel):
    async def load(self) -> bool:
        options = ort.SessionOptions()
        options.intra_op_num_threads = int(self.settings.parameters.extra["threads"])
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = ort.InferenceSession(
            self.settings.parameters.uri, options, providers=["CPUExecutionProvider"]
        )
        self._name = self._session.get_inputs()[0].name
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        rows = NumpyCodec.decode_input(payload.inputs[0])
        found = self._session.run(None, {self._name: rows})[0]
        output = NumpyCodec.encode_output("variable", found)
        return InferenceResponse(model_name=self.name, outputs=[output])
"""


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def main() -> None:
    model, threads, port = str(Path(sys.argv[1]).resolve()), int(sys.argv[2]), free_port()
    settings = {
        "http_port": port,
        "host": "127.0.0.1",
        "grpc_port": free_port(),
        "metrics_port": free_port(),
        "parallel_workers": 0,
        "debug": False,
    }
    described = {
        "name": "forest",
        "implementation": "runtime.Forest",
        "parameters": {"uri": model, "extra": {"threads": threads}},
    }
    with tempfile.TemporaryDirectory() as folder:
        for name, content in (("settings.json", settings), ("model-settings.json", described)):
            (Path(folder) / name).write_text(json.dumps(content))
        (Path(folder) / "runtime.py").write_text(RUNTIME)
        command = [str(Path(sys.executable).with_name("mlserver")), "start", folder]
        environment = {**os.environ, "PYTHONPATH": folder}
        with subprocess.Popen(command, cwd=folder, env=environment, stdout=sys.stderr) as server:
            try:
                wait(f"http://127.0.0.1:{port}/v2/models/forest/ready", server)
                url = f"http://127.0.0.1:{port}/v2/models/forest/infer"
                sys.stdout.write(json.dumps([{"name": "MLServer, V2", "kind": "v2", "url": url}]) + "\n")
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
