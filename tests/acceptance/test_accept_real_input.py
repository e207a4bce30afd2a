"""The tutorial's own orchestration, unmodified, applied with one command."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from specrunner.engine.engine import Engine
from tests.acceptance import samples
from tests.acceptance.spec_repo import CHECKOUT, SpecRepo
from tests.acceptance.web import serving

SHARED = CHECKOUT.parent / "shared"
DATA = SHARED / "data" / "houseprice"
needs_real_data = pytest.mark.skipif(not DATA.is_dir(), reason="the tutorials' data is not beside this checkout")

# What the tutorial's orchestration does, with the names it uses.
LIKE_THE_TUTORIAL = """\
    import pyarrow as pa
    import requests
    import wallaroo
    from wallaroo.object import EntityNotFoundError

    wl = wallaroo.Client()
    workspace = next(ws for ws in wl.list_workspaces() if ws.name() == "orchestrationworkspace")
    wl.set_current_workspace(workspace)
    try:
        wl.pipelines_by_name("nobody-made-this")
    except EntityNotFoundError:
        print("as expected, not found")
    pipeline = wl.pipelines_by_name("orchestrationpipeline")[0]
    pipeline.deploy()
    answer = requests.get(wl.get_connection(name="houseprice_arrow_table").details()["host"])
    with pa.ipc.open_file(answer.content) as reader:
        table = reader.read_all()
    print(pipeline.infer(table))
    pipeline.undeploy()
    """


def tutorial_code() -> str:
    """The Python block below "### Sample Orchestrator", as it stands there."""
    [seed] = (SHARED / "seeds").glob("002_*.txt")
    chapter = seed.read_text(encoding="utf-8").split("### Sample Orchestrator", 1)[1]
    found = re.search(r"```python\n(.*?)```", chapter, re.DOTALL)
    assert found is not None
    return found[1]


def tutorial_repo(repo: SpecRepo, main: str, model: bytes, url: str) -> None:
    repo.remove("workspace.yaml")
    workspace = "orchestrationworkspace"
    repo.write_bytes("models/model.onnx", model)
    repo.document("Workspace", workspace, {})
    details = {"type": "HTTPFILE", "workspaces": [workspace], "details": {"host": url}}
    repo.document("Connection", "houseprice_arrow_table", details)
    model_spec = {"path": "models/model.onnx", "framework": "onnx"}
    repo.document("Model", "orchestrationmodel", model_spec, workspace=workspace)
    steps = {"steps": [{"model": "orchestrationmodel"}]}
    repo.document("Pipeline", "orchestrationpipeline", steps, workspace=workspace)
    repo.write("remote_inference/requirements.txt", "pandas\npyarrow\nrequests\n")
    repo.write("remote_inference/main.py", main)
    source = {"source": "remote_inference"}
    repo.document("Orchestration", "comprehensive sample", source, workspace=workspace)
    task = {"orchestration": "comprehensive sample"}
    repo.document("Task", "house price run once task", task, workspace=workspace)


def logged(repo: SpecRepo, cache: Path) -> tuple[int, list[Any]]:
    """How many rows the pipeline's log has, and its outputs in the order of inference."""
    with Engine(repo.root / ".specrunner", cache) as engine:
        workspace = engine.workspaces.named("orchestrationworkspace")
        pipeline = engine.pipelines.named(workspace.id, "orchestrationpipeline")
        log = engine.planes.log(pipeline.id)
        rows = pa.concat_tables(list(log.pages()))
        return log.count(), [value[0] for value in rows["out.variable"].to_pylist()]


def check_success(repo: SpecRepo) -> str:
    """The one run succeeded; what its log says."""
    [run] = repo.runs()
    assert (run["status"], run["exit_code"]) == ("success", 0)
    [record] = repo.status_files("runs/*/*/*.yaml").values()
    assert (record["id"], record["status"]) == (run["id"], "success")
    assert repo.status_file("pipelines/orchestrationworkspace/orchestrationpipeline.yaml")["state"] == "undeployed"
    return repo.run("logs", "house price run once task").out


@needs_real_data
def test_the_tutorials_code_runs_unmodified_on_its_own_model_and_data(repo: SpecRepo, cache: Path) -> None:
    with serving({"/xtest-1k.arrow": (DATA / "xtest-1k.arrow").read_bytes()}) as url:
        model = (DATA / "rf_model.onnx").read_bytes()
        tutorial_repo(repo, tutorial_code(), model, f"{url}/xtest-1k.arrow")
        repo.run("apply", "--yes")
    log = check_success(repo)
    assert "Getting the workspace orchestrationworkspace" in log
    assert "pyarrow.Table" in log
    assert "718013.75" in log
    count, outputs = logged(repo, cache)
    assert count == 1000
    assert [str(np.float32(value)) for value in outputs[:4]] == ["718013.75", "615094.56", "448627.72", "758714.2"]


def test_the_same_holds_for_a_model_and_data_made_here(repo: SpecRepo, cache: Path) -> None:
    with serving({"/rows.arrow": samples.arrow()}) as url:
        tutorial_repo(repo, LIKE_THE_TUTORIAL, samples.model(), f"{url}/rows.arrow")
        repo.run("apply", "--yes")
    log = check_success(repo)
    assert "as expected, not found" in log
    assert "pyarrow.Table" in log
    assert logged(repo, cache) == (3, list(samples.OUTPUTS))
