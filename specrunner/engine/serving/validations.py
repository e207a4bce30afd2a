"""Validations: expressions over the outputs of a pipeline, counted for each row that they are false of.

An answer then has, after its other columns, `check_failures`, `anomaly.count` (the number of validations that a row
fails, both) and `anomaly.<name>` for each validation. A row of which nothing can be said, because an output is null
or no number, fails.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from specrunner.core.errors import BadInput
from specrunner.core.expressions import (
    BadExpression,
    Column,
    Constant,
    Expression,
    Operation,
    Operator,
    columns_of,
    parse_expression,
)
from specrunner.core.values import JsonObject
from specrunner.engine.ports import TensorField
from specrunner.engine.serving.tensors import describe, is_list, output_type

_MOST = 127  # failures of a row that an int8 can tell
_FEW = 1024  # rows
_FAILURES = pa.field("check_failures", pa.int8())

_Columns = list[tuple[pa.Field, pa.Array]]
_FUNCTIONS: Mapping[Operator, Callable[..., pa.Array]] = {
    Operator.ADD: pc.add,
    Operator.SUBTRACT: pc.subtract,
    Operator.MULTIPLY: pc.multiply,
    Operator.DIVIDE: pc.divide,
    Operator.NEGATE: pc.negate,
    Operator.ABS: pc.abs,
    Operator.LESS: pc.less,
    Operator.LESS_EQUAL: pc.less_equal,
    Operator.GREATER: pc.greater,
    Operator.GREATER_EQUAL: pc.greater_equal,
    Operator.EQUAL: pc.equal,
    Operator.NOT_EQUAL: pc.not_equal,
    Operator.IS_FINITE: pc.is_finite,
    Operator.NOT: pc.invert,
}
_ARITHMETIC = frozenset({Operator.ADD, Operator.SUBTRACT, Operator.MULTIPLY, Operator.DIVIDE})


@dataclass(frozen=True, slots=True)
class Validation:
    """One check by its name."""

    name: str
    text: str
    expression: Expression


def read_validations(declared: Sequence[JsonObject]) -> tuple[Validation, ...]:
    """The validations of a spec. Raises BadInput for a text that is no expression."""
    found = []
    for one in declared:
        try:
            found.append(Validation(one["name"], one["expression"], parse_expression(one["expression"])))
        except BadExpression as error:
            raise BadInput(f"The validation {one['name']!r} can't be checked: {error}.", error.detail) from error
    return tuple(found)


def check_validations(validations: Sequence[Validation], outputs: Sequence[TensorField]) -> None:
    """See whether they can be asked of a model's outputs. Raises BadInput; does nothing where none are known."""
    if not outputs:
        return
    nothing = pa.table({field.name: pa.array([], output_type(field)) for field in outputs})
    known = {field.name: field for field in outputs}
    for validation in validations:
        for column in columns_of(validation.expression):
            _check_column(validation, column, known)
        try:
            found = _value(validation.expression, nothing)
            if not pa.types.is_boolean(found.type):
                raise BadInput(f"it gives {found.type}, not true or false")
        except (pa.ArrowException, BadInput) as error:
            raise _unfit(validation, str(error), outputs) from error


def _check_column(validation: Validation, column: Column, known: Mapping[str, TensorField]) -> None:
    field = known.get(column.name)
    if field is None:
        raise _unfit(validation, f"there is no output `{column.name}`", tuple(known.values()))
    width = field.shape[1] if len(field.shape) == 2 else None
    if len(field.shape) > 2:
        raise _unfit(validation, f"the rows of `{column.name}` are tensors of several dimensions", (field,))
    if len(field.shape) == 1 and column.index is not None:
        raise _unfit(validation, f"`{column.name}` has one value in each row, and no place to name", (field,))
    if width is not None and (column.index or 0) >= width:
        raise _unfit(validation, f"`{column.name}` has {width} values in each row, numbered from 0", (field,))
    if width is not None and width > 1 and column.index is None:
        raise _unfit(validation, f"`{column.name}` has {width} values in each row; say which, from 0", (field,))


