"""Ask the deployed pipeline for the bikes of the next seven days, and keep the answer as the run's result.

The question is custom JSON: what the model's script takes, which here is a mapping of columns to values by day. The
answer is a list of objects. Arguments of the task: `workspace` and `pipeline`, both names.
"""

from __future__ import annotations

import json
from pathlib import Path

from specrunner import sdk

# The bundle is unpacked as it was uploaded, so what lay beside this file still does.
WEEK = Path(__file__).with_name("next-week.json")


def main() -> None:
    wl = sdk.Client()
    args = wl.task_args()
    wl.set_current_workspace(wl.get_workspace(args["workspace"]))

    pipeline = wl.pipelines_by_name(args["pipeline"])[0]
    week = json.loads(WEEK.read_text("utf-8"))
    (answer,) = pipeline.infer(week)

    bikes = [round(count) for count in answer["forecast"]]
    for day, count in enumerate(bikes, 1):
        print(f"day {day}: {count:>5,} bikes")
    sdk.record_result({"forecast": bikes, "total": sum(bikes)})


if __name__ == "__main__":
    main()
