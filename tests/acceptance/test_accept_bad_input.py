"""Bad input: a clear message with place and remedy, exit 1, and nothing changed."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.acceptance import samples
from tests.acceptance.spec_repo import SpecRepo

Breaks = Callable[[SpecRepo], object]


def zip_without_main() -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as bundle:
        bundle.writestr("one.py", "")
        bundle.writestr("two.py", "")
    return sink.getvalue()


def with_model(repo: SpecRepo, data: bytes) -> None:
    repo.write_bytes("model.onnx", data)
    repo.document("Model", "small", {"path": "model.onnx", "framework": "onnx"})


def with_zip(repo: SpecRepo) -> None:
    repo.write_bytes("bundle.zip", zip_without_main())
    repo.document("Orchestration", "zipped", {"source": "bundle.zip"})


def header(kind: str, spec: str) -> str:
    return f"apiVersion: specrunner/v1\nkind: {kind}\nmetadata: {{name: broken}}\nspec: {spec}\n"


MISTAKES: dict[str, tuple[Breaks, list[str]]] = {
    "unknown kind": (
        lambda repo: repo.write("broken.yaml", header("Pipelin", "{}")),
        ["broken.yaml:2:7: error:", "Pipelin", "→", "Pipeline"],
    ),
    "unknown field": (
        lambda repo: repo.write("broken.yaml", header("Task", "{orchestration: idle, timout: 5m}")),
        ["broken.yaml:4:29: error:", "timout", "→", "timeout"],
    ),
    "missing reference": (
        lambda repo: repo.write("broken.yaml", header("Task", "{orchestration: idel}")),
        ["broken.yaml:4:23: error:", "idel", "→", "idle"],
    ),
    "missing file": (
        lambda repo: repo.write("broken.yaml", header("Model", "{path: models/none.onnx, framework: onnx}")),
        ["broken.yaml:4:14: error:", "models/none.onnx", "→"],
    ),
    "zip without main.py": (with_zip, ["orchestration-zipped.yaml", "error:", "main.py", "→"]),
}


@pytest.fixture
def applied(repo: SpecRepo) -> SpecRepo:
    """A repository that was applied, so that there is something that could change by mistake."""
    repo.orchestration("idle", "print('hello')")
    repo.run("apply", "--yes")
    return repo


def test_mistakes_in_the_files_change_nothing(applied: SpecRepo) -> None:
    before = applied.snapshot()
    known = {path for path in applied.root.iterdir() if path.is_file()}
    for name, (broken, words) in MISTAKES.items():
        broken(applied)
        result = applied.run("apply", "--yes", code=1)
        assert result.out == "", name
        assert applied.run("validate", code=1).err == result.err, name
        for word in words:
            assert word in result.err, (name, result.err)
        assert result.err.endswith("nothing was changed.\n"), name
        assert applied.snapshot() == before, name
        for path in {path for path in applied.root.iterdir() if path.is_file()} - known:
            path.unlink()


@pytest.mark.parametrize("data", [b"this is no model", samples.model()[:-20]])
def test_a_broken_onnx_file_is_refused_before_anything_is_done(repo: SpecRepo, data: bytes) -> None:
    with_model(repo, data)
    result = repo.run("apply", "--yes", code=1)
    assert "model.onnx" in result.said
    assert "→" in result.said
    assert repo.snapshot() == ("", {}) or not repo.objects()


SENDS_TWO_COLUMNS = """\
    import pandas as pd
    import wallaroo
    wl = wallaroo.Client()
    pipeline = wl.pipelines_by_name("small")[0]
    pipeline.infer(pd.DataFrame({"tensor": [[1.0, 2.0]]}))
    """


def test_rows_of_the_wrong_width_are_refused_in_words(repo: SpecRepo, tmp_path: Path) -> None:
    with_model(repo, samples.model())
    repo.document("Pipeline", "small", {"deployed": True, "steps": [{"model": "small"}]})
    repo.orchestration("sends", SENDS_TWO_COLUMNS)
    repo.task("send two", "sends")
    run = repo.run("apply", "--yes", code=6)
    assert "The run of Task/lab/send two ended as failure (exit, code 1)." in run.out
    told = [line for line in repo.run("logs", "send two").out.splitlines() if line][-1]
    assert "2" in told
    assert "3" in told
    before = repo.snapshot()
    wrong = tmp_path / "wrong.arrow"
    wrong.write_bytes(samples.arrow([[1.0, 2.0]]))
    refused = repo.run("infer", "small", str(wrong), code=1)
    assert refused.err.startswith("error: ")
    assert "tensor" in refused.err
    assert "2" in refused.err
    assert "3" in refused.err
    assert repo.snapshot() == before

    right = tmp_path / "right.arrow"
    right.write_bytes(samples.arrow())
    good = repo.run("infer", "small", str(right), "--json").json
    assert [row["out.variable"] for row in good] == [[value] for value in samples.OUTPUTS]


ASKS = """\
    import requests
    import wallaroo
    url = wallaroo.Client().get_connection(name="nowhere").details()["host"]
    requests.get(url, timeout=5)
    """


def test_an_unreachable_connection_is_the_runs_failure(repo: SpecRepo) -> None:
    details = {"host": "http://127.0.0.1:9/rows.arrow"}  # the port "discard": nothing listens there
    repo.document("Connection", "nowhere", {"type": "HTTPFILE", "workspaces": ["lab"], "details": details})
    repo.orchestration("asks", ASKS)
    repo.task("ask", "asks")
    failed = repo.run("apply", "--yes", code=6)
    assert "✓ Connection/nowhere: created" in failed.out
    assert "The run of Task/lab/ask ended as failure (exit, code 1)." in failed.out
    assert "Connection refused" in failed.out
