"""Price the houses of the file that travels with this code.

Code written for the `wallaroo` SDK runs as it is: in a run, that name stands for specrunner's own SDK.
Arguments of the task: `workspace` and `pipeline`, both names.
"""

from __future__ import annotations

from pathlib import Path

import wallaroo

# The bundle is unpacked as it was uploaded, so what lay beside this file still does.
HOUSES = Path(__file__).with_name("houses-20.arrow")


def main() -> None:
    wl = wallaroo.Client()
    args = wl.task_args()
    wl.set_current_workspace(wl.get_workspace(args["workspace"]))

    pipeline = wl.pipelines_by_name(args["pipeline"])[0]
    result = pipeline.infer_from_file(str(HOUSES)).to_pandas()
    prices = result["out.variable"].str[0]  # the model answers with a list of one number a row

    print(f"Pipeline {args['pipeline']} priced {len(prices)} houses.")
    print(f"  cheapest  house {prices.idxmin() + 1:>2}: {prices.min():>14,.2f}")
    print(f"  dearest   house {prices.idxmax() + 1:>2}: {prices.max():>14,.2f}")


if __name__ == "__main__":
    main()
