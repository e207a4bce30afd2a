"""The four tutorials as YAML, on the embedded engine and on a server: the same results, and nothing left to do."""

from __future__ import annotations

import functools
import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pyarrow as pa
import pytest
import yaml

from specrunner.engine.packaging.environments import UvEnvironments
from tests.acceptance.conftest import make_repo
from tests.acceptance.spec_repo import CHECKOUT, SpecRepo
from tests.acceptance.test_bike_forecast import FORECAST
from tests.acceptance.test_server_target import called, serving
from tests.support.bigquery import BigQuery, standing_in

SPECS = CHECKOUT / "examples" / "specs"
EXAMPLE = SPECS / "tutorials"
ONCE = ("house price run once task", "big query single run", "forecast once", "api run once task")
OTHER = "forecast with the other pipeline"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_arguments: object) -> None:
        """Write nothing to the terminal."""


@dataclass(frozen=True, slots=True)
class Applied:
    """The example after its first apply, on one target, with a BigQuery of its own."""

    repo: SpecRepo
    bigquery: BigQuery
    said: str

    def results(self, task: str) -> Any:
        """What the newest run of a task has told, which has succeeded."""
        newest = self.repo.runs(task)[0]
        assert newest["status"] == "success", newest
        return newest["results"]


@contextmanager
def houses_served() -> Iterator[str]:
    handler = functools.partial(Quiet, directory=str(EXAMPLE / "data"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/houses-1k.arrow"
        finally:
            server.shutdown()
            thread.join()


def houses(name: str = "house-price/orchestrations/bundled_data/houses-20.arrow") -> list[list[float]]:
    table = pa.ipc.open_file((SPECS / name).read_bytes()).read_all()
    return [list(row) for row in table["tensor"].to_pylist()]


def prices(rows: list[list[float]]) -> list[float]:
    """What the model itself says of houses."""
    session = ort.InferenceSession(EXAMPLE / "models" / "house_price.onnx", providers=["CPUExecutionProvider"])
    (found,) = session.run(["variable"], {"float_input": np.asarray(rows, np.float32)})
    return [float(price) for (price,) in found]


def filled(bigquery: BigQuery) -> None:
    """The tables of the example, with small data of our own."""
    for statement in (EXAMPLE / "bigquery" / "tables.sql").read_text("utf-8").split(";")[:-1]:
        bigquery.run(statement)
    bigquery.insert("tutorials.houseprice_inputs", [{"tensor": row} for row in houses()])
    week = json.loads((SPECS / "bike-forecast/orchestrations/weekly_forecast/next-week.json").read_text("utf-8"))
    days = [
        {"dteday": f"2031-05-0{day}", **{name: row[str(day - 1)] for name, row in week.items()}} for day in range(1, 8)
    ]
    before = {**days[0], "dteday": "2031-04-30", "temp": 0.9}  # only the newest seven are asked about
    bigquery.insert("tutorials.forecast_inputs", [*reversed(days), before])


@contextmanager
def applied(root: Path, cache: Path, target: object) -> Iterator[Applied]:
    shutil.copytree(EXAMPLE, root, ignore=shutil.ignore_patterns(".specrunner", "status", "__pycache__"))
    project = yaml.safe_load((root / "specrunner.yaml").read_text("utf-8"))
    project["spec"]["target"] = target
    with houses_served() as url, standing_in() as bigquery, pytest.MonkeyPatch.context() as patch:
        filled(bigquery)
        environ = {"SPECRUNNER_CACHE": str(cache), "HOUSES_URL": url, "BIGQUERY_ENDPOINT": bigquery.url}
        key = bigquery.key("tests", "", "")
        # Ours stand among the details: the key file is what Google gives.
        environ["BIGQUERY_KEY"] = json.dumps({name: key[name] for name in key.keys() - {"dataset", "table"}})
        repo = SpecRepo(root, environ)
        repo.write("specrunner.yaml", yaml.safe_dump(project))
        for name, value in environ.items():
            patch.setenv(name, value)
        yield Applied(repo, bigquery, called(repo, "apply", "--yes").out)


@pytest.fixture(scope="module")
def environments(cache: Path) -> None:
    """Built before, for however long that takes."""
    models = yaml.safe_load_all((EXAMPLE / "bikes-by-bigquery" / "model.yaml").read_text("utf-8"))
    packages = [model["spec"]["requirements"] for model in models]
    found = UvEnvironments(cache)
    code = (EXAMPLE / "orchestrations" / "bigquery_bikes" / "requirements.txt").read_text("utf-8")
    for requirements in ("", code, "\n".join(packages[0])):
        found.ensure(found.lock(requirements))


@pytest.fixture(scope="module", params=["local", "server"])
def tutorials(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, cache: Path, environments: None
) -> Iterator[Applied]:
    folder = tmp_path_factory.mktemp("tutorials")
    if request.param == "local":
        with applied(folder / "specs", cache, "local") as found:
            yield found
        return
    with (
        serving(make_repo(folder / "host", cache)) as (_, url),
        applied(folder / "specs", cache, {"server": url}) as found,
    ):
        yield found


def test_every_order_of_the_tutorials_was_carried_out(tutorials: Applied) -> None:
    for task in (*ONCE, OTHER):
        tutorials.results(task)
    kinds = [key.partition("/")[0] for key in tutorials.repo.objects()]
    counted = {kind: kinds.count(kind) for kind in set(kinds)}
    assert counted == {
        "Workspace": 4, "Model": 4, "Pipeline": 5, "Connection": 5, "Orchestration": 4, "Task": 9
    }  # fmt: skip


def test_the_houses_of_the_download_have_the_prices_that_the_model_gives(tutorials: Applied) -> None:
    expected = prices(houses("tutorials/data/houses-1k.arrow"))
    told = tutorials.results(ONCE[0])
    assert told["rows"] == 1_000
    assert [*told["first"], told["last"]] == pytest.approx([*expected[:3], expected[-1]], rel=1e-6)


def test_the_houses_of_the_table_have_their_prices_in_the_other_table(tutorials: Applied) -> None:
    rows = tutorials.bigquery.rows("SELECT in_tensor, out_variable, check_failures FROM tutorials.houseprice_outputs")
    given = houses()
    assert len(rows) % len(given) == 0 and len(rows) > 0  # the schedule may have fired meanwhile
    newest = rows[: len(given)]
    assert np.allclose([row[0] for row in newest], given)
    assert [row[1][0] for row in newest] == pytest.approx(prices(given), rel=1e-6)
    assert {row[2] for row in rows} == {0}


def test_both_pipelines_forecast_the_week_that_the_table_has(tutorials: Applied) -> None:
    for task in ("forecast once", OTHER):
        assert [round(count) for count in tutorials.results(task)["forecast"]] == FORECAST
    kept = tutorials.bigquery.rows("SELECT forecast FROM tutorials.forecast_outputs")
    assert len(kept) >= 2
    assert {tuple(round(count) for count in json.loads(text)) for (text,) in kept} == {tuple(FORECAST)}
    assert "bigquerystatsmodelpipeline02" in called(tutorials.repo, "logs", OTHER).out


def test_what_the_api_runs_stands_in_the_log_of_its_pipeline(tutorials: Applied) -> None:
    tensor = json.loads((EXAMPLE / "orchestrations/one_house/house.json").read_text("utf-8"))["tensor"]
    (expected,) = prices([tensor])
    assert f"{expected:,.2f}" in called(tutorials.repo, "logs", "api run once task").out


def test_a_schedule_runs_the_same_code(tutorials: Applied) -> None:
    called(tutorials.repo, "run", "schedule example")
    assert tutorials.results("schedule example") == tutorials.results(ONCE[0])


def test_afterwards_there_is_nothing_to_do_and_no_key_was_shown(tutorials: Applied) -> None:
    assert "No changes" in called(tutorials.repo, "plan", "--detailed-exitcode").out
    written = "".join(path.read_text("utf-8") for path in (tutorials.repo.root / "status").rglob("*.yaml"))
    shown = tutorials.said + written + json.dumps(tutorials.repo.look("status"))
    assert "PRIVATE KEY" not in shown and "private_key_id" not in shown


def test_the_files_of_the_other_examples_are_used_as_they_are() -> None:
    for name, source in {
        "models/house_price.onnx": "house-price/models/house_price.onnx",
        "models/bike_forecast.pkl": "bike-forecast/models/bike_forecast.pkl",
        "data/houses-1k.arrow": "house-price/data/houses-1k.arrow",
    }.items():
        assert (EXAMPLE / name).read_bytes() == (SPECS / source).read_bytes(), name
