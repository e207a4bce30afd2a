"""The demo: check the house-price example, then let one of its orchestrations infer through the SDK."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from specrunner.core.keys import Key, Kind
from specrunner.core.resources import Resource
from specrunner.engine.engine import Engine, default_cache
from specrunner.engine.records import Workspace
from specrunner.server.host import LoopbackApi
from specrunner.spec.desired import load

HERE = Path(__file__).parent
EXAMPLE = HERE / "specs" / "house-price"
STATE = HERE.parent / ".demo" / "state"
NAME = "house-price"


def main() -> int:
    program = Path(sys.executable).with_name("specrunner")
    print("$ specrunner validate", flush=True)
    checked = subprocess.run([str(program), "validate"], cwd=EXAMPLE, check=False).returncode
    if checked:
        return checked
    shutil.rmtree(STATE, ignore_errors=True)
    with Engine(STATE, default_cache(), run_api=LoopbackApi) as engine:
        return run(engine)


def run(engine: Engine) -> int:
    resources = load(EXAMPLE).resources
    workspace = engine.workspaces.ensure(NAME)
    deploy(engine, workspace, resources[Key(Kind.MODEL, NAME, NAME)])
    code = resources[Key(Kind.ORCHESTRATION, NAME, "bundled-data")].payload
    order = resources[Key(Kind.TASK, NAME, "score the bundled houses")].spec
    assert code is not None
    version = engine.orchestrations.upload(workspace.id, "bundled-data", code.file_name, code.read())
    engine.orchestrations.package(version.id, lambda text: print(f"... {text}", flush=True))
    task = engine.tasks.put(workspace.id, "score the bundled houses", version.id, order, {})
    ended = engine.runs.carry_out(engine.runs.submit(task).id)
    print(f"\nThe run ended as {ended.status}; its log:")
    for line in engine.runs.log(ended)[0]:
        print(f"  {line.text}")
    return 0 if ended.status == "success" else 6


def deploy(engine: Engine, workspace: Workspace, declared: Resource) -> None:
    payload = declared.payload
    assert payload is not None
    model = engine.models.upload(workspace.id, NAME, payload.file_name, payload.read(), {"framework": "onnx"})
    step = {"ModelInference": {"models": [{"name": model.name, "version": model.version, "sha": model.sha}]}}
    version = engine.pipelines.add_version(workspace.id, NAME, {"id": NAME, "steps": [step]})
    engine.planes.deploy(version.pipeline_id, version.id, engine.spec_holder)


if __name__ == "__main__":
    sys.exit(main())
