"""The clients inside a run: both public versions where its requirements ask for them, ours by itself.

The run does what those of the tutorials do: it reads its arguments and a connection, deploys, asks and undeploys.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from specrunner.sdk import Client
from tests.integration.engine_samples import bundle, model_bytes
from tests.sdk.serving import served
from tests.sdk.sessions import Driver, Session, Sessions
from tests.sdk.versions import OURS, VERSIONS

MAIN = """\
import wallaroo, pandas
wl = wallaroo.Client()
print("version", wallaroo.__version__)
print("arguments", wl.in_task(), wl.task_args())
print("workspace", [found.name() for found in wl.list_workspaces()], wl.get_current_workspace().name())
print("model", [found.name() for found in wl.list_models()])
connection = wl.get_connection("store")
print("connection", connection.name(), sorted(connection.details()))
pipeline = wl.pipelines_by_name("prices")[0]
pipeline.deploy()
found = pipeline.infer(pandas.DataFrame({"tensor": [[1.0, 2.0, 3.0]]}))
print("found", list(found.columns)[:3], len(found))
pipeline.undeploy()
print("logs", len(pipeline.logs()))
"""
EXPECTED = [
    "arguments True {'dogs': 3.9}",
    "workspace ['lab'] lab",
    "model ['houses']",
    "connection store ['host', 'password']",
    "found ['time', 'in.tensor', 'out.variable'] 1",
    "logs 1",
]
WORDS = tuple(line.partition(" ")[0] + " " for line in ("version ", *EXPECTED))


def said_in_a_run(driver: Driver, version: str) -> list[str]:
    """What that code prints in a run whose requirements ask for this version."""
    model = driver.folder / "houses.onnx"
    model.write_bytes(model_bytes(3))
    requirements = "" if version == OURS else f"wallaroo=={version}\n"
    with served(driver.folder) as url, Client(api_endpoint=url) as client:
        workspace = client.set_current_workspace(client.create_workspace("lab"))
        client.create_connection("store", "HTTP", {"host": "http://a.example", "password": "hunter2"})
        workspace.add_connection("store")
        pipeline = client.build_pipeline("prices")
        pipeline.add_model_step(client.upload_model("houses", model))
        pipeline.deploy()
        pipeline.undeploy()
        orchestration = client.upload_orchestration(bytes_buffer=bundle(MAIN, requirements), name="code")
        _until(lambda: orchestration.status() in {"ready", "error"}, 900)  # a client of half a gigabyte
        assert orchestration.status() == "ready", orchestration.error()
        task = orchestration.run_once(name="job", json_args={"dogs": 3.9})
        _until(lambda: [run for run in task.last_runs() if run.status() != "running"], 300)
        return [line.partition(" F ")[2] for line in task.last_runs()[0].logs()]


def _until(condition: Callable[[], object], seconds: float) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, f"it did not come within {seconds} s"
        time.sleep(0.3)


SESSIONS = [pytest.param(Session(f"in a run {one}", said_in_a_run, (one,), 3.0), one, id=one) for one in VERSIONS]


@pytest.mark.parametrize(("session", "version"), SESSIONS)
def test_it_finds_its_token_its_arguments_and_its_workspace(sessions: Sessions, session: Session, version: str) -> None:
    lines = sessions.outcome(session)
    first, *rest = [line for line in lines if line.startswith(WORDS)]  # libraries of the client have words of their own
    assert version in first and rest == EXPECTED, lines
    assert not any("hunter2" in line for line in lines)
