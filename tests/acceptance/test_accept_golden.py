"""What people read, whole, in `golden/`; `pytest tests/acceptance --regenerate` writes it anew."""

from __future__ import annotations

from collections.abc import Callable

from tests.acceptance import samples
from tests.acceptance.spec_repo import Result, SpecRepo

Golden = Callable[[str, Result], None]


def sample(repo: SpecRepo) -> None:
    repo.write_bytes("model.onnx", samples.model())
    repo.document("Model", "small", {"path": "model.onnx", "framework": "onnx"})
    repo.document("Pipeline", "small", {"steps": [{"model": "small"}]})
    details = {"type": "HTTPFILE", "workspaces": ["lab"], "details": {"host": "http://127.0.0.1/rows.arrow"}}
    repo.document("Connection", "rows", details)
    repo.orchestration("greet", "print('hello')")
    repo.orchestration("raises", "raise RuntimeError('the price is wrong')")
    repo.task("greet once", "greet", args={"name": "Ada"})
    repo.task("goes wrong", "raises")
    repo.task("nightly", "greet", schedule="0 2 * * *")
    repo.task("soon gone", "greet")


def change(repo: SpecRepo) -> None:
    """An update, an upload, a run, a deletion, a new object; and the failed run is still there to be told of."""
    details = {"type": "HTTPFILE", "workspaces": ["lab"], "details": {"host": "http://127.0.0.1/other.arrow"}}
    repo.document("Connection", "rows", details)
    repo.write_bytes("model.onnx", samples.model() + b"\x32\x00")
    repo.task("greet once", "greet", args={"name": "Grace"})
    repo.task("nightly", "greet", schedule="30 3 * * *")
    repo.remove("task-soon gone.yaml")
    repo.document("Workspace", "annex", {})


def test_what_people_read_from_the_first_plan_to_the_last(repo: SpecRepo, golden: Golden) -> None:
    golden("help", repo.run("--help"))
    sample(repo)
    golden("validate", repo.run("validate"))
    golden("plan-fresh", repo.run("plan"))
    golden("apply", repo.run("apply", "--yes", "--parallelism", "1", code=6))
    golden("plan-empty-but-for-a-failed-run", repo.run("plan"))
    change(repo)
    golden("plan-changes", repo.run("plan"))
    golden("destroy", repo.run("destroy", "--yes"))
    golden("plan-after-destroy", repo.run("destroy", "--yes"))


def test_three_problems_at_once(repo: SpecRepo, golden: Golden) -> None:
    repo.orchestration("greet", "print('hello')")
    repo.write(
        "tasks.yaml",
        """\
        apiVersion: specrunner/v1
        kind: Task
        metadata: {name: nightly}
        spec:
          orchestration: great
        ---
        apiVersion: specrunner/v1
        kind: Task
        metadata: {name: hourly}
        spec:
          orchestration: greet
          timout: 5m
        ---
        apiVersion: specrunner/v1
        kind: Model
        metadata: {name: house-price}
        spec: {path: models/house_price.onnx, framework: onnx}
        """,
    )
    golden("validate-three-problems", repo.run("validate", code=1))
