"""The example with several pipelines, applied as a person does: one run asks all of them, and holds end with it."""

from __future__ import annotations

import json
import runpy
import shutil
from pathlib import Path

import pyarrow as pa
import pytest

from tests.acceptance.spec_repo import SpecRepo

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "specs" / "multi-pipeline"


@pytest.fixture
def example(tmp_path: Path, cache: Path) -> SpecRepo:
    shutil.copytree(EXAMPLE, tmp_path / "specs", ignore=shutil.ignore_patterns(".specrunner", "status"))
    return SpecRepo(tmp_path / "specs", {"SPECRUNNER_CACHE": str(cache)})


def test_one_task_asks_three_pipelines_about_the_data_in_its_bundle(example: SpecRepo) -> None:
    example.run("apply", "--yes")
    said = [line.split() for line in example.run("logs", "score the days").out.splitlines() if line]
    assert [line[0] for line in said] == ["demand", "wind-power", "price"]
    assert {line[2] for line in said} == {"48"}
    views = {view["key"]: view for view in example.look("pipeline", "list")}
    assert {key: view["holders"] for key, view in views.items()} == {
        "Pipeline/energy/demand": ["spec"],
        "Pipeline/energy/wind-power": [],
        "Pipeline/energy/price": [],
    }
    assert {view["logged"] for view in views.values()} == {48}
    newest = json.loads(example.run("pipeline", "logs", "wind-power", "--limit", "48", "--json").out)
    assert {len(row["out_demand.megawatts"]) for row in newest} == {1}
    failed = [row for row in newest if not 0 <= row["out.megawatts"][0] <= 40]
    assert [row["check_failures"] for row in newest].count(1) == len(failed) == int(said[1][-2])
    assert "No changes" in example.run("plan").out


def test_what_is_committed_is_what_the_generator_makes(tmp_path: Path) -> None:
    made = tmp_path / "multi-pipeline"
    shutil.copytree(EXAMPLE / "generate", made / "generate")
    (made / "orchestrations" / "score_the_days").mkdir(parents=True)
    runpy.run_path(str(made / "generate" / "generate.py"), run_name="__main__")
    hours = "orchestrations/score_the_days/hours.arrow"
    ours, theirs = (pa.ipc.open_file(str(root / hours)).read_all() for root in (made, EXAMPLE))
    assert ours == theirs
    for name in ("demand", "wind_power", "price"):
        assert (made / "models" / f"{name}.onnx").stat().st_size < 1_000
        assert (made / "models" / f"{name}.onnx").read_bytes() == (EXAMPLE / "models" / f"{name}.onnx").read_bytes()
