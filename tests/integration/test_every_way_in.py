"""One model asked by every way that there is: over HTTP, by the SDK, on the command line. The same bits each time."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import onnxruntime as ort
import pyarrow as pa
import pytest

from specrunner.cli.main import status_of
from specrunner.engine.engine import Engine
from specrunner.engine.tables import Media, decode, encode, read_table
from specrunner.sdk import Client
from specrunner.server.host import LoopbackApi
from tests.integration.engine_samples import add_task, engine_on
from tests.unit.serving_samples import REAL, linear, needs_real_data, rows_table

Values = np.ndarray[tuple[int, ...], np.dtype[np.float32]]
HTTP = (Media.ARROW_FILE, Media.ARROW_STREAM, Media.PANDAS_RECORDS, Media.CSV, Media.PARQUET)


@dataclass
class Ways:
    """A deployed pipeline `prices` of this model, and whoever may ask it."""

    root: Path
    model: Path
    engine: Engine
    http: httpx.Client
    client: Client

    def bare(self, table: pa.Table) -> Values:
        """What onnxruntime says with the engine's number of threads."""
        options = ort.SessionOptions()
        options.intra_op_num_threads = 4
        session = ort.InferenceSession(self.model, options, providers=["CPUExecutionProvider"])
        column = table.column(0)
        feed = np.array(column.to_pylist(), np.float32)
        found: Values = session.run(None, {session.get_inputs()[0].name: feed})[0]
        return found

    def by_http(self, table: pa.Table, media: Media) -> Values:
        headers = {"Content-Type": media, "Accept": media}
        answer = self.http.post(
            "/v1/api/pipelines/infer/prices-1/prices", content=encode(table, media), headers=headers
        )
        assert answer.status_code == 200, answer.text
        return outputs(decode(answer.content, media))

    def by_v2(self, table: pa.Table, *, binary: bool) -> Values:
        values = np.array(table.column(0).to_pylist(), "<f4")
        tensor: dict[str, Any] = {"name": "tensor", "datatype": "FP32", "shape": list(values.shape)}
        blob = values.tobytes() if binary else b""
        tensor |= {"parameters": {"binary_data_size": len(blob)}} if binary else {"data": values.tolist()}
        head = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": binary}}).encode()
        headers = {"Inference-Header-Content-Length": str(len(head))}
        answer = self.http.post("/v2/models/prices/infer", content=head + blob, headers=headers)
        assert answer.status_code == 200, answer.text
        if binary:
            length = int(answer.headers["Inference-Header-Content-Length"])
            return np.frombuffer(answer.content[length:], "<f4").reshape(-1, 1)
        return np.array(answer.json()["outputs"][0]["data"], np.float32).reshape(-1, 1)

    def by_sdk(self, table: pa.Table, folder: Path) -> list[Values]:
        """As a Table, as a DataFrame, and from files."""
        pipeline = self.client.pipelines_by_name("prices")[0]
        pipeline.deploy()
        found = [outputs(pipeline.infer(table)), frame_outputs(pipeline.infer(table.to_pandas()))]
        for name, media in (("rows.arrow", Media.ARROW_FILE), ("rows.df.json", Media.PANDAS_RECORDS)):
            (folder / name).write_bytes(encode(table, media))
            answer = pipeline.infer_from_file(str(folder / name))
            found.append(outputs(answer) if isinstance(answer, pa.Table) else frame_outputs(answer))
        return found

    def by_command(self, file: Path) -> Values:
        before, out = sys.stdout, io.BytesIO()
        sys.stdout = io.TextIOWrapper(out, "utf-8")
        try:
            assert status_of(["-C", str(self.root), "infer", "prices", str(file), "--output", "arrow"]) == 0
            sys.stdout.flush()
            return outputs(decode(out.getvalue(), Media.ARROW_FILE))
        finally:
            sys.stdout = before

    def all(self, table: pa.Table, folder: Path) -> dict[str, Values]:
        found = {f"HTTP {media}": self.by_http(table, media) for media in HTTP}
        found |= {f"V2 binary={binary}": self.by_v2(table, binary=binary) for binary in (False, True)}
        found |= {f"SDK {number}": values for number, values in enumerate(self.by_sdk(table, folder))}
        for name, media in (("a.arrow", Media.ARROW_FILE), ("a.parquet", Media.PARQUET), ("a.csv", Media.CSV)):
            (folder / name).write_bytes(encode(table, media))
            found[f"command {name}"] = self.by_command(folder / name)
        return found


def outputs(answer: pa.Table) -> Values:
    return np.array(answer.column("out.variable").to_pylist(), np.float32)


def frame_outputs(answer: Any) -> Values:
    return np.array(answer["out.variable"].tolist(), np.float32)


@contextmanager
def ways(root: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ways]:
    with engine_on(root / ".specrunner", LoopbackApi) as engine:
        task = add_task(engine, "")
        run = engine.runs.submit(task)
        version = engine.models.upload(task.workspace_id, "m", "m.onnx", model.read_bytes(), {"framework": "onnx"})
        step = {"ModelInference": {"models": [{"name": "m", "version": version.version, "sha": version.sha}]}}
        made = engine.pipelines.add_version(task.workspace_id, "prices", {"id": "prices", "steps": [step]})
        engine.planes.deploy(made.pipeline_id, made.id, engine.spec_holder)
        address, token = engine.run_api().address(), engine.runs.token(run.id)
        monkeypatch.setenv("SPECRUNNER_URL", address)
        monkeypatch.setenv("SPECRUNNER_TOKEN", token)
        monkeypatch.setenv("SPECRUNNER_WORKSPACE_ID", str(task.workspace_id))
        headers = {"Authorization": f"Bearer {token}"}
        with httpx.Client(base_url=address, headers=headers, trust_env=False, timeout=60) as http, Client() as client:
            yield Ways(root, model, engine, http, client)


def check(asked: Ways, table: pa.Table, folder: Path) -> Values:
    expected = asked.bare(table)
    for way, found in asked.all(table, folder).items():
        assert found.tobytes() == expected.tobytes(), way
    return expected


def test_every_way_gives_the_bits_of_onnxruntime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with ways(tmp_path / "specs", linear(tmp_path / "m.onnx"), monkeypatch) as asked:
        table = rows_table(30)
        values = check(asked, table, tmp_path)
        alone = np.concatenate([asked.by_http(table.slice(row, 1), Media.ARROW_FILE) for row in range(5)])
        assert alone.tobytes() == values[:5].tobytes()


@needs_real_data
def test_the_tutorials_own_files_give_the_printed_digits_by_every_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    printed = {"xtest-1.df.json": ["718013.7"], "xtest-1k.arrow": ["718013.75", "615094.56", "448627.72", "758714.2"]}
    printed["xtest-1k.df.json"] = printed["xtest-1k.arrow"]
    with ways(tmp_path / "specs", REAL / "rf_model.onnx", monkeypatch) as asked:
        for name, digits in printed.items():
            values = check(asked, read_table(REAL / name), tmp_path)
            texts = pa.array(values.reshape(-1)[: len(digits)]).cast(pa.string()).to_pylist()
            assert texts == digits, name
