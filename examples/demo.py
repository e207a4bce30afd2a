"""The demo: check the house-price example, then serve its model with the embedded engine and infer."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from specrunner.core.keys import Key, Kind
from specrunner.engine import tables
from specrunner.engine.engine import Engine, default_cache
from specrunner.spec.desired import load

HERE = Path(__file__).parent
EXAMPLE = HERE / "specs" / "house-price"
STATE = HERE.parent / ".demo" / "state"


def main() -> int:
    program = Path(sys.executable).with_name("specrunner")
    print("$ specrunner validate", flush=True)
    checked = subprocess.run([str(program), "validate"], cwd=EXAMPLE, check=False).returncode
    if checked:
        return checked
    shutil.rmtree(STATE, ignore_errors=True)
    with Engine(STATE, default_cache()) as engine:
        infer(engine)
    return 0


def infer(engine: Engine) -> None:
    name = "house-price"
    payload = load(EXAMPLE).resources[Key(Kind.MODEL, name, name)].payload
    assert payload is not None
    workspace = engine.workspaces.ensure(name)
    model = engine.models.upload(workspace.id, name, payload.file_name, payload.read(), {"framework": "onnx"})
    step = {"ModelInference": {"models": [{"name": model.name, "version": model.version, "sha": model.sha}]}}
    version = engine.pipelines.add_version(workspace.id, name, {"id": name, "steps": [step]})
    deployment = engine.planes.deploy(version.pipeline_id, version.id, engine.user_holder)
    result = engine.planes.infer(deployment, tables.read_table(EXAMPLE / "data" / "houses-1k.arrow"))
    print(f"\nThe first of {result.num_rows} predictions:")
    print(result.select(["time", "out.variable"]).slice(0, 5).to_pandas().to_string())


if __name__ == "__main__":
    sys.exit(main())