def _unfit(validation: Validation, why: str, outputs: Sequence[TensorField]) -> BadInput:
    return BadInput(
        f"The validation {validation.name!r} does not fit the pipeline: {why.strip().splitlines()[0].rstrip('.')}.",
        f"It reads `{validation.text}`; the last step gives {', '.join(map(describe, outputs))}.",
        "Mend the expression in the pipeline's spec.",
    )


def failures(validations: Sequence[Validation], outputs: pa.Table) -> _Columns:
    """The columns `check_failures`, and where there are validations `anomaly.count` and one for each."""
    rows = outputs.num_rows
    if not validations:
        return [(_FAILURES, (_few_passed if rows <= _FEW else _passed)(rows))]
    failed = [_failed(validation, outputs) for validation in validations]
    count = sum((mask.astype(np.int64) for mask in failed), np.zeros(rows, np.int64))
    columns = [
        (_FAILURES, pa.array(np.minimum(count, _MOST).astype(np.int8))),
        (pa.field("anomaly.count", pa.uint32()), pa.array(count.astype(np.uint32))),
    ]
    for validation, mask in zip(validations, failed, strict=True):
        columns.append((pa.field(f"anomaly.{validation.name}", pa.bool_()), pa.array(mask)))
    return columns


def _passed(rows: int) -> pa.Array:
    return pa.array(np.zeros(rows, np.int8))


# Most pipelines have no validations, and most requests few rows.
_few_passed = lru_cache(maxsize=256)(_passed)


def _failed(validation: Validation, outputs: pa.Table) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    try:
        found = _value(validation.expression, outputs)
    except (pa.ArrowException, KeyError, BadInput) as error:
        # Only a model whose outputs are not declared comes here: the others are asked at deploy.
        raise BadInput(
            f"The validation {validation.name!r} can't be asked of this answer", f"{error}.", "Mend its expression."
        ) from error
    if isinstance(found, pa.Scalar):
        return np.full(outputs.num_rows, not found.as_py())
    passed: np.ndarray[tuple[int, ...], np.dtype[np.bool_]] = pc.fill_null(found, False).to_numpy(zero_copy_only=False)
    return ~passed


def _value(expression: Expression, outputs: pa.Table) -> pa.Array | pa.Scalar:
    if isinstance(expression, Column):
        return _column(expression, outputs)
    if isinstance(expression, Constant):
        return pa.scalar(expression.value)
    operands = [_value(operand, outputs) for operand in expression.operands]
    return _apply(expression, operands)


def _apply(expression: Operation, operands: list[pa.Array | pa.Scalar]) -> pa.Array | pa.Scalar:
    operator = expression.operator
    if operator in {Operator.AND, Operator.OR}:
        join = pc.and_kleene if operator is Operator.AND else pc.or_kleene
        found = operands[0]
        for operand in operands[1:]:
            found = join(found, operand)
        return found
    if operator in _ARITHMETIC or any(pa.types.is_floating(one.type) for one in operands):
        # Whole numbers neither wrap around nor divide by zero, and the largest compare as Python's floats do.
        operands = [_as_float(one) if pa.types.is_integer(one.type) else one for one in operands]
    return _FUNCTIONS[operator](*operands)


def _as_float(value: pa.Array | pa.Scalar) -> pa.Array | pa.Scalar:
    return pc.cast(value, pa.float64(), safe=False)


def _column(column: Column, outputs: pa.Table) -> pa.Array:
    found = outputs.column(column.name)
    values = found.chunk(0) if found.num_chunks == 1 else found.combine_chunks()
    if not is_list(values.type):
        return values
    inner, rows = values.flatten(), len(values)
    if not rows:
        return inner
    width = len(inner) // rows
    place = column.index or 0
    if place >= width or len(inner) != rows * width:
        raise BadInput(f"`{column.name}` has no value at {place} in each row")
    return inner if width == 1 else inner.take(pa.array(np.arange(place, rows * width, width)))
