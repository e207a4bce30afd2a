"""Download a table of houses, deploy the pipeline, let it price them, and undeploy it.

Arguments of the task: `workspace`, `pipeline` and `connection`, all names. The connection's details hold the address of
an Arrow file at `host`.
"""

from __future__ import annotations

import pyarrow as pa
import requests
import wallaroo

from specrunner import sdk


def main() -> None:
    wl = wallaroo.Client()
    args = wl.task_args()
    wl.set_current_workspace(wl.get_workspace(args["workspace"]))

    address = wl.get_connection(args["connection"]).details()["host"]
    response = requests.get(address, headers={"Accept": "application/vnd.apache.arrow.file"}, timeout=30)
    response.raise_for_status()
    with pa.ipc.open_file(response.content) as reader:
        houses = reader.read_all()

    pipeline = wl.pipelines_by_name(args["pipeline"])[0]
    pipeline.deploy()
    try:
        result = pipeline.infer(houses)
    finally:
        pipeline.undeploy()
    prices = [row[0] for row in result["out.variable"].to_pylist()]
    print(f"Priced {len(prices)} houses.")
    sdk.record_result({"rows": len(prices), "first": prices[:3], "last": prices[-1]})


if __name__ == "__main__":
    main()
