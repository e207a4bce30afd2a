"""Forecast the bikes of the next seven days from the newest seven rows of a BigQuery table; keep it in another.

Arguments of the task: `workspace`, `pipeline`, and the connections `input` and `output`, all names.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import wallaroo
from google.cloud import bigquery
from google.oauth2 import service_account

from specrunner import sdk

COLUMNS = ("temp", "holiday", "workingday", "windspeed")


def main() -> None:
    wl = wallaroo.Client()
    args = wl.task_args()
    wl.set_current_workspace(wl.get_workspace(args["workspace"]))
    source, sink = (wl.get_connection(args[name]).details() for name in ("input", "output"))

    newest = f"SELECT * FROM {source['dataset']}.{source['table']} ORDER BY dteday DESC LIMIT 7"
    found = client_of(source).query(f"SELECT {', '.join(COLUMNS)} FROM ({newest}) ORDER BY dteday").result()
    days = [dict(row) for row in found]
    week = {name: {str(number): day[name] for number, day in enumerate(days)} for name in COLUMNS}

    pipeline = wl.pipelines_by_name(args["pipeline"])[0]
    pipeline.deploy()
    try:
        (answer,) = pipeline.infer(week)
    finally:
        pipeline.undeploy()

    row = {"date": datetime.now(UTC).isoformat(), "forecast": json.dumps(answer["forecast"])}
    wrong = client_of(sink).insert_rows_json(f"{sink['project_id']}.{sink['dataset']}.{sink['table']}", [row])
    if wrong:
        raise SystemExit(f"BigQuery refused the row: {wrong}")
    print(f"Asked {args['pipeline']}: {row['forecast']}")
    sdk.record_result({"forecast": answer["forecast"]})


def client_of(details: dict[str, Any]) -> bigquery.Client:
    """The client of a connection's details: a key file's content, and where BigQuery answers."""
    return bigquery.Client(
        credentials=service_account.Credentials.from_service_account_info(details),
        project=details["project_id"],
        client_options={"api_endpoint": details["endpoint"]},
    )


if __name__ == "__main__":
    main()
