"""The data plane of one pipeline: a table in, the table that is answered and logged out.

The answer has these columns, in this order, with exactly these types:

* `time: timestamp[ms]`, one stamp for all rows of a request;
* `in.<column>` for each column that came: `list<item: T> not null` for lists, T being the model's element type,
  so that a request as JSON is logged just as the same one as Arrow; scalars as they came;
* `out.<output>` for each output of the last step: `list<inner: T not null> not null`, or scalars;
* `out_<model>.<output>` for each output of a shadow model, null where the shadow failed;
* `check_failures: int8`, the number of validations that failed; see `validations` for what follows it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol

import numpy as np
import pyarrow as pa

from specrunner.core.errors import BadInput, SpecrunnerError
from specrunner.core.values import Json, utc
from specrunner.engine.ports import LoadedModel, TensorField
from specrunner.engine.serving.custom_json import answer_json
from specrunner.engine.serving.splits import SPLIT_COLUMN, Split
from specrunner.engine.serving.tensors import (
    ARROW_TYPES,
    describe_columns,
    input_column,
    is_list,
    output_type,
    pair_columns,
)
from specrunner.engine.serving.validations import Validation, failures

ALL_COLUMNS = "*"

_AT_ONCE = 0.003  # seconds
_WEIGHT = 0.1  # of the last request in the average
_LONGEST = 5 * _AT_ONCE  # counted of one request, or one that waited for the machine would weigh on the next twenty

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
    """One step of a pipeline: the model that answers, and models that only watch, by name.

    With a `split`, its models answer in turns; `model` is the first of them.
    """

    name: str
    model: LoadedModel
    shadows: Mapping[str, LoadedModel] = field(default_factory=dict)
    split: Split | None = None

    @property
    def models(self) -> tuple[LoadedModel, ...]:
        """All of them."""
        return (*(self.split.models if self.split else (self.model,)), *self.shadows.values())


class PipelinePlane:
    """The loaded steps of one deployed pipeline; `infer` may be called from several threads at once."""

    def __init__(
        self, steps: Sequence[Step], log: ResultSink | None = None, validations: Sequence[Validation] = ()
    ) -> None:
        if not steps:
            raise BadInput("The pipeline has no steps", "Nothing could answer.", "Give it a model step.")
        self._steps = tuple(steps)
        self._log = log
        self._validations = tuple(validations)
        self._in_process = all(getattr(model, "in_process", False) for step in self._steps for model in step.models)
        self._seconds = 2 * _AT_ONCE  # that a request took of late; unknown at first
        # What splits go by, and the first model does not take, is kept from the models.
        taken = {field.name for field in steps[0].model.inputs}
        self._keys = tuple(dict.fromkeys(step.split.key for step in steps if step.split and step.split.key))
        self._aside = tuple(key for key in self._keys if key not in taken)

    @property
    def inputs(self) -> tuple[TensorField, ...]:
        """What the first step takes."""
        return self._steps[0].model.inputs

    @property
    def outputs(self) -> tuple[TensorField, ...]:
        """What the last step gives."""
        return self._steps[-1].model.outputs

    def infer(self, table: pa.Table, now: datetime) -> pa.Table:
        """The answer to one request, see this module's description; it is in the log's hands when this returns.

        Raises BadInput saying which step expected what.
        """
        began = time.perf_counter()
        table = table.combine_chunks()
        keys, rows = self._put_aside(table)
        watched: list[_Column] = []
        current = rows
        for number, step in enumerate(self._steps, 1):
            outputs = self._predict(number, step, current, keys)
            watched += _watch(step, current)
            current = outputs
            if step.split is not None and number < len(self._steps):
                watched.append((pa.field(f"out_{step.name}.{SPLIT_COLUMN}", pa.string()), current[SPLIT_COLUMN]))
                current = current.drop_columns([SPLIT_COLUMN])
        inputs = self._inputs(rows) + [_scalar(keys, name) for name in self._aside]
        result = _result(inputs, current, watched, failures(self._validations, current), now)
        if self._log is not None:
            self._log.append(result)
        self._seconds += _WEIGHT * (min(time.perf_counter() - began, _LONGEST) - self._seconds)
        return result

    @property
    def is_quick(self) -> bool:
        """Whether the last requests took some milliseconds, on average, and none waits for another process."""
        return self._in_process and self._seconds < _AT_ONCE

    def close(self) -> None:
        """Free every model."""
        for step in self._steps:
            for model in step.models:
                model.close()

    def infer_json(self, value: Json, now: datetime) -> tuple[Json, pa.Table]:
        """The answer to custom JSON, and the row to be logged. Raises as `custom_json.answer_json` does."""
        answer, logged = answer_json(self._steps, value, self._aside)
        row = pa.table(
            {
                "time": pa.array([milliseconds(now)], pa.timestamp("ms")),
                **{name: pa.array([text], pa.string()) for name, text in logged.items()},
                "check_failures": pa.array([0], pa.int8()),
            }
        )
        if self._log is not None:
            self._log.append(row)
        return answer, row

    def _put_aside(self, table: pa.Table) -> tuple[pa.Table, pa.Table]:
        """The columns that splits go by, and what is left for the models. Raises BadInput for a missing one."""
        if not self._keys:
            return table, table
        for key in self._keys:
            if table.column_names.count(key) != 1 or is_list(table.schema.field(key).type):
                raise BadInput(
                    f"The input has no column `{key}` with one value in each row",
                    f"The pipeline chooses the model by it; there came {describe_columns(table)}.",
                    f"Send it, as text or as a number: a row's `{key}` decides which model answers.",
                )
        return table.select(self._keys), table.drop_columns(self._aside)

    def _predict(self, number: int, step: Step, table: pa.Table, keys: pa.Table) -> pa.Table:
        try:
            return step.split.predict(table, keys) if step.split else step.model.predict(table)
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
        if found is not None:
            columns += [(pa.field(f"out_{name}.{one}", found[one].type), found[one]) for one in found.column_names]
            continue
        for output in model.outputs:
            kind = output_type(output)
            columns.append((pa.field(f"out_{name}.{output.name}", kind), pa.nulls(table.num_rows, kind)))
    return columns


def _scalar(table: pa.Table, name: str) -> _Column:
    values = table.column(name).combine_chunks()
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    return pa.field(f"in.{name}", values.type), values


def _result(
    inputs: list[_Column], outputs: pa.Table, watched: list[_Column], checked: list[_Column], now: datetime
) -> pa.Table:
    rows = outputs.num_rows
    answered = [
        (pa.field(f"out.{column.name}", column.type, column.nullable), outputs.column(number))
        for number, column in enumerate(outputs.schema)
    ]
    columns = [
        (pa.field("time", pa.timestamp("ms")), pa.array(np.full(rows, milliseconds(now)), pa.timestamp("ms"))),
        *inputs,
        *answered,
        *watched,
        *checked,
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
