"""Price the one house of the file that travels with this code. What came of it stands in the pipeline's log.

Arguments of the task: `workspace` and `pipeline`, both names.
"""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import wallaroo

HOUSE = Path(__file__).with_name("house.json")


def main() -> None:
    wl = wallaroo.Client()
    args = wl.task_args()
    wl.set_current_workspace(wl.get_workspace(args["workspace"]))

    tensor = pa.array([json.loads(HOUSE.read_text("utf-8"))["tensor"]], pa.list_(pa.float32()))
    pipeline = wl.pipelines_by_name(args["pipeline"])[0]
    pipeline.deploy()
    try:
        result = pipeline.infer(pa.table({"tensor": tensor}))
    finally:
        pipeline.undeploy()
    (price,) = result["out.variable"].to_pylist()[0]
    print(f"It would sell for {price:,.2f}.")


if __name__ == "__main__":
    main()
