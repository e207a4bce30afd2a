"""Price the houses of one BigQuery table, and keep the prices in another.

Arguments of the task: `workspace`, `pipeline`, and the connections `input` and `output`, all names.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import wallaroo
from google.cloud import bigquery
from google.oauth2 import service_account

from specrunner import sdk


def main() -> None:
    wl = wallaroo.Client()
    args = wl.task_args()
    wl.set_current_workspace(wl.get_workspace(args["workspace"]))
    source, sink = (wl.get_connection(args[name]).details() for name in ("input", "output"))

    found = client_of(source).query(f"SELECT tensor FROM {source['dataset']}.{source['table']}").result()
    houses = pa.table({"tensor": pa.array([row.tensor for row in found], pa.list_(pa.float32()))})

    pipeline = wl.pipelines_by_name(args["pipeline"])[0]
    pipeline.deploy()
    try:
        result = pipeline.infer(houses)
    finally:
        pipeline.undeploy()

    rows = [kept(row) for row in result.to_pylist()]
    wrong = client_of(sink).insert_rows_json(f"{sink['project_id']}.{sink['dataset']}.{sink['table']}", rows)
    if wrong:
        raise SystemExit(f"BigQuery refused rows: {wrong[:3]}")
    print(f"Kept the prices of {len(rows)} houses.")
    sdk.record_result({"rows": len(rows), "dearest": max(row["out_variable"][0] for row in rows)})


def client_of(details: dict[str, Any]) -> bigquery.Client:
    """The client of a connection's details: a key file's content, and where BigQuery answers."""
    return bigquery.Client(
        credentials=service_account.Credentials.from_service_account_info(details),
        project=details["project_id"],
        client_options={"api_endpoint": details["endpoint"]},
    )


def kept(row: dict[str, Any]) -> dict[str, Any]:
    """A row of the answer as the output table has it."""
    return {
        "time": row["time"].isoformat(timespec="milliseconds"),
        "in_tensor": row["in.tensor"],
        "out_variable": row["out.variable"],
        "check_failures": row["check_failures"],
    }


if __name__ == "__main__":
    main()
