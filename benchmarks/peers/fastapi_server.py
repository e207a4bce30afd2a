"""What one writes by hand: FastAPI, JSON by orjson and Arrow. `python fastapi_server.py MODEL THREADS`."""

from __future__ import annotations

import json
import socket
import sys
from typing import Any

import numpy as np
import onnxruntime as ort
import orjson
import pyarrow as pa
import uvicorn
from fastapi import FastAPI, Request, Response

ARROW = "application/vnd.apache.arrow.file"


def session_of(path: str, threads: int) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def application(session: Any) -> Any:
    app = FastAPI()
    name = session.get_inputs()[0].name

    @app.post("/json")
    async def as_json(request: Request) -> Response:
        records = orjson.loads(await request.body())
        rows = np.array([record["tensor"] for record in records], np.float32)
        found = session.run(None, {name: rows})[0]
        body = [{"out.variable": row} for row in found.tolist()]
        return Response(orjson.dumps(body), media_type="application/json")

    @app.post("/arrow")
    async def as_arrow(request: Request) -> Response:
        table = pa.ipc.open_file(pa.py_buffer(await request.body())).read_all()
        column = table.column(0).combine_chunks()
        rows = column.flatten().to_numpy().reshape(len(column), -1)
        found = session.run(None, {name: rows})[0]
        values = pa.FixedSizeListArray.from_arrays(pa.array(found.reshape(-1)), found.shape[1])
        answer = pa.table({"out.variable": values})
        sink = pa.BufferOutputStream()
        with pa.ipc.new_file(sink, answer.schema) as writer:
            writer.write_table(answer)
        return Response(sink.getvalue().to_pybytes(), media_type=ARROW)

    return app


def main() -> None:
    app = application(session_of(sys.argv[1], int(sys.argv[2])))
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.bind(("127.0.0.1", 0))
    listening.listen(64)
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    ways = [
        {"name": "FastAPI, Arrow", "kind": "arrow", "url": f"{url}/arrow"},
        {"name": "FastAPI, JSON by orjson", "kind": "records", "url": f"{url}/json"},
    ]
    sys.stdout.write(json.dumps(ways) + "\n")
    sys.stdout.flush()
    uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False)).run(sockets=[listening])


if __name__ == "__main__":
    main()
