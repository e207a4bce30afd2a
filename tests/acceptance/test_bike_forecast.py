"""The example `bike-forecast`, as a person uses it: applied, asked, changed, and spoilt."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml

from specrunner.engine.packaging.environments import UvEnvironments
from tests.acceptance.spec_repo import CHECKOUT, SpecRepo

EXAMPLE = CHECKOUT / "examples" / "specs" / "bike-forecast"
FORECAST = [1577, 2075, 1574, 1477, 1840, 1704, 1662]  # of the committed model, to the next bike


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> SpecRepo:
    """The example, applied; its environments are built before, for however long that takes."""
    (model,) = yaml.safe_load_all((EXAMPLE / "model.yaml").read_text("utf-8"))
    environments = UvEnvironments(cache)
    for requirements in ("", "\n".join(model["spec"]["requirements"])):
        environments.ensure(environments.lock(requirements))
    root = tmp_path_factory.mktemp("bikes") / "specs"
    shutil.copytree(EXAMPLE, root, ignore=shutil.ignore_patterns(".specrunner", "status", "__pycache__"))
    made = SpecRepo(root, {"SPECRUNNER_CACHE": str(cache)})
    said = made.run("apply", "--yes").out
    assert "Applied: 5 done." in said
    return made


def test_the_run_has_asked_for_the_week_in_custom_json(repo: SpecRepo) -> None:
    (run,) = repo.runs()
    assert run["status"] == "success"
    assert run["results"] == {"forecast": FORECAST, "total": sum(FORECAST)}
    assert "day 1: 1,577 bikes" in repo.run("logs", "forecast the week").out
    assert "No changes" in repo.run("plan").out


def test_a_table_gives_the_same_forecast(repo: SpecRepo) -> None:
    rows = repo.run("infer", "bike-forecast", "data/next-week.csv", "--json").json
    rows = rows["rows"] if isinstance(rows, dict) else rows
    assert [round(row["out.forecast"]) for row in rows] == FORECAST


def test_the_command_line_asks_in_custom_json_as_the_run_does(repo: SpecRepo) -> None:
    question = "orchestrations/weekly_forecast/next-week.json"
    said = repo.run("infer", "bike-forecast", question).json
    assert [round(value) for value in said[0]["forecast"]] == FORECAST
    repo.run("infer", "bike-forecast", question, "--out", "week.json", "--json")
    assert json.loads((repo.root / "week.json").read_text("utf-8")) == said
    logged = repo.run("pipeline", "logs", "bike-forecast", "--limit", "1", "--json").json
    assert json.loads(logged[0]["out.json"]) == said
    assert "answered in JSON" in repo.run("infer", "bike-forecast", question, "--output", "csv", code=64).err


def test_what_does_not_fit_the_declared_columns_is_told_before_it_reaches_the_model(repo: SpecRepo) -> None:
    repo.write("data/odd.csv", "temp,holiday\n0.3,0\n")
    said = repo.run("infer", "bike-forecast", "data/odd.csv", code=1).err
    assert "has no column `workingday`, `windspeed`" in said and "temp: float64" in said


def test_other_requirements_are_another_version_and_deploy_the_pipeline_anew(repo: SpecRepo) -> None:
    file = repo.root / "model.yaml"
    before = file.read_text("utf-8")
    file.write_text(before.replace("scipy<1.12", "scipy<1.11"), "utf-8")
    steps = {step["key"]: step["action"] for step in repo.run("plan", "--json").json["steps"]}
    assert steps["Model/bike-forecast/bike-forecast"] == "upload"
    assert steps["Pipeline/bike-forecast/bike-forecast"] == "redeploy"
    file.write_text(before, "utf-8")
    assert "No changes" in repo.run("plan").out


def test_a_model_that_does_not_load_fails_at_deploy_with_its_own_traceback(repo: SpecRepo) -> None:
    repo.write("models/broken/model.py", "def predict(frame):\n    return frame['temp'] / nothing\n")
    spec = {"path": "models/broken", "framework": "python", "inputs": [{"name": "temp", "type": "float64"}]}
    repo.document("Model", "broken", spec)
    repo.document("Pipeline", "broken", {"deployed": True, "steps": [{"model": "broken"}]})
    said = repo.run("apply", "--yes", code=5).said
    assert "NameError: name 'nothing' is not defined" in said
    assert "model.py" in said and "line 2, in predict" in said
    assert json.loads(repo.run("status", "--json").out)


def test_requirements_that_can_not_be_had_leave_the_version_before_in_force(repo: SpecRepo) -> None:
    file = repo.root / "model.yaml"
    before = file.read_text("utf-8")
    file.write_text(before.replace("statsmodels==0.13.5", "statsmodels==99.1"), "utf-8")
    selected = ("--select", "Model/bike-forecast/bike-forecast")
    assert "statsmodels==99.1" in repo.run("apply", "--yes", *selected, code=1).said
    found = {one["key"]: one for one in repo.look("status")["objects"]}["Model/bike-forecast/bike-forecast"]
    assert found["state"] == "ready" and "A newer version is not in force" in found["detail"]
    file.write_text(before, "utf-8")
    assert "No changes" in repo.run("plan", *selected).out
    assert "7 rows" in repo.run("infer", "bike-forecast", "data/next-week.csv").out
