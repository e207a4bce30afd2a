"""The tutorials' bike model, fitted anew from their data: one pickle, custom JSON, the printed forecasts."""

from __future__ import annotations

import ast
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from specrunner.core.lifecycle import ModelState
from specrunner.engine.engine import Engine
from specrunner.engine.packaging.environments import UvEnvironments
from specrunner.engine.ports import Environment
from specrunner.sdk import Client
from specrunner.sdk.pipelines import Pipeline
from specrunner.server.host import LoopbackApi
from tests.integration.engine_samples import StubEnvironments, add_task
from tests.support.bikes import fitted

SHARED = Path(__file__).resolve().parents[3] / "shared"
BIKES = SHARED / "data" / "bikeday"
needs_bikes = pytest.mark.skipif(not BIKES.is_dir(), reason="the tutorials' bike data is not on this machine")
CLOSE = 1e-6  # relative


class OwnModelsOnly(StubEnvironments):
    """Environments of models are built, those of runs are not: no run of these tests needs one."""

    def __init__(self, cache: Path) -> None:
        super().__init__()
        self.uv = UvEnvironments(cache)

    def lock(self, requirements: str) -> str:
        return self.uv.lock(requirements) if requirements else super().lock(requirements)

    def ensure(self, lock: str) -> Environment:
        return self.uv.ensure(lock) if lock else super().ensure(lock)


@pytest.fixture(scope="module")
def environments(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> OwnModelsOnly:
    given, kept = os.environ.get("SPECRUNNER_CACHE"), getattr(pytestconfig, "cache", None)
    cache = Path(given) if given else Path(kept.mkdir("specrunner")) if kept else tmp_path_factory.mktemp("cache")
    return OwnModelsOnly(cache)


@pytest.fixture(scope="module")
def pickles(environments: OwnModelsOnly, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The model with its script, and the bare results."""
    return fitted(environments, BIKES, tmp_path_factory.mktemp("pickles"))


@pytest.fixture(scope="module")
def engine(environments: OwnModelsOnly, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    folder = tmp_path_factory.mktemp("engine")
    with Engine(folder, folder / "cache", run_api=LoopbackApi, environments=environments) as engine:
        yield engine


@pytest.fixture
def client(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    run = engine.runs.submit(add_task(engine, ""))
    monkeypatch.setenv("SPECRUNNER_URL", engine.run_api().address())
    monkeypatch.setenv("SPECRUNNER_TOKEN", engine.runs.token(run.id))
    monkeypatch.setenv("SPECRUNNER_WORKSPACE_ID", str(engine.workspaces.ensure("lab").id))
    with Client() as client:
        yield client


def deployed(client: Client, name: str, model: Path) -> Pipeline:
    """As the tutorial does it: nothing but the file says what it is."""
    uploaded = client.upload_model(name, model).configure(runtime="python")
    pipeline = client.build_pipeline(name)
    pipeline.add_model_step(uploaded)
    pipeline.deploy()
    return pipeline


def printed() -> tuple[list[float], list[float], dict[str, dict[int, float]]]:
    """From the tutorial: the two forecasts that it prints, and what the second was asked with."""
    text = next(SHARED.glob("seeds/000_*.txt")).read_text("utf-8")
    first = re.search(r"\[\{'forecast': (\[[^\]]+\])\}\]", text)
    asked = re.search(r"(\{'temp': \{0:.*?\}\})", text, re.DOTALL)
    second = re.search(r"display\(results\[0\]\['forecast'\]\)\n```\n\s*(\[[^\]]+\])", text)
    assert first and asked and second
    return ast.literal_eval(first[1]), ast.literal_eval(second[1]), ast.literal_eval(asked[1])


@needs_bikes
def test_the_tutorials_forecasts_come_out_of_one_pickle(
    client: Client, engine: Engine, pickles: tuple[Path, Path]
) -> None:
    pipeline = deployed(client, "bikes", pickles[0])
    first, second, asked = printed()
    found = pipeline.infer_from_file(str(BIKES / "bike_day_eval.json"), data_format="custom-json")
    assert found == [{"forecast": pytest.approx(first, rel=CLOSE)}]
    assert pipeline.infer(asked)[0]["forecast"] == pytest.approx(second, rel=CLOSE)

    version = engine.models.newest(engine.workspaces.ensure("lab").id, "bikes")
    assert version.status is ModelState.READY
    assert {"statsmodels==0.13.5", "pandas==2.0.3"} <= set(version.lock.splitlines())
    assert pd.__version__ != "2.0.3", "the engine has another pandas than the model"

    logged = pipeline.logs(limit=1)
    assert list(logged) == ["time", "in.json", "out.json", "check_failures"]
    assert json.loads(logged["out.json"].iloc[0])[0]["forecast"] == pytest.approx(second, rel=CLOSE)
    pipeline.undeploy()


@needs_bikes
def test_bare_results_forecast_as_many_steps_as_rows_came(client: Client, pickles: tuple[Path, Path]) -> None:
    pipeline = deployed(client, "bare", pickles[1])
    first, _, asked = printed()
    (answer,) = pipeline.infer_from_file(str(BIKES / "bike_day_eval.json"), data_format="custom-json")
    assert answer["forecast"] == pytest.approx(first, rel=CLOSE)

    table = pipeline.infer(pd.DataFrame.from_dict(asked).head(3))
    assert list(table) == [
        "time", "in.temp", "in.holiday", "in.workingday", "in.windspeed", "out.forecast", "check_failures"
    ]  # fmt: skip
    assert len(table) == 3
    pipeline.undeploy()
