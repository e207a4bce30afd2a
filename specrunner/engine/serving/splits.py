"""Splits: several models of one step, of which one answers a row.

Without a key a whole request goes to one model, by weight and at random. With a key, the value that a row has in the
request's column of that name decides, so that equal values get equal models whatever request they come in, and
however requests are cut. The column is not given to the models unless the first of them takes it. Which model
answered is told in `out._model_split`.
"""

from __future__ import annotations

import hashlib
import json
import random
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import pyarrow as pa

from specrunner.core.errors import BadInput
from specrunner.engine.ports import LoadedModel, TensorField
from specrunner.engine.serving.steps import ByValue, ByWeight, ModelRef

SPLIT_COLUMN = "_model_split"

_HASHED = 2**64


@dataclass(frozen=True, slots=True)
class Split:
    """The models of a step and how one of them is chosen; `draw` gives random numbers from 0 to below 1."""

    models: tuple[LoadedModel, ...]
    refs: tuple[ModelRef, ...]
    choice: ByWeight | ByValue
    draw: Callable[[], float] = random.random

    @property
    def key(self) -> str | None:
        """The column of the request that decides, if any."""
        return self.choice.key

    def predict(self, table: pa.Table, keys: pa.Table) -> pa.Table:
        """One output row per row, and which model gave it; `keys` has the column `key`. Raises as models do."""
        chosen = self._chosen(keys, table.num_rows)
        if isinstance(chosen, int):
            return self._answer(chosen, table)
        order = np.argsort(chosen, kind="stable")
        parts, first = [], 0
        for place, count in zip(*np.unique(chosen, return_counts=True), strict=True):
            rows = pa.array(order[first : first + count])
            parts.append(self._answer(int(place), table.take(rows).combine_chunks()))
            first += count
        return parts[0] if len(parts) == 1 else pa.concat_tables(parts).take(pa.array(np.argsort(order)))

    def pick(self, value: object) -> tuple[LoadedModel, str]:
        """The one model for all of a request that has this value under `key`, and what is told of it."""
        place = _place(self.choice.weights, self.draw()) if self.choice.key is None else self._of(value)
        return self.models[place], self._label(place)

    def _answer(self, place: int, table: pa.Table) -> pa.Table:
        found = self.models[place].predict(table)
        label = pa.array([self._label(place)] * found.num_rows, pa.string())
        return found.append_column(pa.field(SPLIT_COLUMN, pa.string()), label)

    def _label(self, place: int) -> str:
        model = self.refs[place]
        return json.dumps([{"name": model.name, "version": model.version, "sha": model.sha}])

    def _chosen(self, keys: pa.Table, rows: int) -> int | np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
        if self.choice.key is None:
            return _place(self.choice.weights, self.draw())
        if not rows:
            return 0
        column = keys.column(self.choice.key)
        by_value = {value: self._of(value) for value in column.unique().to_pylist()}
        found = np.array([by_value[value] for value in column.to_pylist()], np.int64)
        return int(found[0]) if (found == found[0]).all() else found

    def _of(self, value: object) -> int:
        """The model of a value; it is the value's text that counts, so that 7 in JSON is 7 in Arrow."""
        text = str(value)
        if isinstance(self.choice, ByValue):
            return self.choice.routes.get(text, 0)
        hashed = hashlib.blake2b(f"{self.choice.key}={text}".encode(), digest_size=8).digest()
        return _place(self.choice.weights, int.from_bytes(hashed) / _HASHED)


def _place(weights: Sequence[float], drawn: float) -> int:
    """Which weight a number from 0 to below 1 falls on."""
    ends = list(accumulate(weights))
    place = bisect_right(ends, drawn * ends[-1])
    # Rounding may push the last of them over the end.
    return place if place < len(weights) else max(index for index, weight in enumerate(weights) if weight)


def check_alike(split: Split) -> None:
    """See whether all models of a split take and give the same. Raises BadInput naming the one that does not."""
    first = split.models[0]
    for model, ref in zip(split.models[1:], split.refs[1:], strict=True):
        takes = _signature(model.inputs) == _signature(first.inputs)
        if not takes or _signature(model.outputs) != _signature(first.outputs):
            what = "give other outputs" if takes else "take other inputs"
            raise BadInput(
                f"The models {split.refs[0].name!r} and {ref.name!r} of a split {what}.",
                "Whoever asks can't know which of them will answer.",
                "Split only between models with the same inputs and outputs.",
            )


def _signature(fields: Sequence[TensorField]) -> list[tuple[str, str, int]]:
    return [(field.name, field.type, len(field.shape)) for field in fields]
