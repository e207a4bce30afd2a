"""Download a table of houses, let the deployed pipeline price them, and say what came out.

Arguments of the task: `workspace`, `pipeline` and `connection`, all names. The connection's details hold the address
of an Arrow IPC file at `host`; its column `tensor` is what the pipeline takes.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import requests

from specrunner import sdk

SECONDS_TO_ANSWER = 30


def main() -> None:
    wl = sdk.Client()
    args = wl.task_args()
    wl.set_current_workspace(wl.get_workspace(args["workspace"]))

    address = wl.get_connection(args["connection"]).details()["host"]
    print(f"Downloading {address}")
    houses = download(address)

    pipeline = wl.pipelines_by_name(args["pipeline"])[0]
    prices = first_values(pipeline.infer(houses))
    summary = summarise(prices)
    print_summary(args["pipeline"], summary)
    sdk.record_result(summary)  # stands in the record of the run, for people and programs


def download(address: str) -> pa.Table:
    """The Arrow IPC file behind an address. Raises requests.RequestException where it can't be had."""
    response = requests.get(address, timeout=SECONDS_TO_ANSWER)
    response.raise_for_status()
    with pa.ipc.open_file(response.content) as reader:
        return reader.read_all()


def first_values(result: pa.Table) -> pa.Array:
    """The price of each house: the model answers with a list of one number a row."""
    return pc.list_element(result["out.variable"].combine_chunks(), 0)


def summarise(prices: pa.Array) -> dict[str, Any]:
    """Rows, mean, lowest and highest price, and the first five predictions, to the hundredth."""
    extremes = pc.min_max(prices).as_py()
    return {
        "rows": len(prices),
        "mean": round(pc.mean(prices).as_py(), 2),
        "min": round(extremes["min"], 2),
        "max": round(extremes["max"], 2),
        "first": [round(price, 2) for price in prices[:5].to_pylist()],
    }


def print_summary(pipeline: str, summary: dict[str, Any]) -> None:
    """Tell the same to whoever reads the log of the run."""
    print(f"Pipeline {pipeline} priced {summary['rows']:,} houses.")
    for name, label in {"mean": "mean", "min": "lowest", "max": "highest"}.items():
        print(f"  {label:<8} {summary[name]:>14,.2f}")
    print("The first five predictions:")
    for price in summary["first"]:
        print(f"  {price:>14,.2f}")


if __name__ == "__main__":
    main()
