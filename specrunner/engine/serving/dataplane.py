"""The data plane of one pipeline: a table in, the table that is answered and logged out.

The answer has these columns, in this order, with exactly these types:

* `time: timestamp[ms]`, one stamp for all rows of a request;
* `in.<column>` for each column that came: `list<item: T> not null` for lists, T being the model's element type,
  so that a request as JSON is logged just as the same one as Arrow; scalars as they came;
* `out.<output>` for each output of the last step: `list<inner: T not null> not null`, or scalars;
* `out_<model>.<output>` for each output of a shadow model, null where the shadow failed;
* `check_failures: int8`, the number of validations that failed.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol

import numpy as np
import pyarrow as pa

from specrunner.core.errors import BadInput, SpecrunnerError
from specrunner.core.values import Json, utc
from specrunner.engine.ports import LoadedModel, TakesJson
from specrunner.engine.serving.tensors import ARROW_TYPES, input_column, output_type, pair_columns

ALL_COLUMNS = "*"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_logger = logging.getLogger(__name__)
_Column = tuple[pa.Field, pa.Array]


class ResultSink(Protocol):
    """Where answers are remembered, off the path of the response."""

    def append(self, result: pa.Table) -> None:
        """Take over the rows of one request."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a pipeline: the model that answers, and models that only watch, by name."""

    name: str
    model: LoadedModel
    shadows: Mapping[str, LoadedModel] = field(default_factory=dict)


class PipelinePlane:
    """The loaded steps of one deployed pipeline; `infer` may be called from several threads at once."""

    def __init__(self, steps: Sequence[Step], log: ResultSink | None = None) -> None:
        if not steps:
            raise BadInput("The pipeline has no steps", "Nothing could answer.", "Give it a model step.")
        self._steps = tuple(steps)
        self._log = log

    def infer(self, table: pa.Table, now: datetime) -> pa.Table:
        """The answer to one request, see this module's description; it is in the log's hands when this returns.

        Raises BadInput saying which step expected what.
        """
        table = table.combine_chunks()
        watched: list[_Column] = []
        current = table
        for number, step in enumerate(self._steps, 1):
            outputs = self._predict(number, step, current)
            watched += _watch(step, current)
            current = outputs
        result = _result(table, self._inputs(table), current, watched, now)
        if self._log is not None:
            self._log.append(result)
        return result

    def close(self) -> None:
        """Free every model."""
        for step in self._steps:
            for model in (step.model, *step.shadows.values()):
                model.close()

    def infer_json(self, value: Json, now: datetime) -> tuple[Json, pa.Table]:
        """The answer to custom JSON, each step's being the next one's question, and the row to be logged.

        Raises BadInput where a step takes tables only.
        """
        current = value
        for step in self._steps:
            if not isinstance(step.model, TakesJson):
                raise BadInput(
                    f"The model {step.name!r} takes tables, not custom JSON.",
                    "Custom JSON (a dict in, a list of dicts out) is for pipelines of Python models.",
                    "Send a pandas.DataFrame or a pyarrow.Table.",
                )
            current = step.model.predict_json(current)
        row = pa.table(
            {
                "time": pa.array([milliseconds(now)], pa.timestamp("ms")),
                "in.json": [json.dumps(value)],
                "out.json": [json.dumps(current)],
                "check_failures": pa.array([0], pa.int8()),
            }
        )
        if self._log is not None:
            self._log.append(row)
        return current, row

    def _predict(self, number: int, step: Step, table: pa.Table) -> pa.Table:
        try:
            return step.model.predict(table)
        except BadInput as error:
            if number == 1:
                raise
            raise BadInput(
                f"Step {number} (`{step.name}`): {error.summary}",
                error.detail,
                f"Let step {number - 1} put out what step {number} takes in.",
            ) from error

    def _inputs(self, table: pa.Table) -> list[_Column]:
        if not self._steps[0].model.inputs:
            return [input_column(table.column(name), f"in.{name}") for name in table.column_names]
        pairs = pair_columns(self._steps[0].model.inputs, table.column_names)
        return [
            input_column(table.column(name), f"in.{name}", ARROW_TYPES[bound.type]) for name, bound in pairs.items()
        ]


def _watch(step: Step, table: pa.Table) -> list[_Column]:
    """The outputs of the shadows; what goes wrong in a shadow is logged and never reaches who asked."""
    columns: list[_Column] = []
    for name, model in step.shadows.items():
        found: pa.Table | None = None
        try:
            found = model.predict(table)
        except SpecrunnerError as error:
            _logger.warning("shadow model failed: %s", error.summary, extra={"action": "shadow", "model": name})
        for output in model.outputs:
            kind = output_type(output)
            values = pa.nulls(table.num_rows, kind) if found is None else found.column(output.name)
            columns.append((pa.field(f"out_{name}.{output.name}", values.type), values))
    return columns


def _result(
    table: pa.Table, inputs: list[_Column], outputs: pa.Table, watched: list[_Column], now: datetime
) -> pa.Table:
    rows = table.num_rows
    answered = [
        (pa.field(f"out.{column.name}", column.type, column.nullable), outputs.column(number))
        for number, column in enumerate(outputs.schema)
    ]
    columns = [
        (pa.field("time", pa.timestamp("ms")), pa.array(np.full(rows, milliseconds(now)), pa.timestamp("ms"))),
        *inputs,
        *answered,
        *watched,
        (pa.field("check_failures", pa.int8()), pa.array(np.zeros(rows, np.int8))),
    ]
    return pa.Table.from_arrays([values for _, values in columns], schema=pa.schema([column for column, _ in columns]))


def milliseconds(moment: datetime) -> int:
    """Whole milliseconds since the epoch, rounded down. Raises ValueError for a naive datetime."""
    return (utc(moment) - _EPOCH) // _MILLISECOND


def select_columns(
    table: pa.Table, dataset: Sequence[str] = (ALL_COLUMNS,), exclude: Sequence[str] = (), separator: str = "."
) -> pa.Table:
    """The columns that a request asked for, in the table's order.

    A name in `dataset` or `exclude` means the column of that name or all columns of that group (`in`, `out`,
    `metadata`); `*` means all. `separator` stands between group and column in the names of the answer. Names
    that are not there are passed over. Raises BadInput where nothing is left.
    """
    kept = [
        name
        for name in table.column_names
        if any(_means(wanted, name) for wanted in dataset) and not any(_means(unwanted, name) for unwanted in exclude)
    ]
    if not kept:
        raise BadInput(
            "The dataset selects no column",
            f"Asked for were {', '.join(dataset) or 'none'}, without {', '.join(exclude) or 'none'}; there are "
            f"{', '.join(table.column_names)}.",
            "Ask for `*`, or for `time`, `in` and `out`.",
        )
    return table.select(kept).rename_columns([name.replace(".", separator, 1) for name in kept])


def _means(wanted: str, name: str) -> bool:
    return wanted in {ALL_COLUMNS, name} or name.startswith(f"{wanted}.")
