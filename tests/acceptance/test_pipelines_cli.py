"""infer and pipeline on the command line: every format in and out, part by part, and deployments by hand."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from specrunner.cli.main import status_of
from specrunner.engine.serving import streams
from specrunner.engine.tables import Media, decode, encode
from tests.acceptance.conftest import make_repo
from tests.acceptance.spec_repo import SpecRepo
from tests.unit import serving_samples
from tests.unit.serving_samples import rows_table

MEDIA = {
    "rows.arrow": Media.ARROW_FILE,
    "rows.arrows": Media.ARROW_STREAM,
    "rows.df.json": Media.PANDAS_RECORDS,
    "rows.csv": Media.CSV,
    "rows.parquet": Media.PARQUET,
}
PRINTED = {"arrow": Media.ARROW_FILE, "json": Media.PANDAS_RECORDS, "csv": Media.CSV, "parquet": Media.PARQUET}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> SpecRepo:
    """A pipeline with a shadow and a validation, applied and deployed."""
    repo = make_repo(tmp_path_factory.mktemp("served") / "specs", tmp_path_factory.mktemp("cache"))
    for name, factor in (("prices", 1.0), ("candidate", 2.0)):
        serving_samples.linear(repo.root / f"{name}.onnx", factor=factor)
        repo.document("Model", name, {"path": f"{name}.onnx", "framework": "onnx"})
    spec = {
        "deployed": True,
        "steps": [{"model": "prices", "shadow": ["candidate"]}],
        "validations": [{"name": "cheap", "expression": "out.variable < 5000"}],
    }
    repo.document("Pipeline", "prices", spec)
    called(repo, "apply", "--yes")
    return repo


@contextmanager
def piped(data: bytes) -> Iterator[None]:
    before = sys.stdin
    sys.stdin = io.TextIOWrapper(io.BytesIO(data))
    try:
        yield
    finally:
        sys.stdin = before


def called(repo: SpecRepo, *words: str, code: int = 0) -> tuple[bytes, str]:
    """What a command prints as bytes, and what it says beside, called in this process."""
    before, out, err = (sys.stdout, sys.stderr), io.BytesIO(), io.BytesIO()
    sys.stdout, sys.stderr = io.TextIOWrapper(out, "utf-8"), io.TextIOWrapper(err, "utf-8")
    try:
        status = status_of(["-C", str(repo.root), *words])
        sys.stdout.flush()
        sys.stderr.flush()
        assert status == code, err.getvalue().decode()
        return out.getvalue(), err.getvalue().decode()
    finally:
        sys.stdout, sys.stderr = before


def outputs(table: pa.Table) -> Any:
    return table.column("out.variable").to_pylist()


def expected(rows: int) -> list[list[float]]:
    weights = serving_samples.weights()[:, 0]
    return [[float(sum(weights * row)) + 1] for row in rows_table(rows).column("tensor").to_pylist()]


@pytest.mark.parametrize("name", MEDIA)
def test_a_file_of_any_format_is_inferred_on_and_printed_in_any(served: SpecRepo, tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    file.write_bytes(encode(rows_table(5), MEDIA[name]))
    for output, media in PRINTED.items():
        out, _ = called(served, "infer", "prices", str(file), "--output", output)
        assert outputs(decode(out, media)) == expected(5), output


@pytest.mark.parametrize("name", MEDIA)
def test_what_is_piped_in_is_known_by_its_first_bytes(served: SpecRepo, name: str) -> None:
    with piped(encode(rows_table(3), MEDIA[name])):
        out, _ = called(served, "infer", "prices", "-", "--json")
    assert [row["out.variable"] for row in json.loads(out)] == expected(3)


@pytest.mark.parametrize("name", ["rows.arrow", "rows.arrows", "rows.csv", "rows.parquet", "rows.df.json"])
def test_a_large_file_is_inferred_on_in_parts_and_nothing_is_lost(
    served: SpecRepo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(streams, "CHUNK_ROWS", 7)
    file, parts = tmp_path / name, []
    file.write_bytes(encode(rows_table(25), MEDIA[name]))
    infer = type(_target(served)).infer_table

    def told(target: Any, key: Any, rows: Any) -> pa.Table:
        found = infer(target, key, rows)
        parts.append(found.num_rows)
        return found

    monkeypatch.setattr(type(_target(served)), "infer_table", told)
    for output, media in PRINTED.items():
        out, _ = called(
            served, "infer", "prices", str(file), "--output", output, "--out", str(tmp_path / "all.parquet")
        )
        assert outputs(decode(out, media)) == expected(25), output
        assert parts == [7, 7, 7, 4]
        parts.clear()
        assert outputs(pq.read_table(tmp_path / "all.parquet")) == expected(25)
    out, _ = called(served, "infer", "prices", str(file), "--limit", "9")
    assert "25 rows, the first 9 shown." in out.decode()


def _target(repo: SpecRepo) -> Any:
    from specrunner.targets.local.target import LocalTarget

    return LocalTarget.__new__(LocalTarget)


def test_shadows_and_validations_are_in_the_answer(served: SpecRepo, tmp_path: Path) -> None:
    file = tmp_path / "rows.arrow"
    file.write_bytes(encode(rows_table(4), Media.ARROW_FILE))
    rows = json.loads(called(served, "infer", "prices", str(file), "--json")[0])
    for row in rows:
        assert row["out_candidate.variable"][0] == 2 * (row["out.variable"][0] - 1) + 1
        assert (
            row["check_failures"]
            == row["anomaly.count"]
            == int(row["anomaly.cheap"])
            == int(row["out.variable"][0] >= 5000)
        )
    assert called(served, "plan")[0].decode().count("No changes") == 1


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["infer", "absent", "{good}"], "There is no pipeline 'absent'"),
        (["infer", "prices", "{bad}"], "not readable as"),
        (["infer", "prices", "{good}", "--out", "x.xls"], "x.xls"),
        (["pipeline", "show", "absent"], "There is no pipeline 'absent'"),
        (["pipeline", "deploy", "prices", "--version", "zzz"], "no version 'zzz'"),
        (["pipeline", "export", "prices", "x.xls"], "no file to export to"),
        (["pipeline", "logs", "prices", "--from", "noon"], "no instant"),
    ],
)
def test_what_can_not_be_done_is_told(served: SpecRepo, tmp_path: Path, words: list[str], told: str) -> None:
    good, bad = tmp_path / "good.arrow", tmp_path / "bad.arrow"
    good.write_bytes(encode(rows_table(1), Media.ARROW_FILE))
    bad.write_bytes(b"x" * 100)
    typed = [word.format(good=good, bad=bad) for word in words]
    _, err = called(served, *typed, code=64 if "noon" in words else 1)
    assert told in err and "Traceback" not in err


def test_a_pipeline_is_listed_shown_deployed_and_undeployed(served: SpecRepo) -> None:
    (view,) = json.loads(called(served, "pipeline", "list", "--json")[0])
    assert (view["key"], view["state"], view["holders"]) == ("Pipeline/lab/prices", "running", ["spec"])
    (version,) = json.loads(called(served, "pipeline", "versions", "prices", "--json")[0])
    assert version["inForce"] and version["steps"] == [{"model": "prices", "shadow": ["candidate"]}]
    shown = called(served, "pipeline", "show", "prices")[0].decode()
    assert "prices (shadows candidate)" in shown and version["version"] in shown
    assert "spec" in called(served, "pipeline", "list")[0].decode()
    assert version["version"] in called(served, "pipeline", "versions", "prices")[0].decode()

    assert "Held by spec, user" in called(served, "pipeline", "deploy", "prices")[0].decode()
    given_back = called(served, "pipeline", "undeploy", "lab/prices")[0].decode()
    assert "stays up for spec" in given_back and "--force" in given_back
    with piped(encode(rows_table(1), Media.ARROW_FILE)):
        assert "You gave your deployment" in called(served, "infer", "prices", "-", code=1)[1]
    assert "No changes" in called(served, "plan")[0].decode()
    assert "is undeployed.\n" in called(served, "pipeline", "undeploy", "prices", "--force")[0].decode()
    assert "deployed" in called(served, "plan")[0].decode()
    again = called(served, "pipeline", "deploy", "prices", "--version", version["version"][:8])[0].decode()
    assert "Held by user." in again
    called(served, "apply", "--yes")
    assert "Held by spec, user" in called(served, "pipeline", "deploy", "prices")[0].decode()


def test_custom_json_is_told_by_its_first_character_and_refused_by_models_of_tables(
    served: SpecRepo, tmp_path: Path
) -> None:
    with piped(b' {"tensor": [1.0]}'):
        assert "takes tables, not custom JSON" in called(served, "infer", "prices", "-", code=1)[1]
    (tmp_path / "rows.json").write_bytes(encode(rows_table(1), Media.PANDAS_RECORDS))
    said = called(served, "infer", "prices", str(tmp_path / "rows.json"), "--custom-json", code=1)[1]
    assert "takes tables, not custom JSON" in said
    with piped(b'{"tensor": '):
        assert "What came is not readable as JSON" in called(served, "infer", "prices", "-", code=1)[1]


def test_the_log_is_shown_and_exported(served: SpecRepo, tmp_path: Path) -> None:
    with piped(encode(rows_table(3), Media.ARROW_FILE)):
        called(served, "infer", "prices", "-")
    newest = json.loads(called(served, "pipeline", "logs", "prices", "--limit", "3", "--json")[0])
    assert [row["out.variable"] for row in newest] == expected(3)[::-1]
    out, err = called(served, "pipeline", "logs", "prices", "--limit", "2")
    assert "2 rows." in out.decode() and "There are more rows" in err and "pipeline export" in err
    for name in ("all.arrow", "all.parquet", "all.csv"):
        out, _ = called(served, "pipeline", "export", "prices", str(tmp_path / name))
        assert (tmp_path / name).exists() and "rows: " in out.decode()
    logged = json.loads(called(served, "pipeline", "list", "--json")[0])[0]["logged"]
    assert pq.read_table(tmp_path / "all.parquet").num_rows == logged
    moment = datetime.fromtimestamp(newest[0]["time"] / 1000).astimezone().isoformat()
    found = json.loads(called(served, "pipeline", "logs", "prices", "--from", moment, "--to", moment, "--json")[0])
    assert found == newest[::-1]


def test_to_look_at_pipelines_changes_nothing(served: SpecRepo, tmp_path: Path) -> None:
    before = served.snapshot()
    for words in (["list"], ["show", "prices"], ["versions", "prices"], ["logs", "prices"]):
        called(served, "pipeline", *words)
    called(served, "pipeline", "export", "prices", str(tmp_path / "rows.arrow"))
    assert served.snapshot() == before
