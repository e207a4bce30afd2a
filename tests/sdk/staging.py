"""What a tutorial finds around it: its files, the tables of its warehouse, a web server for what it fetches."""

from __future__ import annotations

import functools
import http.server
import json
import shutil
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from specrunner.engine.engine import default_cache
from specrunner.engine.packaging.environments import UvEnvironments
from tests.sdk.seeds import Block
from tests.support.bigquery import BigQuery
from tests.support.bikes import fitted

# The orchestration of tutorial 003 is named there and not printed; this is what its text says it does.
_API_MAIN = """\
import wallaroo
import pandas as pd

wl = wallaroo.Client()
for workspace in wl.list_workspaces():
    if workspace.name() == "apiorchestrationworkspace":
        wl.set_current_workspace(workspace)
pipeline = wl.pipelines_by_name("apipipeline")[0]
pipeline.deploy()
print(pipeline.infer(pd.read_json("xtest-1.df.json", orient="records")))
pipeline.undeploy()
"""
# Nor is that of tutorial 000, but for its arguments; it does what the tutorial did by hand just before.
_BIKES_MAIN = """\
import wallaroo
from google.cloud import bigquery
from google.oauth2 import service_account

wl = wallaroo.Client()
for workspace in wl.list_workspaces():
    if workspace.name() == "bigquerystatsmodelworkspace":
        wl.set_current_workspace(workspace)
pipeline = wl.pipelines_by_name(wl.task_args().get("pipeline_name", "bigquerystatsmodelpipeline"))[0]


def warehouse(name):
    details = wl.get_connection(name=name).details()
    credentials = service_account.Credentials.from_service_account_info(details)
    client = bigquery.Client(credentials=credentials, project=details["project_id"])
    return client, f"{details['dataset']}.{details['table']}"


source, days = warehouse("bigqueryforecastinputs")
week = f"(SELECT dteday, temp, holiday, workingday, windspeed FROM {days} ORDER BY dteday DESC LIMIT 7) ORDER BY dteday"
frame = source.query(week).to_dataframe().drop(columns=["dteday"])
pipeline.deploy()
forecast = pipeline.infer(frame.to_dict())[0]["forecast"]
pipeline.undeploy()
sink, forecasts = warehouse("bigqueryforecastoutputs")
sink.query(f'INSERT {forecasts} VALUES (current_timestamp(), "{forecast}")').result()
print("saved", forecast)
"""
_BIGQUERY_REQUIREMENTS = "google-cloud-bigquery>=3.20,<4\ngoogle-auth>=2.30,<3\ndb-dtypes>=1.2,<2\n"


def lay_out(shared: Path, blocks: list[Block], folder: Path) -> None:
    """The files that the tutorials name: models and data, and the zips of their orchestrations."""
    houses, bikes = shared / "data/houseprice", shared / "data/bikeday"
    for name, source in {
        "models/rf_model.onnx": houses / "rf_model.onnx",
        "data/xtest-1k.arrow": houses / "xtest-1k.arrow",
        "data/bike_day_eval.json": bikes / "bike_day_eval.json",
    }.items():
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(source, folder / name)
    mains = [block.code for block in blocks if "inference_source_connection" in block.code]
    _zip(folder / "remote_inference/remote_inference.zip", mains[0] if mains else "")
    _zip(folder / "api_inference_orchestration.zip", _API_MAIN, beside=houses / "xtest-1.df.json")
    name = "bigquery_statsmodel_remote_inference"
    _zip(folder / name / f"{name}.zip", _BIKES_MAIN, _BIGQUERY_REQUIREMENTS)


def _zip(path: Path, main: str, requirements: str = "", beside: Path | None = None) -> None:
    path.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("main.py", main)
        archive.writestr("requirements.txt", requirements)
        if beside is not None:
            archive.write(beside, beside.name)


def fit_bikes(shared: Path, folder: Path) -> None:
    """The model of the bikes, in the environment that it is served in."""
    fitted(UvEnvironments(default_cache()), shared / "data/bikeday", folder / "models")


def house_tables(shared: Path, bigquery: BigQuery, folder: Path) -> None:
    """The tables of tutorial 001, and the key files that lead to them."""
    rows = shared / "data/houseprice/xtest-1k.df.json"
    bigquery.database.execute("create schema housepricesga")
    bigquery.database.execute(f"create table housepricesga.inputs as select * from read_json('{rows}')")
    _keys(bigquery, folder, "housepricesga", "inputs", "outputs")


def bike_tables(shared: Path, bigquery: BigQuery, folder: Path) -> None:
    """The tables of tutorial 000, and the key files that lead to them."""
    rows = shared / "data/bikeday/day.csv"
    bigquery.database.execute("create schema bikes")
    bigquery.database.execute(f"create table bikes.forecast_inputs as select * from read_csv('{rows}')")
    bigquery.database.execute("create table bikes.forecast_outputs (date timestamp, forecast varchar)")
    (folder / "resources").mkdir()
    _keys(bigquery, folder / "resources", "bikes", "forecast_inputs", "forecast_outputs")


def _keys(bigquery: BigQuery, folder: Path, dataset: str, inputs: str, outputs: str) -> None:
    for name, table in {"input": inputs, "output": outputs}.items():
        key = bigquery.key("tests", dataset, table)
        (folder / f"bigquery_service_account_{name}_key.json.example").write_text(json.dumps(key), "utf-8")


@contextmanager
def web(folder: Path) -> Iterator[str]:
    """A web server with the files of a folder."""
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""
