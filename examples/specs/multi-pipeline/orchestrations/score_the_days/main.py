"""Ask several pipelines about the same hours, which travel with this code.

Each pipeline is deployed, asked and undeployed. That is this run's own hold: what the specs or other runs keep up
stays up. Arguments of the task: `workspace`, and the names of the `pipelines`.
"""

from __future__ import annotations

from pathlib import Path

import wallaroo

HOURS = Path(__file__).with_name("hours.arrow")


def main() -> None:
    wl = wallaroo.Client()
    args = wl.task_args()
    wl.set_current_workspace(wl.get_workspace(args["workspace"]))

    for name in args["pipelines"]:
        pipeline = wl.pipelines_by_name(name)[0]
        pipeline.deploy()
        result = pipeline.infer_from_file(str(HOURS)).to_pandas()
        pipeline.undeploy()

        output = next(column for column in result.columns if column.startswith("out."))
        values = result[output].str[0]  # the models answer with a list of one number a row
        failures = sum(result["check_failures"] > 0)
        print(
            f"{name:<10} {output.removeprefix('out.'):<10} {len(values)} hours: "
            f"{values.min():8.2f} to {values.max():8.2f}, {failures} implausible"
        )


if __name__ == "__main__":
    main()
