"""Inference through the SDK beside bare onnxruntime, for one row and for all rows of a file.

`python -m benchmarks.bench_sdk_inference [--model M.onnx --rows R.arrow] [--seconds S] [--queries]`;
README.md says what it prints. This process hosts the engine and its API as `specrunner apply` does for a run; the
client is another process with the token of a run, see `inference_client`.
"""

from __future__ import annotations

import argparse
import io
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from benchmarks.bare_model import arrow_bytes
from benchmarks.inference_client import raw
from specrunner.engine.engine import Engine
from specrunner.engine.records import Deployment, Run
from specrunner.engine.tables import read_table
from specrunner.server.host import LoopbackApi

THREADS = 4  # the engine's default for ONNX models; the bare session gets as many
NAME = "bench"
ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples" / "specs" / "house-price"


def host(folder: Path) -> Engine:
    return Engine(folder / "state", folder / "cache", run_api=LoopbackApi)


def deployed(engine: Engine, model: Path) -> Deployment:
    """A pipeline of this model, held by the spec as `deployed: true` does."""
    workspace = engine.workspaces.ensure(NAME)
    version = engine.models.upload(workspace.id, NAME, model.name, model.read_bytes(), {"framework": "onnx"})
    entry = {"name": version.name, "version": version.version, "sha": version.sha}
    definition = {"id": NAME, "steps": [{"ModelInference": {"models": [entry]}}]}
    made = engine.pipelines.add_version(workspace.id, NAME, definition)
    return engine.planes.deploy(made.pipeline_id, made.id, engine.spec_holder)


def run_in_force(engine: Engine) -> Run:
    """A run that has not ended, so that its token is good; its process is the client."""
    workspace = engine.workspaces.ensure(NAME)
    bundle = io.BytesIO()
    with zipfile.ZipFile(bundle, "w") as archive:
        archive.writestr("main.py", "")
    version = engine.orchestrations.upload(workspace.id, NAME, "bench.zip", bundle.getvalue())
    task = engine.tasks.put(workspace.id, NAME, version.id, {"orchestration": NAME}, {})
    return engine.runs.submit(task)


def measure(engine: Engine, options: argparse.Namespace) -> None:
    run = run_in_force(engine)
    environment = {
        **os.environ,
        "SPECRUNNER_URL": engine.run_api().address(),
        "SPECRUNNER_TOKEN": engine.runs.token(run.id),
        "SPECRUNNER_WORKSPACE_ID": str(run.workspace_id),
    }
    client = [sys.executable, "-m", "benchmarks.inference_client", NAME, str(options.model), str(options.rows)]
    subprocess.run([*client, str(THREADS), str(options.seconds)], check=True, env=environment, cwd=ROOT)


@contextmanager
def heard_statements() -> Iterator[list[str]]:
    """The SQL statements of this process, transactions included, as they are executed."""
    heard: list[str] = []

    def hear(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        heard.append(" ".join(statement.split()))

    sa.event.listen(sa.Engine, "before_cursor_execute", hear)
    try:
        yield heard
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", hear)


def list_queries(engine: Engine, deployment: Deployment, rows: pa.Table) -> None:
    """Print what one inference asks the database, once everything is warm."""
    token = engine.runs.token(run_in_force(engine).id)
    url = f"{engine.run_api().address()}/v1/api/pipelines/infer/{deployment.name}/{NAME}"
    ask = raw(url, token, arrow_bytes(rows.slice(0, 1)))
    ask()
    with heard_statements() as heard:
        ask()
    print(f"Statements of one inference: {len(heard)}")
    for statement in heard:
        columns, _, rest = statement.partition(" FROM ")
        print(f"  {columns.partition(' ')[0]} ... FROM {rest}" if rest else f"  {statement}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=EXAMPLE / "models" / "house_price.onnx")
    parser.add_argument("--rows", type=Path, default=EXAMPLE / "data" / "houses-1k.arrow", help="an Arrow IPC file")
    parser.add_argument("--seconds", type=float, default=10.0, help="for each number of rows")
    parser.add_argument("--queries", action="store_true", help="list what one inference asks the database instead")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, host(Path(folder)) as engine:
        deployment = deployed(engine, options.model)
        if options.queries:
            list_queries(engine, deployment, read_table(options.rows))
        else:
            measure(engine, options)


if __name__ == "__main__":
    main()
